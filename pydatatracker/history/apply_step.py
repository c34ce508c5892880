"""Apply a step to a container, tracked or plain: check, then change.

Before anything is changed, every path of the step is compared with what the log says was there. A container that is
not in the state that the log continues from is reported, and left as it is.
"""

from __future__ import annotations

import collections
import json
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING
from pydatatracker.history.steps import ReplicaError, Step, copied
from pydatatracker.values.encode import encode
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.standins import At, Cut, Redacted, Ref, Repr
from pydatatracker.values.text import shown

__all__ = [
    "NO_DATA",
    "apply_step",
    "change",
    "check",
    "fill",
    "fill_again",
    "refers",
    "resolved",
    "targets_of",
    "united",
]

_ADVICE = (
    "Lines are missing or out of order, or something else changed the replica;"
    " start again from an init line, or from a copy of the source"
)
_PROGRAM = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)  # not data
_LISTS = (list, collections.deque)
_IN_A_SET = At(None)  # an object there is not data
_KNOWN = (dict, list, set, collections.deque)
NO_DATA = frozenset(("lock", "unlock"))


def apply_step(container: Any, step: Step) -> None:
    """Apply a step to a container at all its paths.

    A path that leads through a withheld value is skipped: what is there is not known. So is one through a container
    that only another root's lines have. O(step). Raises ReplicaError if the step does not fit; then nothing was
    changed.
    """
    if step.action in NO_DATA:
        return
    targets = targets_of(container, step)
    if step.action == "init":
        for target, path in targets:
            fill(target, step.after, path, step)
        return
    for target, path in targets:
        check(container, target, path, step)
    shared: dict[int, Any] = {}
    if refers(step):
        targets = united(container, targets, step)
        step = resolved([(step.root, container)], step, shared)
    change(targets, step, shared)


def targets_of(container: Any, step: Step) -> list[tuple[Any, Any]]:
    """Return (what a step changes, path of the change) for each of its paths.

    O(paths). Raises ReplicaError if a path leads nowhere.
    """
    found = [(_walk(container, path[:-1] if step.is_slot else path, step), path) for path in step.paths]
    return [(target, path) for target, path in found if not isinstance(target, (Redacted, At))]


def change(targets: list[tuple[Any, Any]], step: Step, shared: dict[int, Any]) -> None:
    """Change targets as a step says. O(step).

    ``shared``: what is not copied for the second of them, by id.
    """
    done: set[int] = set()  # an object may be stored in several locations: it changes once
    for n, (target, path) in enumerate(targets):
        if id(target) in done:
            continue
        done.add(id(target))
        _do(target, path, step, (lambda value: value) if n == 0 else (lambda value: copied(value, dict(shared))))


def refers(step: Step) -> bool:
    """Return whether a new value of a step is, or has inside, a reference."""
    todo: list[Any] = [step.after, *(step.splice[2] if step.splice else ()), *(row[2] for row in step.rows)]
    met: set[int] = set()
    for each in todo:
        kind = type(each)
        if kind is At:
            return True
        if kind in (dict, list, tuple) and id(each) not in met:
            met.add(id(each))
            todo.extend(each.values() if kind is dict else each)
    return False


def united(container: Any, targets: list[tuple[Any, Any]], step: Step) -> list[tuple[Any, Any]]:
    """Return the targets of a step, of plain data as one object in all places.

    They are one in the data, and a reference inside may lead to it.
    """
    first = targets[0][0] if targets else None
    united = []
    for target, path in targets:
        at = path[:-1] if step.is_slot else path
        holder = _walk(container, at[:-1], step) if at else None
        if (
            isinstance(holder, (dict, list))
            and _core.tracker(holder) is None
            and type(target) is type(first)
            and target is not first
        ):
            holder[at[-1]] = target = first
        united.append((target, path))
    return united


