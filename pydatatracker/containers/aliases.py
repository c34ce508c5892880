"""What else holds the data that `track` converts.

Converting copies. Whoever else holds a part of the plain data goes on with the plain part, and the two differ from the
next change on. Reference counts tell cheaply that there is somebody; who it is takes one look at all objects, which is
done once for each statement that calls `track`.

Variables do not count: those of functions, generators and closures, of the module or class body that is being executed,
and arguments on their way. Neither does who holds the argument of `track` itself, which the caller is about to replace.
"""

from __future__ import annotations

import gc
import sys
import types
import warnings
from typing import Any

from pydatatracker import _core
from pydatatracker.values.pointer import to_pointer

__all__ = ["warn_of_aliases"]

_OPTIMIZED = 1  # inspect.CO_OPTIMIZED: the variables are no dict
_STATEMENTS = 1_000  # that are looked at; a notebook makes new ones all the time
_SUSPECTS = 20  # parts that are looked for at once
_LEVELS = 4  # holders of holders that are named
_SEARCHED = 100_000  # containers in which the path of a part is looked for
_VARIABLES: tuple[type, ...] = (
    types.FrameType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.CellType,
    type(iter([])),
    type(iter(())),
)
_TOOLS = frozenset(("_pytest", "hypothesis", "pluggy", "pytest"))
_asked: set[tuple[types.CodeType, int]] = set()  # statements that have been looked at


def warn_of_aliases(obj: Any, shared: list[Any]) -> None:
    """Warn of parts of obj that something else holds, too.

    ``shared``: the parts with more references than obj has. O(objects in the process), once per calling statement.
    """
    frame: Any = sys._getframe(2)
    site = frame.f_code, frame.f_lasti
    if site in _asked or len(_asked) == _STATEMENTS:
        return
    _asked.add(site)
    if _generates_data(frame):
        return
    del shared[_SUSPECTS:]
    ours = {id(each) for each in (shared, *_stack_dicts(frame))}
    ours |= _parts(obj)
    if all(id(each) in ours or isinstance(each, _VARIABLES) for each in gc.get_referrers(*shared)):
        return
    for part in shared:
        chain = _holders(part, ours)
        if chain:
            where = to_pointer(_path_to(obj, part))
            warnings.warn(
                f"track(): the {type(part).__name__} at {where} is also held by {', '.join(chain)}. The tracked copy"
                " and the plain original differ from the next change on; use watch(x), which remembers the data where"
                " it is",
                stacklevel=3,
            )
            return


def _generates_data(frame: Any) -> bool:
    """Return whether hypothesis calls: it keeps the parts of all it makes."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("hypothesis."):
            return True
        frame = frame.f_back
    return False


def _stack_dicts(frame: Any) -> list[Any]:
    """Return the namespaces of the modules and class bodies in execution."""
    found = []
    while frame is not None:
        if not frame.f_code.co_flags & _OPTIMIZED:
            found.append(frame.f_locals)
        frame = frame.f_back
    return found


def _parts(obj: Any) -> set[int]:
    """Return the ids of the containers that are converted together."""
    found: set[int] = set()
    todo = [obj]
    while todo and len(found) < _SEARCHED:
        each = todo.pop()
        if id(each) not in found and type(each) in _core.CONVERTED:
            found.add(id(each))
            todo.extend(dict.values(each) if isinstance(each, dict) else each if not isinstance(each, set) else ())
    return found


def _holders(part: Any, known: set[int], levels: int = _LEVELS) -> list[str] | None:
    """Return who holds a part, who holds that one, and so on.

    [] if only variables hold it, None if only tools do.
    """
    found = [each for each in gc.get_referrers(part) if id(each) not in known and not isinstance(each, _VARIABLES)]
    candidates = [each for each in found if not _is_temporary(each, found)]
    known = known | {id(found), id(candidates), id(part)}
    for holder in candidates:
        name, owner = _named(holder, part)
        if owner is not None and _is_tool(owner):
            continue
        rest = [] if owner is not None or levels == 1 else _holders(holder, known, levels - 1)
        if rest is not None:
            return [name, *rest]
    return None if candidates else []


def _is_temporary(holder: Any, found: list[Any]) -> bool:
    """Return whether a holder is a tuple of arguments on their way."""
    return type(holder) is tuple and all(
        each is found or isinstance(each, _VARIABLES) for each in gc.get_referrers(holder)
    )


def _is_tool(holder: Any) -> bool:
    """Return whether a holder keeps what a test was called with."""
    module = getattr(type(holder), "__module__", None)
    return type(module) is str and module.partition(".")[0] in _TOOLS


def _named(holder: Any, part: Any) -> tuple[str, Any]:
    """Return a text for a holder, and the object that it belongs to, or None."""
    if type(holder) is dict:
        at = next((key for key, value in list(holder.items()) if value is part), None)
        module = sys.modules.get(holder["__name__"]) if type(holder.get("__name__")) is str else None
        if module is not None and vars(module) is holder:
            return f"{module.__name__}.{at}", module
        owner = next((each for each in gc.get_referrers(holder) if _attributes(each) is holder), None)
        if owner is not None:
            return f"a {type(owner).__name__} object as .{at}", owner
        return f"a dict as {_core.words_for(at)}", None
    if isinstance(holder, (list, tuple)):
        return f"a {type(holder).__name__}", None
    if isinstance(holder, types.FunctionType):
        return f"the function {holder.__qualname__}", holder
    attributes = _attributes(holder)
    name = next((name for name, value in attributes.items() if value is part), None)
    return f"a {type(holder).__name__} object" + (f" as .{name}" if name else ""), holder


def _attributes(holder: Any) -> dict[str, Any]:
    """Return the dict of an object, without running its code."""
    try:
        found = object.__getattribute__(holder, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _path_to(obj: Any, part: Any) -> tuple[Any, ...]:
    """Return the path of a part, () if it is too far away."""
    seen: set[int] = set()
    todo: list[tuple[tuple[Any, ...], Any]] = [((), obj)]
    for path, each in todo:
        if each is part:
            return path
        if id(each) in seen or type(each) not in _core.CONVERTED or len(todo) > _SEARCHED:
            continue
        seen.add(id(each))
        pairs = dict.items(each) if isinstance(each, dict) else enumerate(each)
        todo.extend(((*path, key), value) for key, value in pairs if type(value) in _core.CONVERTED)
    return ()
