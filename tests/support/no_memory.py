"""Make every allocation of every mutator fail, and check what is left.

``_testcapi.set_nomemory`` fails allocation number N: that one alone, and in a second round everything from it on. Each
N runs in a forked child, until a call succeeds. The sentence that is checked: the container is as it was, or it is
changed and the change is recorded; its structures are sound, the collector is on as before, and nothing crashes.

    python tests/support/no_memory.py [--sample N] [--verbose] [word ...]

A word selects the cases that have it in their name. ``--sample N`` tries one allocation out of N. The exit status is 1
if a case failed.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import functools
import gc
import linecache
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pydatatracker import (
    HistoryLostError,
    RedactedError,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    UndoConflictError,
    _core,
)
from pydatatracker.change import rewind
from pydatatracker.history.transaction import tracking_transaction

INTERPRETER = "the interpreter crashed in PyContextVar_Set"
PAST = 8  # successful calls in a row that end a case: some failures are absorbed


class Key:
    """A key whose ``__eq__`` is Python code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.name == other.name


class Thing(TrackedAttr):
    """An object with attributes."""


class Slotted(TrackedAttr):
    """The same with slots."""

    __slots__ = ("a", "b")


A, B, NEW = Key("a"), Key("b"), Key("new")
CHILD = "child"  # is replaced by a tracked list with a child of its own

