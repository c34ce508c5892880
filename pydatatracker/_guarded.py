"""Imports that files of the program cannot shadow.

A program may have a ``platform.py`` or ``uuid.py`` beside it, which Python finds before its own. The log of a process
must not import those: it would fail, and run code of the program too early. Inside `guarded`, the modules of the
standard library come from the standard library, and others from where packages are installed if they are there.

Afterwards the program finds what it would find without the log: modules that its own files shadow are not in
``sys.modules`` any more (the library keeps those that it imported), and modules that it had imported are there again.
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False  # as type checkers know it; importing typing here would import what may be shadowed
if TYPE_CHECKING:
    from typing import Any

__all__ = ["guarded"]

_PathFinder: Any = sys.modules["_frozen_importlib_external"].PathFinder
_SEPARATORS = ("/", "\\")


def _folder(path: str) -> str:
    return path[: max(path.rfind(separator) for separator in _SEPARATORS)]


def _globals_of(module: object) -> dict[str, Any]:
    """Return the globals of a module without waking a lazy one."""
    try:
        found = object.__getattribute__(module, "__dict__")
    except AttributeError:  # a program may put anything into sys.modules
        return {}
    return found if type(found) is dict else {}


class guarded:
    """Import from trusted folders in a ``with`` block, in this thread.

    O(modules that are imported).
    """

    def __enter__(self) -> None:
        self._thread = get_ident()
        library = _folder(sys.modules["os"].__file__ or "")
        installed = [path for path in sys.path if "site-packages" in path or "dist-packages" in path]
        self._library = [
            path
            for path in sys.path
            if path not in installed
            and (
                path == library
                or path.startswith(tuple(library + separator for separator in _SEPARATORS))
                or path.endswith(("DLLs", f"python{sys.version_info[0]}{sys.version_info[1]}.zip"))
            )
        ]
        self._others = [*installed, *(path for path in sys.path if path not in installed)]
        self._before = set(sys.modules)
        self._hidden = self._hide()
        sys.meta_path.insert(0, self)

    def __exit__(self, *failed: object) -> None:
        sys.meta_path.remove(self)
        for name in [name for name in set(sys.modules) - self._before if type(name) is str and "." not in name]:
            if name != "pydatatracker" and self._is_shadowed(name):
                self._pop(name)
        sys.modules.update(self._hidden)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module as the import system does, in trusted folders first."""
        if path is not None or get_ident() != self._thread:
            return None
        if name in sys.builtin_module_names:
            return None
        if name not in sys.stdlib_module_names:
            return _PathFinder.find_spec(name, self._others, target)
        for finder in sys.meta_path:  # frozen modules, and what an embedding program has
            if finder is not self and finder is not _PathFinder:
                found = finder.find_spec(name, None, target)
                if found is not None:
                    return found
        return _PathFinder.find_spec(name, self._library, target)

    def _hide(self) -> dict[str, Any]:
        """Take modules of the program out of sys.modules that shadow others.

        Returns them.
        """
        hidden: dict[str, Any] = {}
        for name in [name for name in sys.modules if type(name) is str and "." not in name]:
            file = _globals_of(sys.modules[name]).get("__file__")
            if not isinstance(file, str) or name in ("__main__", "pydatatracker"):
                continue
            if self._is_trusted(file):
                continue
            trusted = self._library if name in sys.stdlib_module_names else self._others
            found = _PathFinder.find_spec(name, trusted)
            if found is not None and found.origin not in (None, file):
                hidden.update(self._pop(name))
        return hidden

    def _is_trusted(self, file: str) -> bool:
        return any(file.startswith(f"{path}{separator}") for path in self._library for separator in _SEPARATORS)

    def _is_shadowed(self, name: str) -> bool:
        """Return whether the program would have got another module by this name."""
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        if origin in (None, "built-in", "frozen"):
            return False
        found = _PathFinder.find_spec(name)
        return found is not None and found.origin not in (None, origin)

    @staticmethod
    def _pop(name: str) -> dict[str, Any]:
        """Remove a module with its submodules from sys.modules, and return them."""
        names = [each for each in sys.modules if type(each) is str and (each == name or each.startswith(f"{name}."))]
        return {each: sys.modules.pop(each) for each in names}
