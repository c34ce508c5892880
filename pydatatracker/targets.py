"""Watching data of a program by name, for ``run`` and for pytest.

A target is ``settings:CONFIG`` (a global), ``shop.models:Order`` (a class: all of its instances), ``shop.models`` (all
globals of a module) or ``shop.*`` (of several). Nobody imports anything for it: a watch of ``sys.modules`` hears of
each module before its first line runs, and a watch of the module of each global that is bound, and bound anew.

A log has of a module what was named: no functions, classes and modules, and no names that begin with two underscores.
"""

from __future__ import annotations

import fnmatch
import re
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydatatracker import _core, _forks
from pydatatracker._guarded import guarded
from pydatatracker.change.library import is_library
from pydatatracker.change.mapping import seen_from
from pydatatracker.change.stack import OWN
from pydatatracker.values.decode import decode
from pydatatracker.values.pointer import to_pointer

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry
    from pydatatracker.history.net_changes import NetChange
    from pydatatracker.watching import Watch

__all__ = ["Target", "Targets", "parsed"]

_TARGET: Final = re.compile(r"([\w.*?\[\]!-]+)(?::([\w.*?\[\]!-]+))?")
_CODE: Final = (
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType),
    *(types.MethodWrapperType, types.WrapperDescriptorType, types.MethodDescriptorType),
)
_CODE_NAMES: Final = frozenset(("function", "type", "module", "builtin_function_or_method", "method"))


class Target(NamedTuple):
    """What to watch: the globals of some modules, by globs."""

    given: str
    module: str
    name: str | None  # None: all of them

    def is_of(self, module: str) -> bool:
        """Return whether a module is one of its modules."""
        return fnmatch.fnmatchcase(module, self.module)


def parsed(given: Iterable[str]) -> list[Target]:
    """Return targets. Raises ValueError for a text that is none.

    >>> parsed(["settings:CONFIG", "shop.*"])[0].name
    'CONFIG'
    """
    found = []
    for each in given:
        match = _TARGET.fullmatch(each.strip())
        if match is None:
            raise ValueError(
                f"{each!r} names no data: write a global or a class (settings:CONFIG), a module (shop.models) or"
                " several (shop.*)"
            )
        found.append(Target(each.strip(), match[1], match[2]))
    return found