def resolved(
    bases: list[tuple[str, Any]], step: Step, shared: dict[int, Any], known: dict[str, Any] | None = None
) -> Step:
    """Return a step with what its references name; nothing was applied yet.

    ``shared`` gets what they name, by id: no copy is made of it. Raises ReplicaError if a reference leads nowhere.

    :param bases: roots from which paths may lead, the best first, each as (id, value).
    :param known: containers by their id, where a line says who its containers are; gets those that are new.
    """
    made: dict[int, Any] = {}
    names = {id(value): name for value, name in step.ids} if known is not None else {}

    def resolve(value: Any) -> Any:
        name = names.get(id(value))
        if name is None or known is None:
            return filled(value)
        if id(value) in made:
            return made[id(value)]
        if type(value) is At:
            there = known[name] if name in known else filled(value)
        else:
            there = known.get(name)
            there = made[id(value)] = there if type(there) is type(value) else value  # what is inside may refer to it
            fill_again(there, filled_inside(value))
        if type(there) is not At:
            known[name] = there
            shared[id(there)] = there
        return there

    def filled(value: Any) -> Any:
        if type(value) is At:
            for root, container in bases:
                path = value.path if root == step.root else value.seen_from(root).path
                if path is not None:
                    there = _walk(container, path, step)
                    shared[id(there)] = there
                    return there
            return value if value.other is None else copied(value.other, {})
        if type(value) not in (dict, list, tuple):
            return value
        if id(value) in made:
            return made[id(value)]
        if type(value) is tuple:
            made[id(value)] = out = tuple([resolve(item) for item in value])
            return out
        made[id(value)] = value
        return filled_inside(value)

    def filled_inside(value: Any) -> Any:
        if type(value) is not set:
            for key, item in list(value.items() if type(value) is dict else enumerate(value)):
                value[key] = resolve(item)
        return value

    splice = step.splice
    return replace(
        step,
        after=resolve(step.after),
        splice=splice and (splice[0], splice[1], [resolve(item) for item in splice[2]]),
        rows=tuple((key, before, resolve(after)) for key, before, after in step.rows),
    )


def fill_again(there: Any, state: Any) -> None:
    """Give a dict, list or set the items of another one of its type. O(items)."""
    if there is state:
        return
    if type(state) is list:
        there[:] = state
    else:
        items = state.copy()
        there.clear()
        there.update(items)


def _walk(container: Any, path: tuple[Any, ...], step: Step) -> Any:
    """Return what is at a path; where a value on the way is withheld, that."""
    for n, key in enumerate(path):
        if isinstance(container, (Redacted, At)):
            break
        if isinstance(container, (set, frozenset)) and any(_is_of(key, element) for element in container):
            return _IN_A_SET
        try:
            container = container[key] if isinstance(container, (dict, tuple, *_LISTS)) else _attribute(container, key)
        except (LookupError, TypeError, AttributeError):
            raise ReplicaError(
                f"{step} does not fit: there is nothing at {to_pointer(path[: n + 1])}. " + _ADVICE
            ) from None
    return container


def _is_of(key: Any, element: Any) -> bool:
    """Return whether a key of a path names an object in a set: by its id."""
    return type(element) is Repr and (key == element or (type(key) is str and element.text.endswith(f" {key}>")))


def _attribute(target: Any, name: Any) -> Any:
    """Return an attribute that belongs to the object itself.

    Raises LookupError for all others. A log may come from anywhere: with ``__class__``, or a method and its
    ``__globals__``, a path could otherwise leave the data and reach into the program.
    """
    if _may_hold(target, name):
        held = getattr(target, "__dict__", {})
        if name in held:
            return held[name]
        if hasattr(type(getattr(type(target), name, None)), "__set__"):  # a slot, or a property
            return getattr(target, name)
    raise LookupError(name)


def _may_hold(target: Any, name: Any) -> bool:
    """Return whether a log may say that target has an attribute name."""
    if type(name) is not str or name.startswith("__") or isinstance(target, _PROGRAM):
        return False
    kind = getattr(type(target), name, None)
    return hasattr(type(kind), "__set__") or (hasattr(target, "__dict__") and not callable(kind))


def fill(target: Any, state: Any, path: tuple[Any, ...], step: Step) -> None:
    joins = _joins(target, state) if step.method == "again" else None
    if joins is not None:  # what set the state is still what did
        for holder, key, item in joins:
            holder[key] = item
        return
    if isinstance(state, (dict, list)):
        _put_instead(state, target)
    if isinstance(target, dict) and isinstance(state, dict):
        target.clear()
        target.update(state)
    elif isinstance(target, _LISTS) and isinstance(state, list):
        _hold(target, state)
    elif isinstance(target, set) and isinstance(state, set):
        target.clear()
        target.update(state)
    elif isinstance(state, dict) and not isinstance(target, _KNOWN):
        for key in state:
            _check_attribute(target, key, path, step)
        for key, value in state.items():
            setattr(target, key, value)
    else:
        raise ReplicaError(
            f"{step} does not fit: at {to_pointer(path) or 'the root'} is a {type(target).__name__}, and the log has a"
            f" {type(state).__name__} there"
        )


def _joins(target: Any, state: Any) -> list[tuple[Any, Any, Any]] | None:
    """Return what a target has as copies where a state has one container.

    As (holder, key, container). None if the target does not have this state otherwise. O(state).
    """
    if not target:
        return None
    joins = []
    places = {id(state): target}  # containers of the target by the ids of the state's
    taken = {id(target)}
    todo = [(target, state)]
    for one, other in todo:
        items: Any
        if type(other) is dict and isinstance(one, dict) and list(one) == list(other):
            items = [(key, one[key], item) for key, item in other.items()]
        elif type(other) is list and isinstance(one, list) and len(one) == len(other):
            items = [(key, one[key], item) for key, item in enumerate(other)]
        else:
            return None
        for key, held, item in items:
            if type(item) not in (dict, list):
                if not _agrees(held, item):
                    return None
            elif id(item) in places:
                if held is not places[id(item)]:
                    joins.append((one, key, places[id(item)]))
            elif id(held) in taken:
                return None
            else:
                places[id(item)] = held
                taken.add(id(held))
                todo.append((held, item))
    return joins


