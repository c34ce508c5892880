"""The functions that pickles of tracked data call, by these names.

A pickle stores the name of a function, not the function: if one of these moved, stored data could no longer be loaded.
So pickles name this module only, it stays here, and the functions are defined where they fit. Pickles also name the
class of a container (``pydatatracker.containers.TrackedDict`` or your own) and ``pydatatracker._core.MISSING``.

- `container`, `options` and `finish` are called by pickles as they are written today. The first argument of the first
  two is the version of their format.
- `tree` is called by pickles that have a container and all below it in one.
- `whole` is called by YAML documents, `error` by the pickles of errors, `read_again` by those of log lines, and
  `propagated` by those of functions that `propagate` bound.
- `start`, and ``pydatatracker._core.Options``, are called by pickles of 0.2.0. That means early builds of it, here and
  wherever the code says 0.2.0.
"""

from pydatatracker.actors import propagated
from pydatatracker.containers.copying import container, finish, options, start, tree, whole
from pydatatracker.io.line import read_again
from pydatatracker.values.pickles import error

__all__ = ["container", "error", "finish", "options", "propagated", "read_again", "start", "tree", "whole"]
