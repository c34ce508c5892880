"""Loading and unloading: magics, events, and how changes are shown."""

from __future__ import annotations

import weakref
from typing import Any

from IPython.utils.dir2 import get_real_method

from pydatatracker.change import html
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.integrations.ipython.magics import TrackingMagics
from pydatatracker.io.line import LogLine

__all__ = ["load_ipython_extension", "unload_ipython_extension"]

_CHANGES = (ChangeLogEntry, LogLine)


class Extension:
    """What is added to one shell."""

    def __init__(self, shell: Any) -> None:
        self.magics = TrackingMagics(shell)
        self._formatter = shell.display_formatter.formatters["text/html"]
        self._before: dict[type, Any] = {}

    def begin(self, shell: Any) -> None:
        self._were = {
            (kind, name): shell.magics_manager.magics[kind].get(name)
            for kind, names in self.magics.magics.items()
            for name in names
        }
        shell.register_magics(self.magics)
        shell.events.register("pre_run_cell", self.magics.cells.begin)
        shell.events.register("post_run_cell", self.magics.cells.finish)
        self._printers = {
            **dict.fromkeys(_CHANGES, self._change),
            list: lambda value: self._several(list, value, value),
            dict: lambda value: self._several(dict, value, value.values() if type(value) is dict else ()),
        }
        for cls, printer in self._printers.items():
            self._before[cls] = self._formatter.type_printers.get(cls)
            self._formatter.for_type(cls, printer)

    def end(self, shell: Any) -> None:
        shell.events.unregister("pre_run_cell", self.magics.cells.begin)
        shell.events.unregister("post_run_cell", self.magics.cells.finish)
        for cls, printer in self._printers.items():
            if self._formatter.type_printers.get(cls) is not printer:
                continue  # somebody else's stands there by now
            if self._before[cls] is None:
                self._formatter.pop(cls)
            else:
                self._formatter.for_type(cls, self._before[cls])
        for (kind, name), before in self._were.items():
            known = shell.magics_manager.magics[kind]
            if getattr(known.get(name), "__self__", None) is self.magics:
                if before is None:
                    del known[name]
                else:
                    known[name] = before
        self.magics.close()

    def _change(self, change: Any) -> str:
        return html.html_of(change, self.magics.cells.text)

    def _several(self, cls: type, value: Any, items: Any) -> Any:
        """Return a list or dict of changes as a table.

        Any other one is shown as if nothing were registered for its class: the lookup of IPython would otherwise
        prefer this function to the method of a subclass.
        """
        if type(value) is cls and value and all(issubclass(type(item), _CHANGES) for item in items):
            return html.table(list(items), self.magics.cells.text)
        before = self._before[cls]
        if before is not None:
            return before(value)
        method = get_real_method(value, "_repr_html_")
        return None if method is None else method()


_loaded: weakref.WeakKeyDictionary[Any, Extension] = weakref.WeakKeyDictionary()


def load_ipython_extension(shell: Any) -> None:
    """Begin what ``%load_ext pydatatracker`` begins. O(1).

    A second call for the same shell does nothing.

    :param shell: an InteractiveShell.
    """
    if shell not in _loaded:
        extension = _loaded[shell] = Extension(shell)
        extension.begin(shell)


def unload_ipython_extension(shell: Any) -> None:
    """End it: magics, tables, and what ``%watch`` watches. O(objects)."""
    extension = _loaded.pop(shell, None)
    if extension is not None:
        extension.end(shell)
