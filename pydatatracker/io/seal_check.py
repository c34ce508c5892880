"""The check of a sealed log: lines changed, removed, added or moved.

Needs no parsing of changes: a seal covers the bytes of its line. Memory: 48 bytes per line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, Protocol

from pydatatracker.io.checked_chain import CheckedChain, Line
from pydatatracker.io.checked_lines import LineCheck, SealReport, said
from pydatatracker.io.checked_roots import Root
from pydatatracker.io.compression import decompressed, is_file_error
from pydatatracker.io.reader import LogFormatError
from pydatatracker.io.seals import Mark, SealError, mark_of

__all__ = ["Root", "SealReport", "SealedRows", "check_seals"]

_ROOT: Final = re.compile("[0-9a-f]{64}")
_HASH: Final = 66  # bytes of a line from its hash to before the newline
_LONGEST: Final = 1 << 28  # bytes of a line
_MOST_MISSING: Final = 1 << 20  # lines in all that are missing; a number is easily written, and each costs memory


class SealedRows(Protocol):
    """A table with sealed lines: `pydatatracker.exporters.SealedTable`."""

    name: str
    takes_turns: bool  # no two writers can begin a chain without seeing each other's

    def sealed(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield chain, number and line, in this order, with a newline."""

    def differences(self) -> Iterator[str]:
        """Yield what is wrong with the rows that the lines are about.

        Called after `sealed` has ended.
        """


Source = str | os.PathLike[str] | IO[bytes] | SealedRows


def check_seals(
    sources: Source | Iterable[Source], *, key: str | None = None, roots: str | Iterable[str] = ()
) -> SealReport:
    """Check the seals of logs, and return a report.

    O(bytes). Plain, gzip and zstd.

    :param sources: a path, binary file or table (`pydatatracker.exporters.SealedTable`), or several: the parts of a
        rotated log in their order.
    :param key: the public key in hex (`keys.public_key`) with which every line must be signed for, by a root that
        covers it or a later line that names it. Without it, signatures are not checked.
    :param roots: one root or several, in hex, that were there once, as `JsonLinesExporter.write_root` returned them.
        One that is not found is a fault.
    :raises OSError: a file cannot be opened. ImportError: a key is given, and cryptography is not installed.
    :raises SealError: a root does not have 64 hex digits.

    >>> import os, tempfile
    >>> from pydatatracker.io.seals import Chain
    >>> path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    >>> chain = Chain()
    >>> lines = [chain.begin(), chain.seal(b'{"v":1,"action":"add"}'), chain.root_line()]
    >>> with open(path, "wb") as file:
    ...     written = file.write(b"".join(lines))
    >>> check_seals(path, roots=chain.root).faults
    []
    """
    roots = [_root(each) for each in ([roots] if isinstance(roots, str) else roots)]
    check = _Check(key)
    several: Any = sources
    if isinstance(sources, (str, bytes, os.PathLike)) or hasattr(sources, "read") or hasattr(sources, "sealed"):
        several = [sources]
    for source in several:
        if isinstance(source, (str, bytes, os.PathLike)):
            with open(source, "rb") as file:
                check.read(file, os.fsdecode(source))
        elif hasattr(source, "sealed"):
            check.read_table(source)
        else:
            name = getattr(source, "name", None)
            check.read(source, name if isinstance(name, str) else f"<{type(source).__name__}>")
    return check.report(roots)


def _root(given: str) -> str:
    root = given.strip().lower()
    if not _ROOT.fullmatch(root):
        raise SealError(
            f"a root has 64 hex digits, and {given!r} has not: verify --seal prints roots, write_root() returns one"
        )
    return root