def _put_instead(state: Any, target: Any) -> None:
    """Have what refers to a state refer to what takes its place. O(state)."""
    met = {id(state)}
    todo = [state]
    for each in todo:
        if type(each) is tuple:
            todo.extend(item for item in each if type(item) in (dict, list, tuple))
            continue
        for key, item in list(each.items() if type(each) is dict else enumerate(each)):
            if item is state:
                each[key] = target
            elif type(item) in (dict, list, tuple) and id(item) not in met:
                met.add(id(item))
                todo.append(item)


def _held(target: Any, key: Any) -> Any:
    if isinstance(target, dict):
        return target.get(key, MISSING)
    if isinstance(target, _LISTS):
        return target[key] if isinstance(key, int) and 0 <= key < len(target) else MISSING
    if isinstance(target, set):
        return key if key in target else MISSING
    try:
        return _attribute(target, key)
    except (LookupError, AttributeError):
        return MISSING


def check(container: Any, target: Any, path: tuple[Any, ...], step: Step) -> None:
    """Raise ReplicaError unless target holds what the log says was there."""
    if not isinstance(target, _KNOWN):
        for key in (path[-1],) if step.is_slot else [row[0] for row in step.rows]:
            _check_attribute(target, key, path, step)
    for key, before in _expected(container, target, path, step):
        held = _held(target, key)
        if not _agrees(held, before):
            raise _unfit(container, step, (*path[:-1], key) if step.is_slot else (*path, key), before, held)


def _expected(container: Any, target: Any, path: tuple[Any, ...], step: Step) -> list[tuple[Any, Any]]:
    """Return (key, value) of what a step says was there.

    Raises ReplicaError if target cannot hold it.
    """
    if step.splice is not None:
        start, removed, _ = step.splice
        if not isinstance(target, _LISTS) or start > len(target):
            raise _unfit(container, step, path, f"an item before position {start}", MISSING)
        return [(start + n, item) for n, item in enumerate(removed)]
    if step.order is not None:
        if not isinstance(target, _LISTS) or sorted(step.order) != list(range(len(target))):
            raise _unfit(container, step, path, f"a list of {len(step.order)} items", target)
        return []
    if step.is_slot:
        if isinstance(target, _LISTS) and step.before is MISSING:
            if not isinstance(path[-1], int) or not 0 <= path[-1] <= len(target):
                raise _unfit(container, step, path, f"room for position {path[-1]}", MISSING)
            return []
        return [(path[-1] if not isinstance(target, set) else _element(step.before, step.after), step.before)]
    if isinstance(target, _LISTS):
        return [(key, before) for key, before, _ in step.rows if before is not MISSING]
    first: dict[Any, tuple[Any, Any]] = {}
    for key, before, after in step.rows:
        if key not in first:  # the first row of a key has what was there
            first[key] = (_element(before, after) if isinstance(target, set) else key, before)
    return list(first.values())


def _check_attribute(target: Any, name: Any, path: tuple[Any, ...], step: Step) -> None:
    if not _may_hold(target, name):
        raise ReplicaError(
            f"{step} does not fit: at {to_pointer(path[:-1] if step.is_slot else path) or 'the root'} is a"
            f" {type(target).__name__}, where a log cannot set an attribute {shown(name, 80)}"
        )


def _element(before: Any, after: Any) -> Any:
    return after if before is MISSING else before


def _unfit(container: Any, step: Step, path: tuple[Any, ...], expected: Any, held: Any) -> ReplicaError:
    say = {id(MISSING): "nothing"}
    expected, held = _allowed(container, path, expected), _allowed(container, path, held)
    there = say.get(id(held)) or shown(held, 80)
    was = say.get(id(expected)) or (expected if type(expected) is str else shown(expected, 80))
    return ReplicaError(
        f"{step} does not fit: at {to_pointer(path) or 'the root'} the log has {was}, the replica {there}. " + _ADVICE
    )