Call = Callable[[Any, Any], Any]
DICT: dict[str, Call] = {
    "d[old] = v": lambda d, c: d.__setitem__("a", 10),
    "d[new] = v": lambda d, c: d.__setitem__("new", 10),
    "d[new] = []": lambda d, c: d.__setitem__("new", [1]),
    "d[old] = child": lambda d, c: d.__setitem__("a", c),
    "d[Key] = v": lambda d, c: d.__setitem__(A, 10),
    "d[new Key] = child": lambda d, c: d.__setitem__(NEW, c),
    "d[child] = v": lambda d, c: d.__setitem__("c", 1),
    "del d[k]": lambda d, c: d.__delitem__("a"),
    "del d[child]": lambda d, c: d.__delitem__("c"),
    "setdefault": lambda d, c: d.setdefault("new", 10),
    "setdefault child": lambda d, c: d.setdefault("new", c),
    "setdefault Key": lambda d, c: d.setdefault(NEW, c),
    "pop": lambda d, c: d.pop("a"),
    "pop child": lambda d, c: d.pop("c"),
    "popitem": lambda d, c: d.popitem(),
    "clear": lambda d, c: d.clear(),
    "update dict": lambda d, c: d.update({"a": 10, "n1": 1, "n2": 2, "n3": 3, "n4": 4, "n5": 5, "n6": 6}),
    "update children": lambda d, c: d.update({"a": c, "n1": c, "n2": TrackedDict(), "n3": 1, "n4": 1, "n5": 5}),
    "update pairs": lambda d, c: d.update([("a", 10), ("n1", c), ("n2", [1])]),
    "update Keys": lambda d, c: d.update({A: 1, NEW: c}),
    "update kwargs": lambda d, c: d.update(a=1, n1=c),
    "update both": lambda d, c: d.update({"a": 3}, n1=c),
    "|=": lambda d, c: d.__ior__({"a": 10, "n1": c}),
    "lock": lambda d, c: d.lock(),
    "undo": lambda d, c: d.tracking_undo(),
    "__init__": lambda d, c: d.__init__({"a": 4, "n1": c}),
}
LIST: dict[str, Call] = {
    "append": lambda items, c: items.append(10),
    "append list": lambda items, c: items.append([1]),
    "append child": lambda items, c: items.append(c),
    "insert": lambda items, c: items.insert(1, 10),
    "insert child": lambda items, c: items.insert(0, c),
    "extend list": lambda items, c: items.extend([7, 8, 9, 10, 11]),
    "extend children": lambda items, c: items.extend([c, TrackedDict(), c, [1]]),
    "extend iterator": lambda items, c: items.extend(iter([7, c, [8], 9, c])),
    "+=": lambda items, c: items.__iadd__([1, c]),
    "*=": lambda items, c: items.__imul__(3),
    "pop": lambda items, c: items.pop(),
    "pop child": lambda items, c: items.pop(2),
    "remove": lambda items, c: items.remove(2),
    "clear": lambda items, c: items.clear(),
    "reverse": lambda items, c: items.reverse(),
    "sort": lambda items, c: items.sort(key=str, reverse=True),
    "l[i] = v": lambda items, c: items.__setitem__(0, 10),
    "l[i] = child": lambda items, c: items.__setitem__(0, c),
    "l[child] = v": lambda items, c: items.__setitem__(2, 10),
    "l[a:b] = items": lambda items, c: items.__setitem__(slice(1, 3), [7, c, 9, 10]),
    "l[a:b] = iterator": lambda items, c: items.__setitem__(slice(1, 3), iter([7, c])),
    "l[::2] = items": lambda items, c: items.__setitem__(slice(None, None, 2), [c, 8]),
    "del l[i]": lambda items, c: items.__delitem__(0),
    "del l[a:b]": lambda items, c: items.__delitem__(slice(1, 3)),
    "del l[::2]": lambda items, c: items.__delitem__(slice(None, None, 2)),
    "undo": lambda items, c: items.tracking_undo(),
    "__init__": lambda items, c: items.__init__([4, c]),
}
SET: dict[str, Call] = {
    "add": lambda s, c: s.add(10),
    "add child": lambda s, c: s.add(c),
    "add Key": lambda s, c: s.add(NEW),
    "discard": lambda s, c: s.discard(1),
    "remove child": lambda s, c: s.remove(next(each for each in set.__iter__(s) if type(each) is Thing)),
    "pop": lambda s, c: s.pop(),
    "clear": lambda s, c: s.clear(),
    "update": lambda s, c: s.update({7, 8, 9, 10, 11, 12, 13}),
    "update child": lambda s, c: s.update({7, c}),
    "update iterators": lambda s, c: s.update([7, c], [NEW]),
    "difference_update": lambda s, c: s.difference_update({1, 2}),
    "difference_update list": lambda s, c: s.difference_update([1, A]),
    "intersection_update": lambda s, c: s.intersection_update({1, 7}),
    "symmetric_difference_update": lambda s, c: s.symmetric_difference_update({1, 7}),
    "|=": lambda s, c: s.__ior__({7, c}),
    "&=": lambda s, c: s.__iand__({1}),
    "-=": lambda s, c: s.__isub__({1}),
    "^=": lambda s, c: s.__ixor__({1, 7}),
    "undo": lambda s, c: s.tracking_undo(),
    "__init__": lambda s, c: s.__init__([1, 9]),
}
ATTR: dict[str, Call] = {
    "o.old = v": lambda o, c: setattr(o, "a", 10),
    "o.new = v": lambda o, c: setattr(o, "new", 10),
    "o.new = list": lambda o, c: setattr(o, "new", [1]),
    "o.old = child": lambda o, c: setattr(o, "a", c),
    "o.again = child": lambda o, c: setattr(o, "a", o.c),
    "o.child = v": lambda o, c: setattr(o, "c", 1),
    "del o.a": lambda o, c: delattr(o, "a"),
    "del o.child": lambda o, c: delattr(o, "c"),
    "undo": lambda o, c: o.tracking_undo(),
}
SLOTS: dict[str, Call] = {
    "o.old = v": lambda o, c: setattr(o, "a", 10),
    "o.old = child": lambda o, c: setattr(o, "a", c),
    "o.child = v": lambda o, c: setattr(o, "b", 10),
    "del o.a": lambda o, c: delattr(o, "a"),
}


def child() -> Any:
    return TrackedList([TrackedList([1])])


def new_thing(**options: Any) -> Any:
    thing = Thing(**options)
    thing.a, thing.b, thing.c = 1, 2, child()
    return thing


def new_slotted(**options: Any) -> Any:
    thing = Slotted(**options)
    thing.a, thing.b = 1, child()
    return thing


def new_dict(**options: Any) -> Any:
    d = TrackedDict({"a": 1, "b": 2, "c": child(), A: 3}, **options)
    d["b"] = 3
    return d


def new_list(**options: Any) -> Any:
    items = TrackedList([1, 2, child(), 4], **options)
    items[1] = 2
    return items


