"""Assertions: a block that must not, or must, change tracked data.

The stack of each change is captured for the duration of the block, whatever the container's own options say. pytest is
not required; with it, the plugin adds the changes to the report.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.history.walk import linked_copy
from pydatatracker.testing.expecting import Hiding, Segments, at, differences, fits, segments, touches, wish
from pydatatracker.testing.watching import Seen, Watch, name_of, printable, say
from pydatatracker.values.pickles import Handle, PicklableError

__all__ = ["ModifiedError", "assert_unmodified", "expect_changes"]

_SHOWN = 20  # paths of a kind in a message
_STACKS = 3  # of them with their whole stack


class ModifiedError(PicklableError, AssertionError):
    """Tracked data changed although it should not, or not as expected.

    ``changes`` are the offending changes, oldest first (the first thousand); ``stacks`` are the calls that led to each,
    as a StackSummary. It can be pickled.
    """

    def __init__(
        self,
        message: str = "",
        changes: Sequence[ChangeLogEntry] = (),
        stacks: Sequence[traceback.StackSummary] = (),
    ) -> None:
        super().__init__(message)
        self.changes = list(changes)
        self.stacks = list(stacks)

    def __reduce__(self) -> tuple[Any, ...]:
        # a FrameSummary has slots, which protocols 0 and 1 refuse
        make, arguments, state = super().__reduce__()
        stacks = [[(f.filename, f.lineno, f.name, f.line) for f in stack] for stack in self.stacks]
        return make, arguments, {**(state or {}), "stacks": stacks}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self.stacks = [
            stack
            if isinstance(stack, traceback.StackSummary)
            else traceback.StackSummary.from_list(
                [traceback.FrameSummary(file, line, name, line=source) for file, line, name, source in stack]
            )
            for stack in self.stacks
        ]


class _Block(Handle):
    """What both assertions share: a watch for the length of a block."""

    def __init__(self, containers: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        self._watch = Watch(containers, type(self).__name__)

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """What changed so far, oldest first; the first thousand changes."""
        return self._watch.changes

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True  # pytest shows the test, not us
        if not self._watch.is_on:
            raise RuntimeError(
                f"this {self._watch.name} is not entered, so it cannot be left; write it as a with statement, or call"
                " __exit__ once after __enter__"
            )
        self._watch.stop()
        self._judge(error)

    def _judge(self, error: BaseException | None) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self.__exit__(kind, error, trace)


def _error(lines: list[str], found: list[Seen]) -> ModifiedError:
    return ModifiedError("\n".join(lines), [each.change for each in found], [each.stack for each in found])


class assert_unmodified(_Block):
    """Fail if the data at or below some containers changes in the block.

    The message shows who changed it. Also data that is changed and set back, or rolled back, fails. Locking is not a
    change of data, and a refused change is not one either. If the block raises, its exception continues, with a note
    that names the change. It works as ``async with`` too, and sees changes of all threads and tasks, however few
    changes the container keeps. For a change that an observer makes, the stack is that of the statement that the
    observer was called for, unless tracking_capture_stack is on.

    O(depth of the stack) for each change, and O(records since) at the end. Raises ModifiedError, an AssertionError, and
    TypeError for what is not tracked.

    >>> from pydatatracker import track
    >>> config = track({"ports": [80]})
    >>> with assert_unmodified(config):
    ...     sorted(config["ports"])
    [80]
    """

    def __init__(self, *containers: Any) -> None:
        __tracebackhide__ = True
        super().__init__(containers)

    def _judge(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        watch = self._watch
        if not watch.count:
            return
        found = watch.seen()
        names = [name_of(container) for container in watch.changed]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        times = "once" if watch.count == 1 else f"{watch.count} times, first"
        lines = [f"{', '.join(names[:5])}{more} was modified {times}:", *found[0].lines()]
        if error is None:
            raise _error(lines, found)
        if not (
            isinstance(error, ModifiedError) and found[0].change in error.changes
        ):  # a block inside has reported it
            _add_note(error, "\n".join(lines))


def _add_note(error: BaseException, note: str) -> None:
    try:
        error.add_note(note)
    except Exception:  # an exception class without attributes: the block's own error matters more
        pass


class expect_changes(_Block):
    """Fail unless exactly these paths change in the block, as given.

    ``expected``: {pointer: (before, after)}, pointers as in RFC 6901. Values must match in type and value; `MISSING`
    means absent, ``...`` matches anything, a function of the value (as plain data) returns whether it is right, and an
    object such as ``pytest.approx`` decides by ``==``.

    The state before the block is compared with the state after it: what is set and set back did not change, and in a
    list each index stands for itself. What is below a named path belongs to it. ``others="allow"``: other paths may
    change too. If the block raises, nothing is checked.

    O(data), as both states are copied. Raises ModifiedError, which lists what did not change, what differs and what was
    not expected, with the newest change that touched each path; ValueError for an invalid pointer; TypeError for what
    is not tracked, and for a class as a value (write a function: ``lambda value: isinstance(value, int)``).

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
        __tracebackhide__ = True
        super().__init__((container,))
        if others not in ("forbid", "allow"):
            raise ValueError(f"others= takes 'forbid' or 'allow', not {others!r}")
        self._expected: dict[Segments, tuple[Any, Any]] = {}
        for pointer, pair in expected.items():
            place = segments(pointer)
            given: Any = pair
            if not isinstance(given, tuple) or len(given) != 2:
                what = f"a tuple of {len(given)}" if isinstance(given, tuple) else type(given).__name__
                raise TypeError(f"expected[{pointer!r}] is (before, after), not {what}")
            for wanted in pair:
                if isinstance(wanted, type):
                    raise TypeError(
                        f"expected[{pointer!r}]: is {wanted.__name__} the value or its class? Write"
                        f" lambda value: value is {wanted.__name__}, or isinstance(value, {wanted.__name__})"
                    )
            self._expected[place] = pair
        self._container = container
        self._others = others
        self._before: Any = None

    def __enter__(self) -> Self:
        if not self._watch.is_on:  # if it is on, start raises
            self._known: dict[int, tuple[Any, Any]] = {}
            self._before = linked_copy(self._container, self._known)
        return super().__enter__()

    def _judge(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        before, self._before = self._before, None
        if error is not None:
            return
        known: dict[int, tuple[Any, Any]] = {}
        after = linked_copy(self._container, known)
        hiding = Hiding(self._container, (after, before), (known, self._known))
        report = _Report(self._watch.seen(), before, after, hiding)
        for place, (was, now) in self._expected.items():
            old, new = at(before, place), at(after, place)
            wrong = [
                f"{word} it should have been {wanted}"
                for word, wanted in (
                    ("before", fits(old, was, hiding, place)),
                    ("after", fits(new, now, hiding, place)),
                )
                if wanted
            ]
            if not wrong:
                continue
            if next(differences(old, new, set()), None) is None:
                report.missing.append((place, f", expected {wish(was, hiding, place)} -> {wish(now, hiding, place)}"))
            else:
                report.different.append((place, f"; {' and '.join(wrong)}"))
        if self._others == "forbid":
            opened = {place[:n] for place in self._expected for n in range(len(place))}
            for place, _, _ in differences(before, after, opened):
                if not any(place[:n] in self._expected for n in range(len(place) + 1)):
                    report.unexpected.append((place, ""))
        if report.missing or report.different or report.unexpected:
            lines = [f"{name_of(self._container)} did not change as expected", *report.lines()]
            raise _error(lines, report.named or report.found)


class _Report:
    """What is wrong, as text, with the change that caused each."""

    def __init__(self, found: list[Seen], before: Any, after: Any, hiding: Hiding) -> None:
        self.found = found
        self.before, self.after = hiding.state(before), hiding.state(after)
        self._hiding = hiding
        self.missing: list[tuple[Segments, str]] = []
        self.different: list[tuple[Segments, str]] = []
        self.unexpected: list[tuple[Segments, str]] = []
        self._named: dict[int, Seen] = {}

    @property
    def named(self) -> list[Seen]:
        """The changes that the message names, oldest first."""
        return [self._named[seq] for seq in sorted(self._named)]

    def lines(self) -> list[str]:
        """Return the message. O(paths that are shown * changes)."""
        lines = []
        for headline, rows in (
            ("did not change:", self.missing),
            ("changed in another way:", self.different),
            ("should not have changed:", self.unexpected),
        ):
            if rows:
                lines.append(headline)
            for place, rest in rows[:_SHOWN]:
                states = self._states(place, rows is not self.missing)
                lines.append(f"  {printable(self._hiding.path(place)) or 'the whole'}: {states}{rest}")
                if rows is not self.missing:
                    lines += self._who(place)
            if len(rows) > _SHOWN:
                lines.append(f"  and {len(rows) - _SHOWN} more paths")
        return lines

    def _states(self, place: Segments, both: bool) -> str:
        """Return the values at a path before and after, or after only."""
        try:
            old, new = at(self.before, place), at(self.after, place)
        except ValueError:
            return "several keys have this text"
        return f"{say(old)} -> {say(new)}" if both else f"is {say(new)}"

    def _who(self, place: Segments) -> list[str]:
        for each in reversed(self.found):
            if touches(each.change, place):
                seen = each.change.seq in self._named
                frames = 40 if not seen and len(self._named) < _STACKS else 1
                self._named[each.change.seq] = each
                return each.lines("    ", frames)
        return ["    by no recorded change: it is in data that is not tracked, or bypassed tracking"]
