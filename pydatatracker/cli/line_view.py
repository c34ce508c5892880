"""Lines of a log as text for people: one line per change, in columns."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, NamedTuple

from pydatatracker.cli.change_text import path_of, values_of
from pydatatracker.cli.terminal import (
    COLOURS,
    cells,
    clean,
    cut,
    cut_left,
    escaped,
    pad,
    plain_columns,
    short,
    wants_colour,
)
from pydatatracker.io.line import LogLine
from pydatatracker.values.decode import decode
from pydatatracker.values.pointer import to_pointer

__all__ = ["Layout", "LineView", "json_line", "painter", "show", "texts"]

_SAMPLE: Final = 400  # lines of a log from which the widths of the columns are computed
_LABEL: Final = 40  # characters of a name that is shown before pointers
_ROOTS: Final = 100_000  # roots that get a label: memory stays bounded
_ALSO: Final = 20  # further paths that -v shows
_LONG: Final = 400  # characters of a value that has a line of its own
_CULPRIT: Final = 24  # characters of a file name and a line number
_ROOMY: Final = 72  # columns of a terminal that has room for culprits
_VALUE: Final = 60  # characters of a value if there is no terminal
_COLOUR: Final = {
    "add": "green",
    "update": "yellow",
    "remove": "red",
    "init": "cyan",
    "lock": "magenta",
    "unlock": "magenta",
    "gap": "red",
}


def show(
    lines: Iterable[LogLine | None], out: IO[str], how: Layout, before: Callable[[], object] | None = None
) -> None:
    """Print lines to out, one line of text per change.

    One pass, memory for 400 lines. None in lines flushes out.

    :param before: called before each line that goes to a terminal.
    """
    if before is not None and plain_columns(out) is None:
        before = None
    for text in texts(lines, out, how):
        if text is None:
            out.flush()
            continue
        if before is not None:
            before()
        out.write(text + "\n")
        if how.at_once:
            out.flush()
    out.flush()


def texts(lines: Iterable[LogLine | None], out: IO[str], how: Layout) -> Iterator[str | None]:
    """Yield the lines of text that `show` prints."""
    lines = iter(lines)
    if how.as_json:
        for line in lines:
            yield None if line is None else json_line(line)
        return
    sample = list(itertools.islice(lines, 0 if how.at_once else _SAMPLE))
    view = LineView(plain_columns(out), wants_colour(out), [line for line in sample if line is not None], how.labels)
    for line in itertools.chain(sample, lines):
        if line is None:
            yield None
            continue
        yield view.line(line)
        if how.verbose:
            yield from view.details(line, view.columns)


class Layout(NamedTuple):
    """How lines are shown."""

    as_json: bool = False
    at_once: bool = False  # lines that may arrive slowly are shown as they arrive
    verbose: bool = False
    labels: dict[tuple[int | None, str], str] | None = None  # of roots; None: they are numbered in order


def json_line(line: LogLine) -> str:
    """Return the line as it is in the log, without its newline.

    Control characters are escaped as in JSON.
    """
    text = line.raw.strip(b"\r\n").decode("utf-8", "replace")
    return escaped(text.replace("\r", " "))  # between two values; JSON allows none inside a string


class LineView:
    """Turns lines of a log into lines of text.

    :param columns: the width of the terminal, which no line exceeds; None: only values are cut.
    :param sample: lines to which the columns are fitted; by default they have usual widths.
    :param labels: the labels of roots; other roots are shown by their id (@8fe1...). By default all are numbered in
        the order in which they appear.
    :param culprits: whether a line ends with its culprit, where the sample has any and the terminal has room.
    """

    def __init__(
        self,
        columns: int | None,
        colour: bool,
        sample: list[LogLine] | None = None,
        labels: dict[tuple[int | None, str], str] | None = None,
        culprits: bool = True,
    ) -> None:
        self.roots: dict[tuple[int | None, str], str] = dict(labels or {})
        self.counts = labels is None  # all lines of the log are shown, so roots can be numbered
        self.columns = columns = columns and max(columns, 40)
        self.paint = painter(colour)
        self.time, self.clock = (23, "%Y-%m-%d %H:%M:%S") if columns is None or columns >= 100 else (12, "%H:%M:%S")
        if columns is not None and columns < 70:
            self.time = 8  # no milliseconds
        room = 200 if columns is None else columns
        widest = (9, min(24, room // 7), 6, room // 4)
        usual = (5, min(12, room // 7), 6, min(32, room // 4))
        self.seq, self.actor, self.action, self.pointer = self._fitted(sample, widest) if sample else usual
        self.culprit = self._room_of_culprits(sample or []) if culprits else 0

    def line(self, line: LogLine) -> str:
        """Return a line as text, without newline. O(width)."""
        if line.is_gap:
            return self._gap(line)
        fixed = self.columns is not None
        actor = clean(line.actor)
        pointer = self._labelled(line)
        head = [
            self.paint("dim", pad(self._time(line), self.time)),
            self.paint("dim", ("" if line.seq is None else str(line.seq)).rjust(self.seq)),
            self.paint("blue", pad(cut(actor, self.actor) if fixed else actor, self.actor)),
            self.paint(_COLOUR.get(line.action, "bold"), pad(cut(clean(line.action), self.action), self.action)),
            self.paint("bold", pad(cut_left(pointer, self.pointer) if fixed else pointer, self.pointer)),
        ]
        left = None
        if self.columns is not None:
            left = max(0, self.columns - self.time - max(self.seq, len(str(line.seq or ""))) - self.actor)
            left = max(0, left - self.action - self.pointer - 5 - (self.culprit and self.culprit + 2))
        before, after = values_of(line, _VALUE if left is None else max(left, 8))
        text = " ".join((*head, self._values(before, after, left))).rstrip()
        where = _short_culprit(line) if self.culprit else ""
        where = cut_left(where, self.culprit) if fixed else where
        return f"{text}  {self.paint('dim', where)}" if where else text

    def details(self, line: LogLine, columns: int | None) -> Iterator[str]:
        """Yield the lines that ``-v`` adds: culprit, context, stack, snapshots."""
        yield from self.culprit_of(line, columns)
        found: list[tuple[str, str]] = []
        found += [("context", f"{clean(str(key))} = {short(value, _LONG)}") for key, value in line.context.items()]
        if line.transaction:
            found.append(("transaction", clean(line.transaction)))
        also = line.also
        if also:
            shown = [self._label(line.pid, root, "") + clean(to_pointer(path)) for root, path in also[:_ALSO]]
            more = len(also) + line.also_cut - len(shown)
            found.append(("also", ", ".join(shown) + (f" and {more:,} more" if more else "")))
        for frame in line.stack:
            if type(frame) is not dict:  # 0.1.0 wrote text
                found.append(("stack", clean(frame.strip()) if type(frame) is str else short(frame, _LONG)))
                continue
            found.append(("stack", _call(frame)))
        for name in ("data_pre_change", "data_post_change"):
            if name in line.extra:
                found.append((name, short(decode(line.extra[name]), _LONG)))
        for name, text in found:
            yield self._detail(name, text, columns)

    def culprit_of(self, line: LogLine, columns: int | None) -> Iterator[str]:
        """Yield the line that names the culprit, if there is one."""
        frame = line.culprit
        if frame is not None:
            yield self._detail("culprit", _call(frame), columns)

    def _detail(self, name: str, text: str, columns: int | None) -> str:
        body = f"{' ' * 4}{name}: {text}"
        return self.paint("dim", body if columns is None else cut(body, columns))

    def _room_of_culprits(self, sample: list[LogLine]) -> int:
        """Return the width of the column of culprits, 0 if there is none."""
        widest = max((cells(_short_culprit(line)) for line in sample), default=0)
        if self.columns is None:
            return widest
        return min(widest, _CULPRIT, self.columns // 6) if self.columns >= _ROOMY else 0

    def _values(self, before: str | None, after: str | None, left: int | None) -> str:
        if left is not None and left < 4:
            return ""  # no room for an arrow and a letter
        if left is not None:
            room = max(0, left - 3 - (before is not None and after is not None))
            wide = cells(before or ""), cells(after or "")
            if sum(wide) > room:  # half for each; one gets what the other does not need
                half = room // 2
                share = wide[0] if wide[0] <= half else max(half, room - wide[1])
                before = None if before is None else cut(before, share)
                after = None if after is None else cut(after, room - share)
        parts = []
        if before is not None:
            parts.append(self.paint("red", before))
        if before is not None or after is not None:
            parts.append("->")
        if after is not None:
            parts.append(self.paint("green", after))
        return " ".join(parts)

    def _gap(self, line: LogLine) -> str:
        first, last = line.gap
        reason = f": {clean(line.reason)}" if line.reason else ""
        text = f"changes {first if first is not None else '?'}..{last if last is not None else '?'} are missing{reason}"
        text = " " * (self.time + self.seq + 2) + text
        return self.paint("red", text if self.columns is None else cut(text, self.columns))

    def _labelled(self, line: LogLine) -> str:
        """Return the path of a change, after the label of its root.

        The number of its further paths follows.
        """
        known = self._label(line.pid, line.root, line.name)
        if not line.head.also:
            return known + path_of(line)
        for root in line.roots[1:]:  # they have their numbers, as they appear here
            self._label(line.pid, root, "")
        return f"{known}{path_of(line)} +{len(line.also) + line.also_cut}"

    def _label(self, pid: int | None, root: str, name: str) -> str:
        known = self.roots.get((pid, root))
        if known is None:
            if self.counts and not self.roots:
                known = ""
            elif is_label(name) and f"@{name}" not in self.roots.values():
                known = f"@{name}"
            else:
                known = f"#{len(self.roots) + 1}" if self.counts else short_id(root)
            if len(self.roots) < _ROOTS:
                self.roots[pid, root] = known
            else:
                known = "#?"
        return known

    def _fitted(self, sample: list[LogLine], widest: tuple[int, ...]) -> list[int]:
        found = [1, 0, 6, 6]  # 6: no action is cut
        for line in sample:
            if not line.is_gap:
                texts = (str(line.seq or ""), clean(line.actor), clean(line.action), self._labelled(line))
                found = [max(width, cells(text)) for width, text in zip(found, texts, strict=True)]
        return [min(pair) for pair in zip(found, widest, strict=True)]

    def _time(self, line: LogLine) -> str:
        moment = line.created_time
        if moment is None:
            return ""
        moment = local(moment)
        text = moment.strftime(self.clock)
        return text if self.time == 8 else f"{text}.{moment.microsecond // 1000:03d}"


def local(moment: datetime.datetime) -> datetime.datetime:
    """Return a moment in local time, as `show` prints it."""
    try:
        return moment.astimezone()
    except (OverflowError, ValueError, OSError):  # the first or the last day of the calendar
        return moment


def _call(frame: dict[str, Any]) -> str:
    where = f"{frame.get('filename', '?')}:{frame.get('lineno', '?')} in {frame.get('name', '?')}"
    code = str(frame.get("line") or "").strip()
    return clean(where + (f": {code}" if code else ""))


def _short_culprit(line: LogLine) -> str:
    """Return the file and line of the culprit, as in ``shop.py:7``, or ""."""
    frame = line.culprit
    if frame is None:
        return ""
    parts = str(frame.get("filename", "?")).replace("\\", "/").rsplit("/", 2)
    name = "/".join(parts[-2:]) if parts[-1] in ("__init__.py", "__main__.py") else parts[-1]
    return clean(f"{name}:{frame.get('lineno', '?')}")


def is_label(name: str) -> bool:
    """Return whether a name of a container can stand before a pointer.

    >>> is_label("settings"), is_label("a/b")
    (True, False)
    """
    return bool(name) and len(name) <= _LABEL and name.replace("-", "_").replace(".", "_").isidentifier()


def short_id(root: str) -> str:
    """Return the label of a container that has no number.

    All containers of a process begin with the same 16 digits, so it has some of those and the number after them.

    >>> short_id("8fe10c2a5629f4bc8000000000000012")
    '@8fe10c2a-12'
    """
    if len(root) == 32 and root[16:24] == "80000000" and root.isalnum():
        return f"@{root[:8]}-{root[24:].lstrip('0')}"
    return f"@{clean(root[:8])}" if root else ""


def painter(colour: bool) -> Callable[[str, str], str]:
    """Return a function that colours text, or does nothing without colour."""
    return _painted if colour else _unpainted


def _painted(colour: str, text: str) -> str:
    bare = text.rstrip()
    return f"{COLOURS[colour]}{bare}{COLOURS['reset']}{text[len(bare) :]}" if bare else text


def _unpainted(colour: str, text: str) -> str:
    return text