def new_set(**options: Any) -> Any:
    elements = TrackedSet([1, 2, A, new_thing()], **options)
    elements.add(3)
    return elements


KINDS: dict[str, tuple[Callable[..., Any], dict[str, Call]]] = {
    "dict": (new_dict, DICT),
    "list": (new_list, LIST),
    "set": (new_set, SET),
    "attr": (new_thing, ATTR),
    "slots": (new_slotted, SLOTS),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "observer": {},
    "nested": {},
    "two parents": {},
    "growing ring": {},
    "full ring": {"tracking_max_changes": 4},
    "no ring": {"tracking_max_changes": 0},
    "transaction": {},
    "convert": {"tracking_auto_convert": True},
    "stack": {"tracking_capture_stack": True},
    "snapshots": {"tracking_capture_snapshots": True},
    "no values": {"tracking_keep_values": False},
    "remember": {"tracking_remember_last": True, "tracking_max_changes": 4},
    "redact": {"tracking_redact": ["/zzz"]},
}


def prepare(mode: str, kind: str) -> tuple[Any, Any]:
    """Return (the container, what has to be kept alive)."""
    options = dict(OPTIONS[mode])
    container = KINDS[kind][0](**options)
    keep: Any = None
    if mode == "observer":
        container.tracking_add_observer(lambda change: None)
    elif mode == "nested":
        keep = TrackedDict(a=TrackedList([0, container]))
    elif mode == "two parents":
        keep = TrackedList([container, TrackedDict(x=container)]), TrackedDict(y=container)
    elif mode in ("growing ring", "full ring", "remember"):
        keep = TrackedList([container]) if mode == "growing ring" else None
        for _ in range(3 if mode != "growing ring" else 8 - len((keep or container).tracking_changes()) % 8 + 1):
            container.lock()
            container.unlock()
        if mode == "growing ring":
            root = keep
            while _core.logs(root)[-1].count < _core.logs(root)[-1].capacity:
                root.lock()
                if _core.logs(root)[-1].count == _core.logs(root)[-1].capacity:
                    _core.set_lock(root, False)
                    while _core.logs(root)[-1].count < _core.logs(root)[-1].capacity:
                        root.append(0)
                    break
                root.unlock()
    return container, keep


def new_child(kind: str) -> Any:
    return new_thing() if kind == "set" else child()


