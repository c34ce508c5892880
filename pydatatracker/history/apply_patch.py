"""Apply a JSON Patch (RFC 6902) to a live container: all of it or nothing.

Every operation uses the container's ordinary methods, so it is recorded, observed and refused by locks like any other
change. A plain dict or list inside a tracked container is never changed in place: the containers on the way to it are
copied and stored anew, so that the change is recorded and the transaction can roll it back.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydatatracker import _core
from pydatatracker._core import MISSING, DequeHook
from pydatatracker.history.transaction import tracking_transaction
from pydatatracker.history.walk import plain_copy
from pydatatracker.values.compare import equal_as_json
from pydatatracker.values.pickles import PicklableError
from pydatatracker.values.pointer import key_text, parse_pointer, to_pointer
from pydatatracker.values.standins import REDACTED

__all__ = ["PatchError", "apply_patch"]

_MEMBERS = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
_INDEX = re.compile("0|[1-9][0-9]{0,17}")
_BAD_ESCAPE = re.compile("~(?![01])")

Steps = tuple[str, ...]


class PatchError(PicklableError, ValueError):
    """A JSON patch cannot be applied; nothing was changed.

    ``number`` is the index of the operation in the patch.
    """

    def __init__(self, reason: str, number: int, operation: Any) -> None:
        super().__init__(reason, number, operation)
        self.reason = reason
        self.number = number
        self.operation = operation

    def __str__(self) -> str:
        return f"operation {self.number} of the patch, {_core.words_for(self.operation)}: {self.reason}"


class _WrongError(Exception):
    """What is wrong with an operation; a PatchError that names it is raised.

    ``unseen``: the same without the content of the operation, for a container with rules of `tracking_redact`.
    """

    def __init__(self, reason: str, unseen: str | None = None) -> None:
        super().__init__(reason)
        self.unseen = reason if unseen is None else unseen


class _Operation(NamedTuple):
    op: str
    path: Steps
    source: Steps
    value: Any


def apply_patch(container: Any, operations: Iterable[Mapping[str, Any]]) -> None:
    """Apply RFC 6902 operations to a tracked container, all or none.

    O(operations + size of their values). Values are copied; the container converts them as its options say. The path ""
    replaces the contents of the container, a segment below a tracked object is an attribute name, and elements of sets
    have no pointers. What is not tracked (a plain list in a TrackedDict) is copied first, O(its items).

    Raises PatchError for an operation that is malformed or does not fit, and TypeError for anything but a list of
    operations. What the container itself raises (TrackingLockedError, a validator) passes through with a note that
    names the operation. In each case everything is rolled back: the patch is a tracking_transaction, so observers are
    notified after all of it, and not at all if it failed.

    >>> from pydatatracker import track
    >>> d = track({"ports": [80]})
    >>> apply_patch(d, [{"op": "add", "path": "/ports/-", "value": 443}])
    >>> d
    {'ports': [80, 443]}
    >>> apply_patch(d, [{"op": "remove", "path": "/ports/0"}, {"op": "remove", "path": "/ports/7"}])
    Traceback (most recent call last):
    pydatatracker.history.apply_patch.PatchError: operation 1 of the patch, {'op': 'remove', 'path': '/ports/7'}: ...
    >>> d
    {'ports': [80, 443]}
    """
    if _core.tracker(container) is None:
        raise TypeError(f"a patch is applied to a tracked container, not to {type(container).__name__}; see track()")
    if isinstance(operations, (str, bytes, Mapping)):
        raise TypeError(f"a patch is a list of operations, not {type(operations).__name__}")
    listed = list(operations)
    read = []
    for number, operation in enumerate(listed):
        with _naming(container, number, operation):
            read.append(_read(operation))
    document = _Document(_core.object_watched(container) if isinstance(container, _core.Watching) else container)
    with tracking_transaction(container):
        for number, each in enumerate(read):
            with _naming(container, number, listed[number]):
                document.do(each)


@contextlib.contextmanager
def _naming(container: Any, number: int, operation: Any) -> Iterator[None]:
    try:
        yield
    except _WrongError as error:
        reason = error.unseen if _core.has_rules(container) else str(error)
        raise PatchError(reason, number, _shown(container, operation)) from None
    except Exception as error:
        shown = _core.words_for(_shown(container, operation))
        error.add_note(f"raised by operation {number} of the patch, {shown}")
        raise


def _shown(container: Any, operation: Any) -> Any:
    """Return an operation as an error may show it.

    What `tracking_redact` names is withheld.
    """
    if not _core.has_rules(container):
        return _core.redacted_at(container, (_core.ANY_KEY,), operation)
    if not isinstance(operation, Mapping):
        return REDACTED
    try:
        members = dict(operation.items())
    except Exception:  # a mapping of the program's own
        return REDACTED
    return {
        member if type(member) is str else REDACTED: _shown_member(container, members, member, value)
        for member, value in members.items()
    }


def _shown_member(container: Any, members: dict[Any, Any], member: Any, value: Any) -> Any:
    """Return a member of an operation, or REDACTED if a rule may match it."""
    if member == "op":
        return value if type(value) is str and value in _MEMBERS else REDACTED
    if member in ("path", "from"):
        return value if _is_pointer(value) else REDACTED
    if member != "value" or not _is_pointer(members.get("path")):
        return REDACTED
    return _core.redacted_at(container, parse_pointer(members["path"]), value)


def _is_pointer(value: Any) -> bool:
    try:
        return type(value) is str and _steps(value) is not None
    except _WrongError:
        return False


def _read(operation: Any) -> _Operation:
    if not isinstance(operation, Mapping):
        raise _WrongError(f"an operation is a mapping, not {type(operation).__name__}")
    op = operation.get("op", MISSING)
    if op is MISSING:
        raise _WrongError("the member 'op' is missing")
    if not isinstance(op, str) or op not in _MEMBERS:
        known = f"write one of {', '.join(_MEMBERS)}"
        raise _WrongError(
            f"there is no operation {_core.words_for(op)}; {known}",
            f"'op' is a {type(op).__name__} that names no operation; {known}",
        )
    for name in _MEMBERS[op]:
        if name not in operation:
            raise _WrongError(f"the member {name!r} is missing")
    path = _steps(operation["path"])
    source = _steps(operation["from"]) if "from" in _MEMBERS[op] else ()
    if op == "move" and len(source) < len(path) and path[: len(source)] == source:
        raise _WrongError("a value cannot be moved into itself")
    value = MISSING
    if "value" in _MEMBERS[op]:
        try:
            value = plain_copy(operation["value"])
        except (ValueError, LookupError) as error:
            raise _WrongError(str(error)) from None
    return _Operation(op, path, source, value)


def _steps(pointer: Any) -> Steps:
    if not isinstance(pointer, str):
        raise _WrongError(
            f"a pointer is a str, not {_core.words_for(pointer)}", f"a pointer is a str, not {type(pointer).__name__}"
        )
    if pointer and not pointer.startswith("/"):
        raise _WrongError(
            f"the pointer {pointer!r} must be empty or begin with '/'", "a pointer must be empty or begin with '/'"
        )
    if _BAD_ESCAPE.search(pointer):
        raise _WrongError(
            f"in the pointer {pointer!r} a '~' is not followed by 0 or 1",
            "in a pointer a '~' is not followed by 0 or 1",
        )
    return parse_pointer(pointer)


class _Document:
    """The live container as a JSON document."""

    def __init__(self, root: Any) -> None:
        self.root = root

    def do(self, operation: _Operation) -> None:
        op, path, source, value = operation
        if op == "test":
            there = self.get(path)
            if not equal_as_json(there, value):
                there, value = (_core.redacted_at(self.root, path, each) for each in (there, value))
                raise _WrongError(
                    f"the test failed: at {to_pointer(path)!r} is {_core.words_for(there)},"
                    f" not {_core.words_for(value)}"
                )
        elif op == "remove":
            self.remove(path)
        elif op == "copy":
            self.put(path, plain_copy(self.get(source)), True)
        elif op == "move":
            moved = self.get(source)
            if source != path:
                if path:
                    self.remove(source)
                self.put(path, moved, True)
        else:
            self.put(path, value, op == "add")

    def get(self, path: Steps) -> Any:
        at = self.root
        for n, step in enumerate(path):
            at = _member(at, step, path[:n])
        return at

    def put(self, path: Steps, value: Any, add: bool) -> None:
        """Store value at path.

        ``add``: insert it into a list, instead of replacing the item. A dict has one value for a key either way.
        """
        if not path:
            self.contents(value)
            return
        self.edit(path, lambda parent: _put(parent, path, value, add))

    def remove(self, path: Steps) -> None:
        if not path:
            raise _WrongError("the whole document cannot be removed")
        self.edit(path, lambda parent: _remove(parent, path))

    def edit(self, path: Steps, change: Callable[[Any], None]) -> None:
        """Change the container above path.

        One that is not tracked is changed in a copy, which is then stored in its stead.
        """
        parents = [self.root]
        for n, step in enumerate(path[:-1]):
            parents.append(_member(parents[-1], step, path[:n]))
        n = len(parents) - 1
        if _core.tracker(parents[n]) is not None or not isinstance(parents[n], (dict, list)):
            change(parents[n])
            return
        made = copy.copy(parents[n])
        change(made)
        while _core.tracker(parents[n - 1]) is None:
            n -= 1
            above = copy.copy(parents[n])
            _put(above, path[: n + 1], made, False)
            made = above
        _put(parents[n - 1], path[:n], made, False)

    def contents(self, value: Any) -> None:
        """Replace everything that the root holds."""
        root, value = self.root, plain_copy(value)
        if isinstance(root, dict) and isinstance(value, dict):
            for key in [key for key in dict.keys(root) if key not in value]:
                del root[key]
            root.update(value)
        elif isinstance(root, list) and isinstance(value, (list, tuple)):
            root[:] = value
        elif isinstance(root, DequeHook) and isinstance(value, (list, tuple)):
            root.clear()
            root.extend(value)
        elif isinstance(root, set) and isinstance(value, (list, tuple, set, frozenset)):
            try:
                new = set(value)
            except TypeError as error:
                raise _WrongError(f"a set cannot hold these elements: {error}") from None
            root.intersection_update(new)
            root.update(new)
        elif _is_object(root) and isinstance(value, dict):
            for name in _core.attributes(root).keys() - value.keys():
                _remove(root, (name,))
            for name, each in value.items():
                _put(root, (name,), each, True)
        else:
            raise _WrongError(
                f"the document is a {type(root).__name__}; a {type(value).__name__} cannot replace its contents"
            )


_SEQUENCES = (list, DequeHook)


def _put(parent: Any, path: Steps, value: Any, add: bool) -> None:
    step, above = path[-1], path[:-1]
    if isinstance(parent, _SEQUENCES):
        index = len(parent) if add and step == "-" else _index(parent, step, above, len(parent) + add)
        if add:
            parent.insert(index, value)
        else:
            parent[index] = value
        return
    old = _member(parent, step, above, MISSING if add else None)
    if isinstance(parent, dict):
        parent[step] = value
    else:
        if old is MISSING:
            _check_name(parent, step)
        setattr(parent, step, value)


def _like(parent: dict[Any, Any], step: str) -> Any:
    """Return the key that has this text and is not a str, or MISSING."""
    return next((key for key in dict.keys(parent) if type(key) is not str and key_text(key) == step), MISSING)


def _remove(parent: Any, path: Steps) -> None:
    step = path[-1]
    _member(parent, step, path[:-1])
    if isinstance(parent, _SEQUENCES):
        del parent[int(step)]
    elif isinstance(parent, dict):
        del parent[step]
    else:
        delattr(parent, step)


def _is_object(value: Any) -> bool:
    """Return True for an object whose attributes are remembered."""
    tracker = _core.tracker(value)
    return tracker is not None and tracker.kind == "attr"


def _member(parent: Any, step: str, above: Steps, default: Any = None) -> Any:
    """Return what parent holds at a segment.

    Raises if there is nothing, unless ``default`` is MISSING.
    """
    if isinstance(parent, dict):
        held = dict.get(parent, step, MISSING)
        kind = "key"
    elif isinstance(parent, _SEQUENCES):
        base: Any = list if isinstance(parent, list) else collections.deque
        return base.__getitem__(parent, _index(parent, step, above, len(parent)))
    elif _is_object(parent):
        held = _core.attributes(parent).get(step, MISSING)
        kind = "tracked attribute"
    else:
        whole = "; replace it as a whole" if isinstance(parent, (set, frozenset, tuple)) else ""
        raise _WrongError(f"a pointer cannot lead into the {type(parent).__name__} at {to_pointer(above)!r}{whole}")
    if held is MISSING and default is not MISSING:
        why = f"there is no {kind} {step!r} in the {type(parent).__name__} at {to_pointer(above)!r}"
        like = _like(parent, step) if isinstance(parent, dict) else MISSING
        if like is not MISSING:
            why += (
                f"; its key of this text is of type {type(like).__name__}, and a pointer names str keys only, so"
                f" replace the {type(parent).__name__} as a whole"
            )
        raise _WrongError(why)
    return held


def _index(parent: Any, step: str, above: Steps, end: int) -> int:
    at = f"the list at {to_pointer(above)!r}, which has {len(parent)} items"
    if step == "-":
        raise _WrongError(f"'-' is the position after the last item of {at}; only 'add' can use it")
    if not _INDEX.fullmatch(step):
        why = "has leading zeros" if step.isascii() and step.isdigit() and step[0] == "0" else "is not an index"
        raise _WrongError(f"{step!r} {why}; it names no item of {at}")
    if int(step) >= end:
        raise _WrongError(f"there is no index {step} in {at}")
    return int(step)


def _check_name(parent: Any, name: str) -> None:
    """Refuse a name that is not a tracked attribute.

    A patch from elsewhere must not reach methods or internals.
    """
    names = getattr(type(parent), "tracking_attributes_to_monitor", None)
    public = name.isidentifier() and not name.startswith("_") and not callable(getattr(type(parent), name, None))
    if not public or (names is not None and name not in names):
        raise _WrongError(f"{name!r} cannot be an attribute that a patch adds to a {type(parent).__name__}")
