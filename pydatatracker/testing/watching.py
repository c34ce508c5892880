"""Watching containers for a test: every change, with its calls, as text.

An observer that runs before all others captures the stack of the thread that changes the data, as code objects and
offsets, not frames. Changes that it was not called for (an observer below it raised something that is not an Exception;
the block runs inside an observer) are found in the ring at the end.
"""

from __future__ import annotations

import collections
import itertools
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydatatracker import _core
from pydatatracker._core import MISSING, Observer
from pydatatracker.change.entry import DATA_ACTIONS, ChangeLogEntry
from pydatatracker.change.stack import Captured, culprit_of, summary
from pydatatracker.values.text import shortened, shown, text

__all__ = ["Seen", "Watch", "name_of", "printable", "say", "stack_lines"]

_FIRST = -(2**31)  # before all other observers
_FRAMES = 40  # of a stack, innermost
_DEEPEST = 512  # what the core captures at most
_KEPT = 1000  # changes that are kept for the message; all are counted
_LONGEST = 200  # characters of a value
_ROWS = 10  # of a bulk call


def _instead(given: Any, name: str) -> str:
    """Return what to give instead of an object that is not tracked."""
    try:
        is_model = _core.tracker(given.tracking) is not None
    except Exception:  # the object's own code
        is_model = False
    if is_model:
        return f"give its tracked fields, which are its attribute tracking: {name}(x.tracking)"
    if isinstance(given, (dict, list, set, collections.deque)):
        return "wrap the data with pydatatracker.track() before it is handed out"
    return "use @tracked or TrackedAttr for its class, or give the tracked containers in it"


class Seen(NamedTuple):
    """A change, the calls that led to it, and the thread that made it.

    The calls are innermost last; the thread is "" if it is the one that watches.
    """

    change: ChangeLogEntry
    stack: traceback.StackSummary
    thread: str

    def lines(self, indent: str = "  ", frames: int = _FRAMES) -> list[str]:
        """Return who did what where, then the culprit, then the calls.

        The number of lines and their length are bounded. O(frames).
        """
        change = self.change
        who = f" by {printable(text(change.actor))}" if change.actor else ""
        thread = f" in thread {printable(self.thread)}" if self.thread else ""
        where = printable(change.pointer) or "the whole"
        what = _what(change)
        line = f"{where}: {change.action} by {change.method}(){who}{thread}{what and ', '}{what}"
        culprit = culprit_of(self.stack)
        if culprit is None:
            return [indent + line, *stack_lines(self.stack, indent + "  ", frames)]
        lines = [indent + line, *stack_lines([culprit], indent + "  ")]
        if frames > 1 and len(self.stack) > 1:
            lines += [f"{indent}  in these calls, innermost last:", *stack_lines(self.stack, indent + "    ", frames)]
        return lines


class Watch:
    """Collects the changes at or below some containers, with stacks."""

    def __init__(self, containers: tuple[Any, ...], name: str, kept: int = _KEPT) -> None:
        __tracebackhide__ = True  # pytest shows the line that called
        if not containers:
            raise TypeError(f"{name} needs a tracked container to watch")
        for container in containers:
            if _core.tracker(container) is None:
                raise TypeError(
                    f"{name} watches tracked containers, not {type(container).__name__}; {_instead(container, name)}"
                )
        self.name = name
        self._most = kept
        self.containers = list({id(container): container for container in containers}.values())
        self.is_on = False
        self._clear()

    def _clear(self) -> None:
        self._kept: list[tuple[ChangeLogEntry, Captured | None, str]] = []
        self._more = itertools.count()  # counts those that are not kept, from any thread, without a lock
        self._uncounted = 0
        self._viewers: dict[int, None] = {}  # ids of the trackers that saw a change
        self._here: Captured = ((), b"")
        self._thread = 0
        self._last = threading.local()

    def start(self) -> None:
        """Start watching, with nothing collected yet.

        O(depth of the stack). Raises RuntimeError if it watches already.
        """
        if self.is_on:
            raise RuntimeError(f"this {self.name} is entered already; use another one for a nested block")
        self._clear()
        self.is_on = True
        self._here = _core.stack_of_caller(_DEEPEST)
        self._depth = min(len(self._here[0]) + _FRAMES, _DEEPEST)
        self._thread = threading.get_ident()
        self._since = _core.newest_seq()
        for container in self.containers:
            _core.add_observer(container, Observer(self._note, _FIRST, None, 0, False, True))

    def stop(self) -> None:
        """Stop watching. O(changes)."""
        end = _core.newest_seq()
        for container in self.containers:
            _core.remove_observer(container, self._note)
        self.is_on = False
        self._uncounted = next(self._more)
        if not self._uncounted:
            self._look_up(end)
        self._kept.sort(key=lambda kept: kept[0].seq)  # threads

    def _note(self, change: ChangeLogEntry) -> None:
        if change.action_code not in DATA_ACTIONS:
            return
        self._viewers[id(change.viewer)] = None
        # A container that is watched twice, or below another, sees one change several times in a row.
        if getattr(self._last, "seq", 0) == change.seq:
            return
        self._last.seq = change.seq
        if len(self._kept) >= self._most:
            next(self._more)
            return
        thread = "" if threading.get_ident() == self._thread else threading.current_thread().name
        self._kept.append((change, _core.stack_of_caller(self._depth), thread))

    def _look_up(self, end: int) -> None:
        known = {kept[0].seq for kept in self._kept}
        for container in self.containers:
            for change in _core.changes_of(container, self._since):
                if change.seq <= end and change.action_code in DATA_ACTIONS and change.seq not in known:
                    known.add(change.seq)
                    self._viewers[id(change.viewer)] = None
                    self._kept.append((change, None, ""))

    @property
    def count(self) -> int:
        """Number of changes, once it has stopped."""
        return len(self._kept) + self._uncounted

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """The changes so far, oldest first; the first thousand."""
        return [change for change, _, _ in list(self._kept)]

    @property
    def changed(self) -> list[Any]:
        """The containers that were changed, or something below them."""
        return [each for each in self.containers if id(_core.tracker(each)) in self._viewers]

    def seen(self) -> list[Seen]:
        """Return the changes with their stacks, oldest first.

        O(changes * frames).
        """
        return [Seen(change, self._stack(change, captured), thread) for change, captured, thread in self._kept]

    def _stack(self, change: ChangeLogEntry, captured: Captured | None) -> traceback.StackSummary:
        own = None if change.details is None else change.details.stack
        if captured is None:
            return _from_outside(summary(own))
        if own is not None and own[0] and _innermost(own) != _innermost(captured):
            return _from_outside(summary(own))  # an observer made it: it was delivered later, from elsewhere
        return _from_outside(summary(_inside(captured, self._here)))