def frozen(value: Any, depth: int = 0) -> Any:
    """Return what a container holds, as plain values that compare."""
    value = _core.plain(value) if _core.tracker(value) is not None else value
    if isinstance(value, dict):
        return "dict", [(key, frozen(item)) for key, item in value.items()]
    if isinstance(value, list):
        return "list", [frozen(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return "set", {id(item) for item in value}
    return value


def unordered(value: Any) -> Any:
    """Return the same without the order of keys."""
    if isinstance(value, tuple) and value and value[0] == "dict":
        return "dict", {key: unordered(item) for key, item in value[1]}
    if isinstance(value, tuple) and value and value[0] == "list":
        return "list", [unordered(item) for item in value[1]]
    return value


def one(mode: str, kind: str, name: str, start: int, stop: int) -> str:
    """Run one call with failing allocations.

    Return "done", "ok", or what is wrong.
    """
    import _testcapi

    call = KINDS[kind][1][name]
    for warm in (True, False):
        container, keep = prepare(mode, kind)
        new = new_child(kind)
        manager: Any = tracking_transaction() if mode == "transaction" else contextlib.nullcontext()
        if warm:
            try:
                with manager:
                    call(container, new)
            except (HistoryLostError, RedactedError, UndoConflictError):
                return "done"  # with this option there is nothing to undo
            continue
        before = frozen(container)
        seq = _core.newest_seq()
        error: BaseException | None = None
        enabled = gc.isenabled()
        with manager:
            _testcapi.set_nomemory(start, stop)
            try:
                call(container, new)
            except BaseException as raised:
                error = raised
            finally:
                _testcapi.remove_mem_hooks()
            if error is not None and not isinstance(error, (MemoryError, SystemError)):
                return f"raised {type(error).__name__}: {error}"
            if gc.isenabled() != enabled:
                return "the collector was switched"
            after = frozen(container)
            changes = [change for change in container.tracking_changes() if change.seq > seq]
            try:
                container._check()
            except AssertionError as wrong:
                return f"_check: {str(wrong)[:100]}"
            log = _core.logs(container)[-1]
            log._check()
            if mode == "no ring":
                if after != before and log.last_dropped <= seq:
                    return "changed and not recorded"
            elif after != before and not changes:
                return "changed and not recorded"
            if mode in ("plain", "observer", "nested", "growing ring", "transaction", "convert", "stack", "snapshots"):
                if kind != "set" and changes and log.last_dropped <= seq:
                    rewound = frozen(rewind.state_at(container, seq))
                    if unordered(rewound) != unordered(before):
                        return "the records do not lead back"
                found = container.tracking_verify()
                if found is not None:
                    return f"tracking_verify: {str(found)[:100]}"
    del keep
    return "ok" if error is not None else "done"


def crash(name: str, trace: str) -> str:
    """Return what a crash is called, given what faulthandler wrote.

    PyContextVar_Set of CPython 3.11 to 3.13 releases a token that it could not make if its next allocation fails, too.
    Nobody can call it safely then, so those are not counted.
    """
    found = re.search(r'File "(.+)", line (\d+)', trace)
    line = linecache.getline(found[1], int(found[2])) if found else ""
    if name == "SIGSEGV" and "ScopeBlock(" in line:
        return INTERPRETER
    return f"crashed with {name}"


def injected(attempt: Callable[[int, int], str], every: bool, sample: int) -> Iterator[tuple[int, str]]:
    """Yield (N, result) until `attempt(N, M)` succeeds.

    Allocations from N on fail meanwhile, up to M if that is not 0.
    """
    succeeded = 0
    n = 1
    while succeeded < PAST and n < 2000:
        reader, writer = os.pipe()
        child_id = os.fork()
        if child_id == 0:
            os.close(reader)
            signal.alarm(20)
            result = "the check failed"
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                faulthandler.enable(writer)
                try:
                    result = attempt(n, 0 if every else n + 1)
                except BaseException as error:
                    result = f"the check raised {type(error).__name__}: {str(error)[:200]}"
                os.write(writer, result.encode("utf-8", "replace"))
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as pipe:
            result = pipe.read().decode()
        _, status = os.waitpid(child_id, 0)
        if os.WIFSIGNALED(status):
            result = crash(signal.Signals(os.WTERMSIG(status)).name, result)
        succeeded = succeeded + 1 if result == "done" else 0
        yield n, result
        n += sample


def asked(description: str | None) -> argparse.Namespace:
    """Return what the command line asks for, once the heap is settled."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="try one allocation out of N")
    parser.add_argument("--verbose", action="store_true", help="print every failure")
    parser.add_argument("words", nargs="*", help="run only cases with one of these words in their name")
    arguments = parser.parse_args()
    gc.collect()
    gc.freeze()
    return arguments


def main() -> int:
    """Run the cases that are selected and print the table."""
    arguments = asked(__doc__)
    tried = failed = 0
    print(f"{'case':46} {'tried':>6} {'failed':>6}  what is wrong")
    for mode in OPTIONS:
        for kind, (_, calls) in KINDS.items():
            row_tried = row_failed = 0
            kinds: dict[str, int] = {}
            for name in calls:
                case = f"{mode}: {kind} {name}"
                if arguments.words and not any(word in case for word in arguments.words):
                    continue
                attempt = functools.partial(one, mode, kind, name)
                for every in (False, True):
                    for n, result in injected(attempt, every, arguments.sample):
                        row_tried += 1
                        if result in ("ok", "done"):
                            continue
                        row_failed += result != INTERPRETER
                        kinds[result.split(":")[0]] = kinds.get(result.split(":")[0], 0) + 1
                        if arguments.verbose:
                            print(f"   {case}, {'from ' if every else ''}{n}: {result}", flush=True)
            if row_tried:
                said = ", ".join(f"{count} {what}" for what, count in sorted(kinds.items()))
                print(f"{mode + ': ' + kind:46} {row_tried:6} {row_failed:6}  {said}", flush=True)
            tried += row_tried
            failed += row_failed
    print(f"{'all':46} {tried:6} {failed:6}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