class _Check:
    def __init__(self, key: str | None) -> None:
        self._key = key
        self._found = SealReport()
        self._order: dict[str, int] = {}  # of the files
        self._all: dict[str, list[CheckedChain]] = {}  # chains of all files, by id
        self._reader = LineCheck(self._found, key)

    def read(self, file: IO[bytes], name: str) -> None:
        """Check the lines of a file; what needs the others is left to `report`."""
        self._order.setdefault(name, len(self._order))
        line, raw = Line(name, 0, 0), b""
        try:
            for line, raw in _lines(file, name):
                self._reader.add(line, raw)
        except Exception as error:  # a torn gzip
            if not is_file_error(error):
                raise
            reason = f"reading stopped ({type(error).__name__}: {error})"
            self._reader.fault(Line(name, line.number + 1, line.offset + len(raw)), reason)
        if not line.number and self._key is not None:
            self._found.notes.append(f"{name}: is empty: there is no line that could be signed")
        self._keep(self._reader.end())

    def read_table(self, table: SealedRows) -> None:
        """Check the rows of a table."""
        self._order.setdefault(table.name, len(self._order))
        for n, (chain, number, raw) in enumerate(table.sealed(), 1):
            line = Line(table.name, n, number, chain)
            mark = mark_of(raw)
            if mark is not None and (mark.chain, mark.number) != (chain, number):
                self._reader.fault(line, f"was moved: it is {said(mark)}")
            self._reader.add(line, raw)
        chains = self._reader.end()
        strangers = sorted((chain for chain in chains if not chain.knows), key=lambda chain: chain.since)
        for other in strangers[1:]:
            line, what = other.line(1), "begins a chain that does not know of the others"
            if table.takes_turns:
                self._reader.fault(line, f"{what}: it is from another log")
            else:
                self._found.notes.append(
                    f"{line.name}: {line} of the chain {other.id} {what}: it is from another log, unless two writers"
                    " began together"
                )
        for reason in table.differences():
            self._found.faults.append(LogFormatError(table.name, 0, -1, reason))
        self._keep(chains)

    def _keep(self, chains: list[CheckedChain]) -> None:
        for chain in chains:
            self._all.setdefault(chain.id, []).append(chain)
        self._found.chains += len(chains)

    def report(self, roots: list[str]) -> SealReport:
        """Return the report, with what needs all files."""
        found, checked = self._found, self._reader.roots
        chains = [chain for same in self._all.values() for chain in same]
        followed: set[tuple[str, int]] = set()  # ends that the same writer names
        for chain in chains:
            for number, other, is_elsewhere in chain.links:
                if is_elsewhere:
                    followed.add((other.chain, other.number))
                    self._check_follows(chain, number, other)
        found.roots = list(checked.last.values())
        self._spread(chains)
        keys = {root.key: None for root in found.roots if root.key}
        if self._key is None and keys:
            found.notes.append(f"signed with the key {', '.join(keys)}: not checked without a public key")
        for chain in chains:
            if chain.covered < chain.count:
                self._say_uncovered(chain)
            elif chain.count and not chain.ends_in_root and (chain.id, chain.count) not in followed:
                found.notes.append(
                    f"{chain.name}: the chain {chain.id} ends without a root, at {chain.line(chain.count)}: its writer"
                    " was killed, failed or still writes, or its end was cut off before another chain began"
                )
            if chain.wrong_roots > 1:
                more = "root is" if chain.wrong_roots == 2 else "roots are"
                found.notes.append(f"{chain.name}: {chain.wrong_roots - 1:,} more {more} wrong in the chain {chain.id}")
        found.faults.sort(key=lambda error: (self._order.get(error.name, -1), error.line or 1 << 62))
        for root in roots:
            where = checked.stated.get(root)
            if root in checked.known:
                continue
            if where is not None:
                found.notes.append(
                    f"{where.name}: the root {root} is there, in {where}, but cannot be compared: lines at fault are"
                    " among those that it covers, or it is in one"
                )
                continue
            reason = f"the root {root} is missing: the end was cut off, or the log is another one"
            found.faults.append(LogFormatError(next(reversed(self._order), "(no file)"), 0, 0, reason))
        return found

    def _check_follows(self, chain: CheckedChain, number: int, other: Mark) -> None:
        there = self._all.get(other.chain, [])
        if not there:
            self._found.notes.append(f"{chain.name}: follows {said(other)}, which is in none of these files")
        elif not any(each.has(other) or each.is_vague(other.number) for each in there):
            self._reader.fault(chain.line(number), f"follows {said(other)}, which is missing or another one now")

    def _say_uncovered(self, chain: CheckedChain) -> None:
        first = chain.line(chain.covered + 1)
        left = chain.present(chain.covered + 1, chain.count)
        lines = "line" if left == 1 else f"{left:,} lines"
        if self._key is None:
            self._found.notes.append(
                f"{chain.name}: no root covers the last {lines} of the chain {chain.id}, from {first} on: whether lines"
                " are missing after that cannot be seen"
            )
        elif chain.last_bad > chain.covered and not chain.wrong_roots:  # it is named, and may be why
            self._found.notes.append(
                f"{chain.name}: the last {lines} of the chain {chain.id}, from {first} on, "
                f"{'is' if left == 1 else 'are'} not signed"
            )
        else:
            more = "" if left == 1 else f", and neither are the lines of its chain after it: {left:,} in all"
            self._reader.fault(first, f"is not signed{more}")

    def _spread(self, chains: list[CheckedChain]) -> None:
        """Cover lines that are named by a line that is covered."""
        changed = True
        while changed:
            changed = False
            for chain in chains:
                for number, other, _ in chain.links:
                    for there in self._all.get(other.chain, []) if number <= chain.covered else ():
                        if there.covered < other.number and there.has(other):
                            there.covered = other.number
                            changed = True


def _lines(file: IO[bytes], name: str) -> Iterator[tuple[Line, bytes]]:
    unpacked: Any = decompressed(file)
    if unpacked is None:
        unpacked = file
    else:
        import io

        unpacked = io.BufferedReader(unpacked, 1 << 18)
    number = offset = 0
    while raw := unpacked.readline(_LONGEST):
        number += 1
        yield Line(name, number, offset), raw
        offset += len(raw)