def _inside(captured: Captured, here: Captured) -> Captured:
    """Return the calls from the function that watches on.

    What called that function is the same for all.
    """
    codes, offsets = captured[0], memoryview(captured[1]).cast("i")
    around, at = here[0], memoryview(here[1]).cast("i")
    same = 0
    most = min(len(codes), len(around)) - 1
    while same < most and codes[-1 - same] is around[-1 - same] and offsets[-1 - same] == at[-1 - same]:
        same += 1
    keep = min(len(codes) - same, _FRAMES)
    return codes[:keep], offsets[:keep].tobytes()


def _innermost(captured: Captured) -> traceback.FrameSummary | None:
    found = summary(captured)
    return found[-1] if found else None


def _from_outside(stack: traceback.StackSummary) -> traceback.StackSummary:
    """Leave out the calls inside pytest that lead to a test.

    One call is always left. O(frames).
    """
    first = 0
    while first < len(stack) - 1 and stack[first].filename.startswith(_runner()):
        first += 1
    return traceback.StackSummary.from_list(stack[first:])


def _runner() -> tuple[str, ...]:
    found = (getattr(sys.modules.get(name), "__file__", None) for name in ("_pytest", "pluggy", "pytest"))
    return tuple(file.removesuffix("__init__.py") for file in found if file)


# ---- text


def name_of(container: Any) -> str:
    """Return a container's name, or its type if it has none. O(1)."""
    name: str = container.tracking_name or type(container).__name__
    return printable(name)


def say(value: Any) -> str:
    """Return a value as bounded text; a `__repr__` that raises is named."""
    if value is MISSING:
        return "nothing"
    return printable(shown(value) if type(value) is str else text(value))


def printable(given: str) -> str:
    """Return text in one line of bounded length, without control characters.

    Every terminal and file can take it. O(text).
    """
    given = shortened(given, _LONGEST)
    if given.isprintable():
        return given
    return "".join(sign if sign.isprintable() else sign.encode("unicode-escape").decode() for sign in given)


def stack_lines(stack: Sequence[traceback.FrameSummary], indent: str, frames: int = _FRAMES) -> list[str]:
    """Return the innermost calls, each with its line of source.

    Innermost last. O(frames).
    """
    lines = []
    for frame in stack[max(0, len(stack) - frames) :]:
        lines.append(f"{indent}{frame.filename}:{frame.lineno} in {frame.name}")
        if frame.line:
            lines.append(f"{indent}    {printable(frame.line.strip())}")
    return lines


def _what(change: ChangeLogEntry) -> str:
    """Return what a change did, as text.

    Values that may have changed since are shown as they were then.
    """
    change = _core.as_shown(change)
    rare = change.details
    old_text, new_text = (None, None) if rare is None else (rare.old_text, rare.new_text)
    if change._shape == "slot":
        old = say(change.before) if old_text is None else printable(old_text)
        new = say(change.after) if new_text is None else printable(new_text)
        return f"{old} -> {new}"
    splice = change.splice
    if splice is not None:
        start, removed, inserted = splice
        old = say(list(removed)) if old_text is None else printable(old_text)
        return f"from /{start} on, {old} -> {say(list(inserted)) if new_text is None else printable(new_text)}"
    if change.order is not None:
        return f"the old positions in their new order: {say(list(change.order))}"
    rows = change.changes
    shown = [f"{say(key)}: {say(old)} -> {say(new)}" for key, old, new in rows[:_ROWS]]
    if len(rows) > _ROWS:
        shown.append(f"and {len(rows) - _ROWS} more")
    return "; ".join(shown)
