"""The check of a sealed log: lines changed, removed, added or moved.

Needs no parsing of changes: a seal covers the bytes of its line. Memory: 48 bytes per line.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final, NamedTuple, Protocol

from pydatatracker.io.checked_chain import CheckedChain, Line
from pydatatracker.io.compression import decompressed, is_file_error
from pydatatracker.io.reader import LogFormatError
from pydatatracker.io.seals import MOST_TORN, SIGNED, Mark, SealError, is_seal_line, is_torn, leaf, mark_of, root_of

__all__ = ["Root", "SealReport", "SealedRows", "check_seals"]

_ROOT: Final = re.compile("[0-9a-f]{64}")
_HASH: Final = 66  # bytes of a line from its hash to before the newline
_LONGEST: Final = 1 << 28  # bytes of a line
_MOST_MISSING: Final = 1 << 20  # lines in all that are missing; a number is easily written, and each costs memory


class Root(NamedTuple):
    """The last root of a chain that was found to be right."""

    name: str  # of the file
    chain: str
    first: int  # number of the first of its lines in the chain
    last: int
    root: str
    key: str  # public key of what signed it, "" for none; checked if a key was given


@dataclass
class SealReport:
    """What a check of seals found: `faults` in the order of the lines."""

    faults: list[LogFormatError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)  # the last one of each chain
    lines: int = 0
    chains: int = 0


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
            f"a root has 64 hex digits, and {given!r} has not: verify --seal prints it, write_root() returns it"
        )
    return root


class _Check:
    def __init__(self, key: str | None) -> None:
        self._key = key
        self._found = SealReport()
        self._missing = 0  # lines that the chains lack
        self._order: dict[str, int] = {}  # of the files
        self._all: dict[str, list[CheckedChain]] = {}  # chains of all files, by id
        self._here: dict[str, CheckedChain] = {}  # those of the present file
        self._roots: dict[str, None] = {}
        self._last: dict[tuple[str, str], Root] = {}
        self._pending: list[tuple[Line, bytes]] = []  # lines without a seal, to be excused by the next line
        self._unsealed: list[Line] = []  # first and last line of a run of them

    def read(self, file: IO[bytes], name: str) -> None:
        """Check the lines of a file; what needs the others is left to `report`."""
        self._order.setdefault(name, len(self._order))
        self._here = {}
        line, raw = Line(name, 0, 0), b""
        try:
            for line, raw in _lines(file, name):
                self._add(line, raw)
        except Exception as error:  # a torn gzip
            if not is_file_error(error):
                raise
            reason = f"reading stopped ({type(error).__name__}: {error})"
            self._fault(Line(name, line.number + 1, line.offset + len(raw)), reason)
        self._blame_pending()
        self._end_run()
        self._keep()

    def read_table(self, table: SealedRows) -> None:
        """Check the rows of a table."""
        self._order.setdefault(table.name, len(self._order))
        self._here = {}
        for n, (chain, number, raw) in enumerate(table.sealed(), 1):
            line = Line(table.name, n, number, chain)
            mark = mark_of(raw)
            if mark is None:
                self._found.lines += 1
                self._fault(line, "was changed: its seal is damaged")
                continue
            if (mark.chain, mark.number) != (chain, number):
                self._fault(line, f"was moved: it is {_said(mark)}")
            self._add(line, raw)
        self._check_table_links(table.takes_turns)
        for reason in table.differences():
            self._found.faults.append(LogFormatError(table.name, 0, -1, reason))
        self._keep()

    def _check_table_links(self, takes_turns: bool) -> None:
        """Check what the rows name: rows have no order."""
        for chain in self._here.values():
            for number, other, is_elsewhere in chain.links:
                if not is_elsewhere:
                    self._check_link(chain.line(number), other, self._here.get(other.chain))
        strangers = sorted((chain for chain in self._here.values() if not chain.knows), key=lambda chain: chain.since)
        for chain in strangers[1:]:
            line, what = chain.line(1), "begins a chain that does not know of the others"
            if takes_turns:
                self._fault(line, f"{what}: it is from another log")
            else:
                self._found.notes.append(
                    f"{line.name}: {line} of the chain {chain.id} {what}: it is from another log, unless two writers"
                    " began together"
                )

    def _keep(self) -> None:
        for chain in self._here.values():
            self._all.setdefault(chain.id, []).append(chain)
        self._found.chains += len(self._here)

    # ---- line by line

    def _add(self, line: Line, raw: bytes) -> None:
        self._found.lines += 1
        mark = mark_of(raw)
        if mark is None:
            if len(self._pending) > 2 * MOST_TORN:
                self._blame_pending()
            self._pending.append((line, raw))
            return
        fields = _fields_of(raw) if is_seal_line(raw) else {}
        chain = self._here.get(mark.chain)
        covered = raw[: -_HASH - 1]
        if chain is None:
            chain = CheckedChain(mark, line)
            right = mark.number == 1 and mark.digest == leaf(chain.before[0], covered)
            if self._pending:
                self._excuse(fields if right else {})
            self._end_run()
            self._here[mark.chain] = chain
            if mark.number != 1:
                self._fault(line, f"{_said(mark)} has no beginning here: {_count(mark.number - 1)} before it missing")
                chain.is_clean = False
            elif not right:
                self._fault(line, "was changed: its hash is not that of the line")
                chain.is_clean = False
            elif fields.get("kind") != "begin":
                self._fault(line, "begins a chain without saying so")
            elif not fields.get("after") and line.number > 1 and len(self._here) > 1 and not line.chain:
                self._fault(line, "begins a chain that does not know of the lines before it: it is from another log")
            if self._can_follow(chain, mark.number - 1):
                chain.take(mark, line, (mark.digest, leaf(chain.before[0], covered)))
                self._look_at(chain, mark, line, fields, raw)
            return
        self._blame_pending()
        self._end_run()
        if mark.number <= chain.count:
            what = "is there twice" if mark.digest == chain.digest(mark.number) else "is out of order"
            self._fault(line, f"{_said(mark)} {what}: line {chain.count} of the chain stands before it")
            return
        if mark.number > chain.count + 1:
            missing = mark.number - chain.count - 1
            if not chain.is_lost:
                self._fault(line, f"{_count(missing)} missing before it, as {_said(mark)} follows line {chain.count}")
            chain.is_clean = False
            if self._can_follow(chain, missing):
                chain.take(mark, line, (mark.digest,))
            return
        hashes = [leaf(before, covered) for before in chain.before]
        if mark.digest not in hashes:
            self._fault(line, "was changed: its hash is not that of the line")
            chain.is_clean = False
        chain.take(mark, line, (mark.digest,) if hashes == [mark.digest] else (mark.digest, *hashes[:1]))
        if mark.digest in hashes:
            self._look_at(chain, mark, line, fields, raw)

    def _can_follow(self, chain: CheckedChain, missing: int) -> bool:
        """Return whether a chain goes on after missing lines.

        If it does not, its next lines are not faults again.
        """
        chain.is_lost = self._missing + missing > _MOST_MISSING
        if not chain.is_lost:
            self._missing += missing
        return not chain.is_lost

    def _look_at(self, chain: CheckedChain, mark: Mark, line: Line, fields: dict[str, Any], raw: bytes) -> None:
        """Check what a line about seals says."""
        if not fields:
            return
        if fields.get("chain") != chain.id:
            self._fault(line, f"is about the chain {fields.get('chain')}, and belongs to {chain.id}")
        if fields.get("kind") == "begin":
            chain.key = str(fields.get("key", ""))
            chain.knows = bool(fields.get("after"))
            since = fields.get("time_ns")
            chain.since = since if isinstance(since, int) else 0
            if mark.number != 1:
                self._fault(line, f"begins a chain in the middle, as {_said(mark)}")
        elif fields.get("kind") == "root":
            self._check_root(chain, mark, line, fields, raw)
        for text in [*_texts(fields.get("after")), *_texts([fields.get("follows")])]:
            other = mark_of(b',"seal":"' + text.encode() + b'"}\n')
            if other is None:
                self._fault(line, f"names a line by {text!r}, which is no seal")
                continue
            is_elsewhere = text == fields.get("follows")
            chain.links.append((mark.number, other, is_elsewhere))
            if not is_elsewhere and not line.chain:
                self._check_link(line, other, self._here.get(other.chain))

    def _check_link(self, line: Line, other: Mark, there: CheckedChain | None) -> None:
        if there is None or there.count < other.number:
            self._fault(line, f"was written after {_said(other)}, which is missing before it")
        elif there.is_clean and there.digest(other.number) != other.digest:
            self._fault(line, f"was written after {_said(other)}, which is another one now")

    def _check_root(self, chain: CheckedChain, mark: Mark, line: Line, fields: dict[str, Any], raw: bytes) -> None:
        first, last, root = fields.get("from"), fields.get("to"), str(fields.get("root"))
        is_clean, chain.is_clean = chain.is_clean, True
        start, chain.first = chain.first, mark.number
        if (first, last) != (start, mark.number - 1) or fields.get("lines") != mark.number - start:
            if is_clean:
                self._fault(line, f"has a root of lines {first} to {last}, and not of {start} to {mark.number - 1}")
            return
        if not is_clean:
            return
        if root != root_of(chain.digests[32 * (start - 1) : 32 * (mark.number - 1)]).hex():
            self._fault(line, f"has a root that is not that of lines {start} to {last} of its chain")
            return
        if fields.get("previous", "") != chain.root:
            self._fault(line, "does not name the root before it")
            return
        chain.root = root
        key = str(fields.get("key", ""))
        if chain.key != key or (key and not fields.get("signature")):
            self._fault(line, "has another key than the beginning of its chain" if key else "is not signed any more")
            return
        self._roots[root] = None
        if self._key is None:
            chain.covered = mark.number
        elif key != self._key:
            if key:
                self._fault(line, f"is signed with another key, {key}")
        else:
            from pydatatracker.io.keys import is_signed

            at = raw.rfind(b',"signature":"')
            if is_signed(key, str(fields["signature"]), SIGNED + raw[:at]):
                chain.covered = mark.number
            else:
                self._fault(line, "has a signature that is not that of its key")
        self._last.pop((line.name, chain.id), None)
        self._last[line.name, chain.id] = Root(line.name, chain.id, start, mark.number - 1, root, key)

    # ---- lines without a seal

    def _excuse(self, fields: dict[str, Any]) -> None:
        """Accept what a writer found when it began: a torn line, an empty one."""
        torn = _texts(fields.get("torn"))
        for line, raw in self._pending:
            if raw == b"\n" and fields:
                continue
            if hashlib.sha256(raw[:-1]).hexdigest() in torn and is_torn(raw):
                self._found.notes.append(
                    f"{line.name}: line {line.number} was torn already when the next one was written"
                )
                continue
            self._run(line, raw)
        self._pending.clear()

    def _blame_pending(self) -> None:
        for line, raw in self._pending:
            self._run(line, raw)
        self._pending.clear()

    def _run(self, line: Line, raw: bytes) -> None:
        if raw[-1:] != b"\n":
            self._end_run()
            self._fault(line, "is cut off: its end is missing, by a crash or by hand")
        elif b',"seal":"' in raw[-140:]:
            self._end_run()
            self._fault(line, "was changed: its seal is damaged")
        else:
            self._unsealed = [*self._unsealed[:1], line]

    def _end_run(self) -> None:
        if self._unsealed:
            first, last = self._unsealed[0], self._unsealed[-1]
            more = "" if first is last else f", nor has any up to line {last.number}"
            self._fault(first, f"has no seal{more}: added, changed or cut off")
            self._unsealed = []

    def _fault(self, line: Line, reason: str) -> None:
        if line.chain:
            error = LogFormatError(line.name, line.number, -1, f"row {line.offset} of the chain {line.chain} {reason}")
        else:
            error = LogFormatError(line.name, line.number, line.offset, reason)
        self._found.faults.append(error)

    # ---- the whole

    def report(self, roots: list[str]) -> SealReport:
        """Return the report, with what needs all files."""
        found = self._found
        chains = [chain for same in self._all.values() for chain in same]
        for chain in chains:
            for number, other, is_elsewhere in chain.links:
                there = self._all.get(other.chain, [])
                if is_elsewhere and not there:
                    found.notes.append(f"{chain.name}: follows {_said(other)}, which is in none of these files")
                elif is_elsewhere and not any(each.has(other) for each in there):
                    self._fault(chain.line(number), f"follows {_said(other)}, which is missing or another one now")
        found.roots = list(self._last.values())
        self._spread(chains)
        keys = {root.key: None for root in found.roots if root.key}
        if self._key is None and keys:
            found.notes.append(f"signed with the key {', '.join(keys)}: not checked without a public key")
        for chain in chains:
            left = chain.count - chain.covered
            if left and self._key is not None:
                line = chain.line(chain.covered + 1)
                self._fault(line, f"is not signed, and neither are the lines of its chain after it: {left:,} in all")
            elif left:
                found.notes.append(
                    f"{chain.name}: no root covers the last {left:,} lines of the chain {chain.id}, from"
                    f" {chain.line(chain.covered + 1)} on: whether lines are missing after them cannot be seen"
                )
        found.faults.sort(key=lambda error: (self._order.get(error.name, -1), error.line or 1 << 62))
        for root in roots:
            if root not in self._roots:
                reason = f"the root {root} is missing: the end was cut off, or the log is another one"
                found.faults.append(LogFormatError(next(reversed(self._order), "(no file)"), 0, 0, reason))
        return found

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


def _fields_of(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if type(found) is dict else {}


def _texts(given: Any) -> list[str]:
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _said(mark: Mark) -> str:
    return f"line {mark.number} of the chain {mark.chain}"


def _count(lines: int) -> str:
    return "1 line is" if lines == 1 else f"{lines:,} lines are"
