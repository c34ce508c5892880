"""The roots of logs (the containers that were logged) and their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from pydatatracker.cli.line_view import is_label
from pydatatracker.cli.replay.line_index import LineIndex, Source
from pydatatracker.cli.replay.logs import Logs, Report
from pydatatracker.history.replica_set import Groups
from pydatatracker.io.line import LogLine, read_json
from pydatatracker.io.parsing import Block
from pydatatracker.io.reader import LogFormatError

__all__ = ["Key", "Roots"]

Key = tuple[int | None, str]  # process and id of a root
OnLine = Callable[["Roots", int, LogLine], object]


class Roots:
    """The lines of logs by their root, in the order of ``seq``.

    A line that is about several roots is one of each. O(lines) time, 40 bytes per line and root. Closes its files as a
    context manager. Each error is reported once.

    :param foreign: called with (roots, index of the log, line) for each line that has no seq, and so no position in the
        order. By default the first one is reported.
    :param gap: called in the same way for each line that says that changes are missing.
    :param unlike: called in the same way for each line whose pointer and path name different paths.
    """

    def __init__(
        self,
        logs: Logs,
        on_error: Report,
        foreign: OnLine | None = None,
        gap: OnLine | None = None,
        unlike: OnLine | None = None,
    ) -> None:
        self.by_root: dict[Key, LineIndex] = {}
        self.names: dict[Key, str] = {}
        self._groups: dict[int | None, Groups] = {}  # by process: roots with a container in common
        self._together: dict[int | None, dict[str, list[LineIndex]]] = {}  # their lines, by group
        self.count = 0  # lines, each once
        self.cut = 0  # lines that left out some of the roots that they are about
        self.bar = logs.bar
        self._logs = logs
        self._on_error = on_error
        self._unlike = unlike
        self._sources: list[Source] = []
        try:
            self._sources += map(Source, logs.names)
            self._read(foreign, gap)
        except BaseException:
            self.close()
            raise
        for index in self.by_root.values():
            index.arrange()

    def _read(self, foreign: OnLine | None, gap: OnLine | None) -> None:
        if len(self._sources) == 1 and not self._sources[0].is_read_once:
            lines = self._add_blocks()
        else:
            lines = self._logs.numbered()
        first: tuple[int, LogLine] | None = None
        others = 0
        for number, line in lines:
            if line.is_gap:
                if gap is not None:
                    gap(self, number, line)
                continue
            if self._unlike is not None and line.v and not _agree(line.pointer, read_json(line.head.path)):
                self._unlike(self, number, line)
            if line.v != 0 and self._add_to_all(number, line):
                self.count += 1
                if line.head.ids:
                    self._groups.setdefault(line.pid, Groups()).add(line)
                self.cut += line.also_cut > 0
                continue
            if foreign is not None:
                foreign(self, number, line)
            elif first is None:
                first = number, line
            else:
                others += 1
        if first is not None:
            more = f", and {others:,} more like it" if others else ""
            self.report(*first, f"has no seq, so it cannot be put in order (written by version 0.1.0?){more}")

    def _add_blocks(self) -> Iterator[tuple[int, LogLine]]:
        """Add the lines that are of one root alone, by their heads.

        Yields the others as `Logs.numbered` does, the first line of each root among them.
        """
        unlike = self._unlike
        for block in self._logs.blocks("order" if unlike is None else "verify"):
            waiting: dict[Key, list[int]] = {}
            for n, head in enumerate(block.heads):
                key = (head.pid, head.root)
                if (
                    key in self.by_root
                    and head.v
                    and head.action != "gap"
                    and not (head.also or head.ids or head.also_cut)
                ):
                    waiting.setdefault(key, []).append(n)
                    if unlike is not None and not _agree(head.pointer, head.path):
                        line = block.line(n)  # the head of a slow block has its path as bytes
                        if not _agree(line.pointer, read_json(line.head.path)):
                            unlike(self, 0, line)
                    continue
                yield from self._add_waiting(block, waiting)  # before this one, as the file has them
                yield 0, block.line(n)
            yield from self._add_waiting(block, waiting)

    def _add_waiting(self, block: Block, waiting: dict[Key, list[int]]) -> Iterator[tuple[int, LogLine]]:
        for key, numbers in waiting.items():
            unusable = self.by_root[key].add_block(0, block, numbers)
            self.count += len(numbers) - len(unusable)
            for n in unusable:
                yield 0, block.line(n)
        waiting.clear()

    def _add_to_all(self, source: int, line: LogLine) -> bool:
        """Add a line to its roots; False if it has no usable seq."""
        return all(self._add(source, line, root) for root in line.roots)

    def _add(self, source: int, line: LogLine, root: str) -> bool:
        index = self.by_root.get((line.pid, root))
        if index is None:
            index = LineIndex(self._sources, root)
            if line.name and root == line.root:
                self.names[line.pid, root] = line.name
        if not index.add(source, line):
            return False
        self.by_root[line.pid, root] = index
        return True

    def together(self, key: Key) -> list[LineIndex]:
        """Return the lines of all roots in the group of a root.

        Roots that may have a container in common are a group. O(1), the first time O(roots).
        """
        pid, root = key
        groups = self._groups.get(pid)
        if groups is None:
            return [self.by_root[key]]
        if pid not in self._together:
            found: dict[str, list[LineIndex]] = {}
            for (each, name), index in self.by_root.items():
                if each == pid:
                    found.setdefault(groups.of(name), []).append(index)
            self._together[pid] = found
        return self._together[pid][groups.of(root)]

    def report(self, source: int, line: LogLine, reason: str) -> None:
        """Report an error in a line of a log."""
        self._logs.faults += 1
        self.bar.hide()
        self._on_error(LogFormatError(self._sources[source].name, line.line, line.offset, reason))

    def misfit(self, index: LineIndex, n: int, error: Exception) -> None:
        """Report that line n of a root contradicts the lines before it."""
        self._logs.faults += 1
        self.bar.hide()
        line, name = index[n], index.source(n).name
        reason = f"contradicts what the log says before it: {error}"
        self._on_error(LogFormatError(name, line.line, line.offset, reason))

    def labels(self) -> list[str]:
        """Return the labels of the roots as `show` prints them.

        The first one has none; the others have their name, or are #2, #3 and so on.
        """
        labels: list[str] = []
        for n, key in enumerate(self.by_root):
            label = f"@{self.names.get(key, '')}"
            usable = is_label(label[1:]) and label not in labels
            labels.append("" if n == 0 else label if usable else f"#{n + 1}")
        return labels

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for source in self._sources:
            source.close()


def _agree(pointer: str, path: Any) -> bool:
    """Return whether the pointer of a line names its path.

    So it does if the line has no path. O(path). Keys other than text are not compared: their text may be of Python
    code.
    """
    if path is None:
        return True
    if type(path) is not list:
        return False
    try:
        if pointer[1:] == "/".join(path) and pointer.count("/") == len(path) and "~" not in pointer:
            return pointer[:1] == "/" if path else not pointer
    except TypeError:  # not only text
        pass
    parts = pointer.split("/")
    if len(parts) != len(path) + 1 or parts[0]:
        return False
    for part, key in zip(parts[1:], path, strict=True):
        if part != key and type(key) is str and part != key.replace("~", "~0").replace("/", "~1"):
            return False
    return True
