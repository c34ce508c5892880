"""For tests: fail when tracked data changes, or changes otherwise than expected, and show the guilty change.

The stack of each change is captured for the duration, whatever the container's own options say.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from pydatatracker import _core, stacks
from pydatatracker._core import MISSING, Observer
from pydatatracker.change import ChangeLogEntry
from pydatatracker.history.walk import plain_copy
from pydatatracker.pointer import parse_pointer

__all__ = ["ModifiedError", "assert_unmodified", "expect_changes"]

_FIRST = -(2**31)
_FRAMES = 40
_KEPT = 1000  # changes that are kept for the message; all are counted
_DATA = frozenset(("add", "update", "remove"))


class ModifiedError(AssertionError):
    """Tracked data changed though it should not have, or otherwise than expected.

    ``changes`` are the changes, oldest first (the first thousand); ``stacks`` the stack of each, as a StackSummary.
    """

    def __init__(self, message: str, changes: list[ChangeLogEntry], stacks: list[traceback.StackSummary]) -> None:
        super().__init__(message)
        self.changes = changes
        self.stacks = stacks


class _Watch:
    """Collects what happens at or below some containers, with stacks, whoever does it."""

    def __init__(self, containers: tuple[Any, ...], name: str) -> None:
        if not containers:
            raise TypeError(f"{name} needs a tracked container to watch")
        for container in containers:
            if _core.tracker(container) is None:
                raise TypeError(
                    f"{name} watches tracked containers, not {type(container).__name__};"
                    " wrap the data with pydatatracker.track() before it is handed out"
                )
        self._containers = containers
        self._observers: list[tuple[Any, Any]] = []
        self.changes: list[ChangeLogEntry] = []
        self.count = 0
        self._stacks: list[Any] = []

    def start(self) -> None:
        for container in self._containers:

            def note(change: ChangeLogEntry) -> None:
                # a container that is watched twice, or below another, tells once
                if change.action in _DATA and not any(change.seq == known.seq for known in self.changes[-20:]):
                    self.count += 1
                    if len(self.changes) < _KEPT:
                        self.changes.append(change)
                        self._stacks.append(_core.stack_of_caller(_FRAMES))

            self._observers.append((container, note))
            _core.add_observer(container, Observer(note, _FIRST, None, 0, False, True))

    def stop(self) -> None:
        for container, note in self._observers:
            _core.remove_observer(container, note)
        self._observers.clear()

    def stacks(self) -> list[traceback.StackSummary]:
        return [stacks.summary(stack) for stack in self._stacks]

    def error(self, headline: str, details: str = "") -> ModifiedError:
        """The error that shows the first change with its stack."""
        found = self.stacks()
        lines = [headline]
        if details:
            lines.append(details)
        if self.changes:
            lines += ["the first change:", guilty(self.changes[0], found[0])]
        return ModifiedError("\n".join(lines), self.changes, found)


def guilty(change: ChangeLogEntry, stack: traceback.StackSummary | None) -> str:
    """Return a change and the calls that led to it, in lines of their own. O(stack)."""
    who = f" by {change.actor}" if change.actor else ""
    text = f"  {change.pointer or 'the whole'}: {change.action} by {change.method}(){who}"
    if change.before is not MISSING or change.after is not MISSING:
        text += f", {_say(change.before)} -> {_say(change.after)}"
    if stack:
        text += "\n" + "".join(stack.format()).rstrip("\n")
    return text


def _say(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    words = _core.words_for(value)
    return words if len(words) <= 200 else words[:197] + "..."


class assert_unmodified:
    """Fail if the data at or below some containers changes in the block; the message shows who did it.

    Also what is changed and set back, or rolled back, fails. Locking is no change of data. If the block raises, its
    exception goes on, with a note that names the change. Works as ``async with``; sees changes of all threads.
    Costs a stack (some microseconds) a change. Raises ModifiedError, an AssertionError.

    >>> from pydatatracker import track
    >>> config = track({"ports": [80]})
    >>> with assert_unmodified(config):
    ...     sorted(config["ports"])
    [80]
    """

    def __init__(self, *containers: Any) -> None:
        self._watch = _Watch(containers, "assert_unmodified")
        self._containers = containers

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """What changed so far, oldest first."""
        return list(self._watch.changes)

    def _failure(self) -> ModifiedError | None:
        watch = self._watch
        if not watch.count:
            return None
        names = ", ".join(_name(container) for container in self._containers)
        times = "once" if watch.count == 1 else f"{watch.count} times"
        return watch.error(f"{names} was modified {times}, and should not have been")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.stop()
        failure = self._failure()
        if failure is None:
            return
        if error is None:
            raise failure
        error.add_note(str(failure))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _name(container: Any) -> str:
    name: str = container.tracking_name or type(container).__name__
    return name


class expect_changes:
    """Fail unless exactly these places change in the block, each from the one value to the other.

    ``expected``: {pointer: (before, after)}; MISSING for no value, ``...`` for any, a function of the value that says
    whether it is right. Compared is the state before the block with the one after it, so what is set and set back is
    no change. ``others="allow"``: places that are not named may change too. Raises ModifiedError, which lists what
    is missing, differs or was not expected. O(data), as both states are copied.

    >>> from pydatatracker import MISSING, TrackedDict
    >>> d = TrackedDict(a=1)
    >>> with expect_changes(d, {"/a": (1, 2), "/b": (MISSING, ...)}) as seen:
    ...     d.update(a=2, b=3)
    >>> len(seen.changes)
    1
    """

    def __init__(
        self,
        container: Any,
        expected: Mapping[str, tuple[Any, Any]],
        *,
        others: Literal["forbid", "allow"] = "forbid",
    ) -> None:
        self._watch = _Watch((container,), "expect_changes")
        if others not in ("forbid", "allow"):
            raise ValueError(f"others= takes 'forbid' or 'allow', not {others!r}")
        for pointer, pair in expected.items():
            parse_pointer(pointer)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"expected[{pointer!r}] is (before, after), not {pair!r}")
        self._container = container
        self._expected = dict(expected)
        self._others = others
        self._before: Any = None

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """What changed so far, oldest first."""
        return list(self._watch.changes)

    def __enter__(self) -> Self:
        self._before = plain_copy(self._container)
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.stop()
        if error is not None:
            return
        before, after = self._before, plain_copy(self._container)
        wrong = []
        for pointer, (was, now) in self._expected.items():
            parts = parse_pointer(pointer)
            held = _at(before, parts), _at(after, parts)
            for value, wanted, word in ((held[0], was, "before"), (held[1], now, "after")):
                if not _fits(value, wanted):
                    wrong.append(f"  {pointer} {word}: expected {_wish(wanted)}, found {_say(value)}")
        if self._others == "forbid":
            named = [parse_pointer(pointer) for pointer in self._expected]
            for parts, was, now in _differences(before, after, ()):
                if not any(parts[: len(each)] == each for each in named):
                    wrong.append(f"  /{'/'.join(parts)}: not expected, {_say(was)} -> {_say(now)}")
        if wrong:
            more = [] if len(wrong) <= 20 else [f"  and {len(wrong) - 20} more"]
            details = "\n".join([*wrong[:20], *more])
            raise self._watch.error(f"{_name(self._container)} changed otherwise than expected:", details)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _wish(wanted: Any) -> str:
    return "what fits the function" if _is_test(wanted) else _say(wanted)


def _is_test(wanted: Any) -> bool:
    return callable(wanted) and not isinstance(wanted, type) and wanted is not MISSING


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is ...:
        return True
    if _is_test(wanted):
        return bool(wanted(value))
    if value is MISSING or wanted is MISSING:
        return value is wanted
    return type(value) is type(plain_copy(wanted)) and bool(value == plain_copy(wanted))


def _at(state: Any, parts: tuple[str, ...]) -> Any:
    for part in parts:
        if isinstance(state, dict):
            state = next((state[key] for key in state if (key if type(key) is str else str(key)) == part), MISSING)
        elif isinstance(state, (list, tuple)):
            state = state[int(part)] if part.isdecimal() and int(part) < len(state) else MISSING
        elif isinstance(state, set):
            state = next((element for element in state if str(element) == part), MISSING)
        else:
            return MISSING
    return state


def _differences(a: Any, b: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any, Any]]:
    """The deepest places where two plain states differ, as the parts of their pointers."""
    if type(a) is type(b) and isinstance(a, dict):
        keys = [*a, *(key for key in b if key not in a)]
        pairs = [(str(key), a.get(key, MISSING), b.get(key, MISSING)) for key in keys]
    elif type(a) is type(b) and isinstance(a, list):
        size = max(len(a), len(b))
        pairs = [(str(n), a[n] if n < len(a) else MISSING, b[n] if n < len(b) else MISSING) for n in range(size)]
    elif type(a) is type(b) and isinstance(a, set):
        pairs = [(str(e), e, MISSING) for e in a - b] + [(str(e), MISSING, e) for e in b - a]
    else:
        same = a is b or (type(a) is type(b) and a == b)
        return [] if same else [(path, a, b)]
    return [found for part, was, now in pairs for found in _differences(was, now, (*path, part))]
