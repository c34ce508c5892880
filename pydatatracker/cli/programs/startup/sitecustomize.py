"""Prepare a program that ``pydatatracker run`` starts, as `sitecustomize`.

``run`` puts this folder first in PYTHONPATH. The program sees no trace of it: PYTHONPATH and ``sys.path`` are as the
user set them, and a `sitecustomize` of the user's own runs as ever. It imports nothing that the program would find
imported, unless it is asked to watch (``PYDATATRACKER_WATCH``).
"""

import os
import sys


def _restore() -> "list[str]":
    """Take this folder out of the paths; return the folder of the program."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path != here]
    sys.path_importer_cache.pop(here, None)
    os.environ.pop("PYTHONPATH", None)
    given = os.environ.pop("PYDATATRACKER_PYTHONPATH", None)
    if given is not None:
        os.environ["PYTHONPATH"] = given
    first = os.environ.pop("PYDATATRACKER_FIRST", None)
    return [] if first is None else [first]


def _start(first: "list[str]") -> None:
    """Start to watch, with the folder of the program where it will be."""
    sys.path[:0] = first  # so that modules which the program's files shadow are not left imported
    try:
        __import__("pydatatracker")
    finally:
        if first:
            sys.path.remove(first[0])


def _say_at_the_end(pid: int) -> None:
    """Have the end of the program say that nothing was tracked."""
    known = "atexit" in sys.modules
    import atexit

    if not known:
        del sys.modules["atexit"]

    def end() -> None:
        if os.getpid() != pid or "pydatatracker.process" in sys.modules:
            return  # it says itself what was recorded
        if getattr(sys, "last_type", None) is KeyboardInterrupt:
            return  # Python forgets this end of the program if an import evaluates text, and the exit status is another
        os.environ.pop("PYDATATRACKER_LOG", None)
        try:
            from pydatatracker._guarded import guarded

            with guarded():
                from pydatatracker.process import say_nothing_tracked
            say_nothing_tracked()
        except Exception:  # the program comes first
            pass

    atexit.register(end)


def _own_sitecustomize() -> None:
    """Run the user's sitecustomize as if this one were not there."""
    bootstrap, external = sys.modules["_frozen_importlib"], sys.modules["_frozen_importlib_external"]
    spec = external.PathFinder.find_spec(__name__)  # importlib.util would import more than Python does at its start
    if spec is None or spec.loader is None:
        raise ImportError(f"No module named {__name__!r}", name=__name__)  # which `site` expects
    module = sys.modules[__name__] = bootstrap.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    try:
        _folder = _restore()
        if os.environ.get("PYDATATRACKER_WATCH"):
            _start(_folder)
        elif os.environ.get("PYDATATRACKER_RUN") == str(os.getpid()):
            _say_at_the_end(os.getpid())
    except Exception:  # not installed for this interpreter, for example: the program comes first
        pass
    _own_sitecustomize()