class Targets:
    """Watches what some targets name, as soon as it is there.

    :param problem: called with a sentence, once for each target that cannot be watched.
    :param options: of the watches.
    """

    def __init__(self, targets: Iterable[Target], problem: Callable[[str], object], **options: Any) -> None:
        self._options = options
        self.targets = list(targets)
        self.watches: list[Watch] = []  # of modules and classes
        self._problem = problem
        self.entered: Callable[[Watch], object] | None = None  # called when more is followed of what a log has already
        self._reported: set[str] = set()
        self._modules: dict[int, Watch] = {}
        self._classes: dict[int, Watch] = {}
        # id of a watch -> what the log has of it, and its module; None: nothing
        self._rules: dict[str, tuple[list[Target], Callable[[], object]] | None] = {}
        self._bound: set[tuple[Target, str]] = set()  # names of targets that were bound, with their modules
        self._seen: Watch | None = None
        self._lock = threading.RLock()
        _forks.keep(self, _forks.LOGS)

    def after_fork(self) -> None:
        """Renew the lock, which a thread that does not exist here may hold."""
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Watch what is there, and what comes.

        O(modules). Raises RuntimeError where the interpreter cannot watch.
        """
        from pydatatracker.watching import watch

        self._seen = watch(sys.modules, depth=0, name="sys.modules", tracking_max_changes=0)
        self._rules[self._seen.tracking_uuid] = None
        self._seen.tracking_add_observer(self._imported, actions=("add", "update"), when="immediate")
        for name, module in list(sys.modules.items()):
            if type(name) is str:
                self._consider(name, module)

    def end(self) -> None:
        """Find what changed last, and say what never appeared. O(objects)."""
        if self._seen is not None:
            self._seen.close()
        for each in self.watches:
            if each.is_open:
                each.last_change()  # what is compared is looked at
        for target in self.targets:
            self._judge(target)

    def close(self) -> None:
        """End all watches."""
        if self._seen is not None:
            self._seen.close()
        for each in self.watches:
            each.close()

    def modules(self) -> list[Watch]:
        """Return the watches of modules."""
        with self._lock:
            return [each for each in self._modules.values() if each.is_open]

    def is_data(self, root: str, change: NetChange) -> bool:
        """Return whether a difference is one of data that was named."""
        values = [value for value in (change.before, change.after) if value is not _core.MISSING]
        return self.has(root, (*change.path, "")) and not all(map(_is_code, values))

    # ---- modules

    def _imported(self, change: ChangeLogEntry) -> None:
        if len(change.path) == 1 and type(change.path[0]) is str:
            self._consider(change.path[0], sys.modules.get(change.path[0]))

    def _consider(self, name: str, module: object) -> None:
        wanted = [target for target in self.targets if target.is_of(name)]
        if not wanted or not issubclass(type(module), types.ModuleType):
            return
        with self._lock:
            if id(module) in self._modules:
                return
            w = self._watched(module, name, wanted, tracking_name=name)
            if w is None:
                return
            self._modules[id(module)] = w
            self._rules[w.tracking_uuid] = wanted, weakref.ref(module)
        named = [target for target in wanted if target.name is not None]
        if named:
            w.tracking_add_observer(lambda change: self._rebound(change, name, module), path="/*", when="immediate")
            for each, value in list(_globals_of(module).items()):
                self._take(each, value, name, named)

    def _watched(self, x: Any, name: str, wanted: list[Target], **options: Any) -> Watch | None:
        from pydatatracker.watching import watch

        try:
            w = watch(x, **self._options, **options)
        except (TypeError, RuntimeError) as error:
            for target in wanted:
                self._report(target, f"{name} cannot be watched for --watch {target.given}: {error}")
            return None
        self.watches.append(w)
        return w

    # ---- names

    def _rebound(self, change: ChangeLogEntry, module_name: str, module: object) -> None:
        if len(change.path) == 1 and type(change.path[0]) is str:
            name = change.path[0]
            named = [each for each in self.targets if each.name is not None and each.is_of(module_name)]
            self._take(name, _globals_of(module).get(name), module_name, named)

    def _take(self, name: str, value: object, module_name: str, named: list[Target]) -> None:
        """Note that a global is there; a class is watched itself."""
        for target in named:
            first, _, rest = (target.name or "").partition(".")
            if not fnmatch.fnmatchcase(name, first):
                continue
            if not rest:
                self._bound.add((target, module_name))
            found = value
            for part in filter(None, rest.split(".")):
                found = type.__dict__["__dict__"].__get__(found).get(part) if isinstance(found, type) else None
            if isinstance(found, type):
                self._bound.add((target, module_name))
                self._watch_class(found, target, module_name)
            elif not rest:
                self._enter(found, module_name, name)

    def _enter(self, found: object, module_name: str, name: str) -> None:
        """Follow what was named, whatever its class.

        `watch` follows what it is given, too, also if its class is a library's.
        """
        from pydatatracker.watching import package_of

        w = self._modules.get(id(sys.modules.get(module_name)))
        if (
            w is not None
            and not issubclass(type(found), types.ModuleType)
            and _core.enter_too(w, type(found), package_of(found), name)
            and self.entered is not None
        ):
            self.entered(w)

    def _watch_class(self, cls: type, target: Target, module_name: str) -> None:
        with self._lock:
            if id(cls) in self._classes:
                return
            w = self._watched(cls, f"{module_name}:{target.name}", [target], existing=True)
            if w is not None:
                self._classes[id(cls)] = w

    # ---- what a log has of it

    def selected(self, change: ChangeLogEntry) -> set[str] | None:
        """Return the ids of the roots that a log has a change of.

        None: of all. O(paths).
        """
        others = change.also
        if change.root not in self._rules and all(root not in self._rules for root, _ in others):
            return None
        found = {root for root, path in others if self.has(root, path)}
        if any(self.has(change.root, path) for path in change.paths) and not self._is_of_code(change):
            found.add(change.root)
        return found

    def has(self, root: str, path: Any) -> bool:
        """Return whether a log has what is at a path of a root. O(1)."""
        if root not in self._rules:
            return True
        rule = self._rules[root]
        if rule is None:
            return False
        if not path:
            return True
        wanted, module = rule
        if type(path[0]) is not str or not self._is_named(path[0], wanted):
            return False
        return len(path) == 1 or not _is_code(_globals_of(module()).get(path[0]))

    def state(self, root: str, state: Any) -> Any:
        """Return what a log has of the state of a root. O(items)."""
        if root not in self._rules or type(state) is not dict:
            return state
        return {key: value for key, value in state.items() if self.has(root, (key, "")) and not _is_code(value)}

    def prune(self, line: dict[str, Any]) -> None:
        """Take out of a line what its log does not have. O(paths)."""
        paths = [path for path in line.get("paths") or [line.get("path", [])] if self.has(line.get("root", ""), path)]
        also = [each for each in line.get("also", ()) if self.has(*each)]
        if not paths and also:
            view = dict(seen_from({**line, "also": also}, also[0][0]))
            view["also"] = [each for each in view["also"] if self.has(*each)]
            line.clear()
            line.update(view)
            also = view["also"]
        elif len(paths) < len(line.get("paths", ())):
            if line["path"] != paths[0]:
                line["path"] = paths[0]
                line["pointer"] = to_pointer([decode(key) for key in paths[0]])
                line.pop("tree", None)  # it leads to the first place, which the log does not have
            line["paths"] = paths
            if len(paths) == 1:
                del line["paths"]
        line["also"] = also
        if not also:
            del line["also"]
            line["v"] = 1
        if len(line.get("path", ())) == 1 and line.get("root") in self._rules:
            self._without_code(line)

    def _is_named(self, name: str, rule: list[Target]) -> bool:
        if name.startswith("__"):
            return False
        return any(each.name is None or fnmatch.fnmatchcase(name, each.name) for each in rule)

    def _is_of_code(self, change: ChangeLogEntry) -> bool:
        """Return whether only code was bound to a global, or taken away."""
        if len(change.path) != 1 or change.root not in self._rules:
            return False
        values = [value for value in (change.before, change.after) if value is not _core.MISSING]
        return bool(values) and all(map(_is_code, values))

    @staticmethod
    def _without_code(line: dict[str, Any]) -> None:
        """Let a line begin or end with data where there was code."""
        for name, action in (("before", "add"), ("after", "remove")):
            value = line.get(name)
            if type(value) is dict and (
                value.get("type") in _CODE_NAMES or str(value.get("$repr", "")).startswith("<class ")
            ):
                del line[name]
                line["action"] = action

    # ---- what never appeared

    def _report(self, target: Target, text: str) -> None:
        if target.given not in self._reported:
            self._reported.add(target.given)
            self._problem(text)

    def _judge(self, target: Target) -> None:
        modules = [name for name in list(sys.modules) if type(name) is str and target.is_of(name)]
        if not modules:
            near = _close(target.module, _own_modules())
            self._report(target, f"--watch {target.given}: no module {target.module} was imported{_ask(near)}")
        elif target.name is not None and not any(each == target for each, _ in self._bound):
            names = [name for module in modules for name in _globals_of(sys.modules[module]) if name[:2] != "__"]
            near = [f"{modules[0]}:{name}" for name in _close(target.name, names)]
            self._report(target, f"--watch {target.given}: {modules[0]} has no {target.name}{_ask(near)}")


def _close(name: str, names: list[str]) -> list[str]:
    with guarded():
        import difflib

    return difflib.get_close_matches(name, names, 3)


def _own_modules() -> list[str]:
    """Return the names of the modules of the program."""
    found = []
    for name, module in list(sys.modules.items()):
        file = _globals_of(module).get("__file__")
        own = type(file) is str and not is_library(file) and not file.startswith(OWN)
        if type(name) is str and (own or name == "__main__"):
            found.append(name)
    return found


def _ask(near: list[str]) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _globals_of(module: object) -> dict[str, Any]:
    """Return the globals of a module; wakes no lazy module."""
    found = object.__getattribute__(module, "__dict__") if issubclass(type(module), types.ModuleType) else {}
    return found if type(found) is dict else {}


def _is_code(value: object) -> bool:
    return issubclass(type(value), _CODE) or (isinstance(value, _core.Words) and value.type in _CODE_NAMES)