def _allowed(container: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a value at a path without what the replica's rules withhold."""
    for n in range(len(path) + 1):
        if _core.tracker(container) is not None:
            return _core.redacted_at(container, path[n:], value)
        if n < len(path):
            container = _held(container, path[n])
    return value


def _agrees(held: Any, logged: Any) -> bool:
    """Return whether a value is what the log says, as far as a log can tell.

    A value that was cut, redacted or written as its repr cannot be compared, and agrees with anything.
    """
    if held is logged or At in (type(held), type(logged)):
        return True
    if (held is MISSING) != (logged is MISSING):
        return False
    if isinstance(held, (str, int, type(None))) and type(held) is type(logged):
        return bool(held == logged)
    if _is_partial(logged) or _is_partial(held):
        return True
    return _agree_inside(held, logged) or _is_partial_inside(logged)


def _agree_inside(held: Any, logged: Any) -> bool:
    """Return whether two containers agree, down to what the log has.

    What it refers to is elsewhere, and compared there. O(what the log has).
    """
    todo = [(held, logged)]
    met: set[tuple[int, int]] = set()
    for one, other in todo:
        if one is other or At in (type(one), type(other)) or (id(one), id(other)) in met:
            continue
        met.add((id(one), id(other)))
        if type(other) is dict and isinstance(one, dict):
            mine, logged_there = _by_key(one), _by_key(other)
            if mine.keys() != logged_there.keys():
                return False
            todo.extend((mine[key], logged_there[key]) for key in logged_there)
        elif (type(other) is list and isinstance(one, _LISTS)) or (type(other) is tuple and isinstance(one, tuple)):
            if len(one) != len(other):
                return False
            todo.extend(zip(one, other, strict=True))
        elif not _is_partial(one) and not _is_partial(other) and encode(one, limit=None) != encode(other, limit=None):
            return False
    return True


def _by_key(items: dict[Any, Any]) -> dict[Any, Any]:
    """Return the items by their keys as a log compares these."""
    if {*map(type, items)} <= {str, int}:
        return items
    return {json.dumps(encode(key, limit=None)): item for key, item in dict.items(items)}


def _is_partial(value: Any) -> bool:
    return isinstance(value, (Cut, Ref, Repr, Redacted))


def _is_partial_inside(value: Any) -> bool:
    """Return True if a value holds one that could not be restored."""
    todo, seen = [value], set()
    while todo:
        each = todo.pop()
        if _is_partial(each):
            return True
        if isinstance(each, (dict, list, tuple, set, frozenset)) and id(each) not in seen:
            seen.add(id(each))
            todo.extend(each.values() if isinstance(each, dict) else each)
    return False


def _do(target: Any, path: tuple[Any, ...], step: Step, own: Callable[[Any], Any]) -> None:
    if isinstance(target, collections.deque) and not (step.is_slot or step.order is not None):
        items = list(target)
        _do(items, path, step, own)
        _hold(target, items)
    elif step.splice is not None:
        start, removed, inserted = step.splice
        target[start : start + len(removed)] = [own(item) for item in inserted]
    elif step.order is not None:
        if _core.tracker(target) is not None:  # as one change of order, so that the items stay the same objects
            _core.restore(target, "order", -1, MISSING, MISSING, tuple(step.order), _core.M_CODES["sort"])
            return
        items = list(target)
        _hold(target, [items[old] for old in step.order])
    elif step.is_slot:
        _put(target, path[-1], step.before, own(step.after), step.position)
    else:
        rows = step.rows
        if isinstance(target, list) and rows and rows[0][2] is MISSING:
            gone = [row for row in rows if row[2] is MISSING]  # from the end, so that the other indices stay valid
            rows = (*reversed(gone), *rows[len(gone) :])
        positions = step.position if type(step.position) is tuple and len(step.position) == len(rows) else None
        for n, (key, before, after) in enumerate(rows):
            _put(target, key, before, own(after), None if positions is None else positions[n])


def _hold(target: Any, items: list[Any]) -> None:
    """Let a list or deque hold other items."""
    if isinstance(target, list):
        target[:] = items
    else:
        target.clear()
        target.extend(items)


def _put(target: Any, key: Any, before: Any, after: Any, position: Any = None) -> None:
    if isinstance(target, set):
        if after is MISSING:
            target.discard(before)
        else:
            target.add(after)
    elif isinstance(target, _LISTS):
        if before is MISSING:
            target.insert(key, after)
        elif after is MISSING:
            del target[key]
        else:
            target[key] = after
    elif isinstance(target, dict):
        if after is MISSING:
            del target[key]
        elif type(position) is not int or key in target:
            target[key] = after
        elif _core.tracker(target) is not None:
            options = _core.describe(target)[4]
            if options.auto_convert > 0:  # a store converts by itself, and `restore` does not
                after = _core.convert(after, options)[0]
            _core.restore(target, "slot", -1, key, MISSING, after, _core.M_CODES["__setitem__"], 0, position)
        else:
            later = list(target.items())[position:]
            for each, _ in later:
                del target[each]
            target[key] = after
            target.update(later)
    elif after is MISSING:
        delattr(target, key)
    else:
        setattr(target, key, after)
