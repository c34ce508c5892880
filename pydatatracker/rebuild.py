"""The functions that pickles of tracked data name; they stay here, under these names, for good.

A pickle stores where a function is, not the function: if one of these moved, stored data could no longer be loaded.
So pickles name this module alone, and the functions are defined wherever they fit. Beside them, pickles name the
class of a container (``pydatatracker.containers.TrackedDict`` or your own) and ``pydatatracker._core.MISSING``.

- `container`, `options` and `finish` are called by pickles as they are written today; the first argument of the first
  two is the version of their format.
- `start`, and ``pydatatracker._core.Options``, are called by pickles of 0.2.0.
"""

from pydatatracker.containers.copying import container, finish, options, start

__all__ = ["container", "finish", "options", "start"]
