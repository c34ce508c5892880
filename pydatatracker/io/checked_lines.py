"""The check of the lines of a sealed log, one after the other.

What was done to one place is one fault: the lines after it are compared with what stood there before. A line whose hash
is wrong is compared with the next one, which was sealed after the right hash. A line after a gap waits for the next
one, which shows whether lines are missing or this one was moved.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from pydatatracker.io.checked_chain import CheckedChain, Line
from pydatatracker.io.checked_roots import CheckedRoots, Root
from pydatatracker.io.reader import LogFormatError
from pydatatracker.io.seals import MOST_TORN, Mark, genesis, is_seal_line, is_torn, leaf, mark_of

__all__ = ["LineCheck", "SealReport", "said"]

_HASH: Final = 66  # bytes of a line from its hash to before the newline
_MOST_MISSING: Final = 1 << 20  # lines in all that are missing; a number is easily written, and each costs memory
_MOST_STRAYS: Final = 1000  # lines at fault that may be the ones that a chain lacks
_MOST_TRIED: Final = 64  # chains that a line is tried in


@dataclass
class SealReport:
    """What a check of seals found: `faults` in the order of the lines."""

    faults: list[LogFormatError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)  # the last one of each chain
    lines: int = 0
    chains: int = 0


class LineCheck:
    """Check the lines of a file or table, one after the other; then the next.

    :param found: gets the faults and notes.
    :param key: the public key of the signatures, None for no check.
    """

    def __init__(self, found: SealReport, key: str | None) -> None:
        self._found = found
        self.roots = CheckedRoots(key, self.fault, found.notes.append)
        self._missing = 0  # lines that the chains lack
        self._start()

    def _start(self) -> None:
        self._here: dict[str, CheckedChain] = {}  # chains of the present file
        self._pending: list[tuple[Line, bytes]] = []  # lines without a seal, to be excused by the next line
        self._unsealed: list[Line] = []  # first and last line of a run of them
        self._is_damaged = False  # the first one has a seal
        self._strays: list[tuple[Line, bytes]] = []  # lines at fault that no chain has
        self._gaps: set[int] = set()  # lines before which others are missing

    def fault(self, line: Line, reason: str) -> None:
        """Report what is wrong with a line."""
        if line.chain:
            error = LogFormatError(line.name, line.number, -1, f"row {line.offset} of the chain {line.chain}: {reason}")
        else:
            error = LogFormatError(line.name, line.number, line.offset, reason)
        self._found.faults.append(error)

    def end(self) -> list[CheckedChain]:
        """Return the chains of the file, which has ended."""
        self._blame_pending()
        self._end_run()
        chains = list(self._here.values())
        for chain in chains:
            if chain.ahead is not None:
                self._take_after_gap(chain, *chain.ahead)
            roots = [line for line, raw in self._strays if self.roots.suspect(line, raw)]
            if chain.count and any(line.number > chain.numbers[-1] for line in roots):
                chain.last_bad = chain.count + 1  # its last root is at fault
        self._check_links(chains)
        self._start()
        return chains

    # ---- line by line

    def add(self, line: Line, raw: bytes) -> None:
        """Check the next line."""
        self._found.lines += 1
        mark = mark_of(raw)
        if mark is None:
            if line.chain:  # of a table
                self.fault(line, "was changed: its seal is damaged")
                self._stray(line, raw)
                return
            if len(self._pending) > 2 * MOST_TORN:
                self._blame_pending()
            self._pending.append((line, raw))
            return
        chain = self._here.get(mark.chain)
        if chain is None:
            self._add_unknown(mark, line, raw)
            return
        self._blame_pending()
        is_after_run = bool(self._unsealed)
        self._end_run()
        if chain.ahead is not None:
            ahead, chain.ahead = chain.ahead, None
            if mark.number < ahead[0].number:  # the lines before it come now: it was moved
                self._set_early(chain, *ahead)
            else:
                self._take_after_gap(chain, *ahead)
        if mark.number != chain.count + 1:
            renamed = _renamed(chain, mark, raw)
            if renamed is not None:
                self._take_renamed(chain, renamed, mark, line, raw)
            elif mark.number <= chain.count:
                self._take_late(chain, mark, line, raw)
            elif self._lacking(chain, mark.number) <= len(self._strays_between(chain, line)):
                self._bridge(chain, mark, line, raw)
            elif chain.is_lost:
                self._take_after_gap(chain, mark, line, raw)
            else:
                chain.ahead = mark, line, raw
                self._stray(line, raw)  # it may be what another chain lacks
            return
        hashes = [leaf(before, raw[: -_HASH - 1]) for before in chain.before]
        if mark.digest in hashes:
            self._settle(chain, hashes.index(mark.digest))
            chain.take(mark, line, (mark.digest,))
            self._look_at(chain, mark, line, raw)
            return
        if not is_after_run:  # else it may be the rest of a line that was cut in two
            self.fault(line, "was changed: its hash is not that of the line")
        self.roots.suspect_at(chain, mark.number, line, raw)
        chain.take(mark, line, (mark.digest, *hashes[:1]))
        chain.doubtful.add(mark.number)
        chain.blame(mark.number)

    @staticmethod
    def _settle(chain: CheckedChain, which: int) -> None:
        """Correct the hash of the last line by what the next one follows."""
        if which and chain.count:
            chain.set_digest(chain.count, chain.before[which])

    def _add_unknown(self, mark: Mark, line: Line, raw: bytes) -> None:
        """Check the first line of a chain in this file."""
        covered = raw[: -_HASH - 1]
        start = genesis(mark.chain)
        right = mark.number == 1 and mark.digest == leaf(start, covered)
        fields = _fields_of(raw)
        if not right:
            for known in [*self._here.values()][-_MOST_TRIED:]:
                renamed = _renamed(known, mark, raw)
                if renamed is not None:
                    self._blame_pending()
                    self._end_run()
                    self._take_renamed(known, renamed, mark, line, raw)
                    return
            said_chain = fields.get("chain")
            if isinstance(said_chain, str) and said_chain not in self._here and fields.get("kind") == "begin":
                first = CheckedChain(Mark(said_chain, 1, mark.digest), line)
                renamed = _renamed(first, mark, raw)
                if renamed is not None:
                    self._excuse(fields)
                    self._end_run()
                    self._here[said_chain] = first
                    self._take_renamed(first, renamed, mark, line, raw)
                    return
        if self._pending:
            self._excuse(fields if right else {})
        is_after_run = bool(self._unsealed)
        self._end_run()
        chain = CheckedChain(mark, line)
        others = len(self._here)
        self._here[mark.chain] = chain
        if mark.number != 1:
            if self._lacking(chain, mark.number) <= len(self._strays):
                self._bridge(chain, mark, line, raw)
            else:
                chain.ahead = mark, line, raw
                self._stray(line, raw)
            return
        chain.take(mark, line, (mark.digest,) if right else (mark.digest, leaf(start, covered)))
        if not right:
            if not is_after_run:
                self.fault(line, "was changed: its hash is not that of the line")
            self._stray(line, raw)
            chain.doubtful.add(1)
            chain.blame(1)
            return
        if fields.get("kind") != "begin":
            self.fault(line, "begins a chain without saying so")
        elif not fields.get("after") and line.number > 1 and others and not line.chain:
            self.fault(line, "begins a chain that does not know of the lines before it: it is from another log")
            self._stray(line, raw)
        self._look_at(chain, mark, line, raw)

    # ---- lines at another place than that of their number

    def _take_renamed(self, chain: CheckedChain, renamed: tuple[Mark, int], mark: Mark, line: Line, raw: bytes) -> None:
        """Take a line whose seal has another chain or number, at its place."""
        real, which = renamed
        self._settle(chain, which)
        self.fault(line, f"was changed: its seal calls it {said(mark)}, and it is {said(real)}")
        chain.take(real, line, (real.digest,))
        chain.blame(real.number)
        self._look_at(chain, real, line, raw)

    def _take_late(self, chain: CheckedChain, mark: Mark, line: Line, raw: bytes) -> None:
        """Take a line that should stand before others."""
        number = mark.number
        if mark.digest == chain.known(number) and chain.numbers[number - 1]:
            if not line.chain or line.offset == number:  # a row with another number is named already
                self.fault(line, f"{said(mark)} is there twice: line {chain.count} of the chain stands before it")
        elif (number - 1, line.number - 1) == chain.late[:2] and chain.is_vague(number):
            index = chain.late[2]
            first = self._found.faults[index]
            reason = first.reason.partition(", and so ")[0] + f", and so are the lines up to line {line.number}"
            self._found.faults[index] = LogFormatError(first.name, first.line, first.offset, reason)
            chain.late = number, line.number, index
        else:
            self.fault(line, f"{said(mark)} is out of order: line {chain.count} of the chain stands before it")
            chain.late = number, line.number, len(self._found.faults) - 1
        chain.blame(number)
        if not chain.numbers[number - 1]:
            chain.fill(number, mark.digest, line)
            self.roots.suspect_at(chain, number, line, raw)
        else:
            self._stray(line, raw)

    def _set_early(self, chain: CheckedChain, mark: Mark, line: Line, raw: bytes) -> None:
        self.fault(line, f"is in the wrong place: {said(mark)}, and line {chain.count + 1} is missing before it")
        if mark.number - chain.count <= _MOST_MISSING:
            chain.early.setdefault(mark.number, (mark.digest, line))
        chain.blame(chain.count)
        self.roots.suspect_at(chain, mark.number, line, raw)

    def _take_after_gap(self, chain: CheckedChain, mark: Mark, line: Line, raw: bytes) -> None:
        self._strays = [stray for stray in self._strays if stray[0] is not line]
        missing = self._lacking(chain, mark.number) - len(self._strays_between(chain, line))
        if missing > 0 and not chain.is_lost:
            self._gaps.add(line.number)
            if chain.count:
                self.fault(line, f"{_count(missing)} missing before it, as {said(mark)} follows line {chain.count}")
            else:
                self.fault(line, f"{said(mark)} has no beginning here: {_count(missing)} missing before it")
                self._stray(line, raw)
        self._bridge(chain, mark, line, raw)

    def _bridge(self, chain: CheckedChain, mark: Mark, line: Line, raw: bytes) -> None:
        """Go on after a gap, which is named as a fault already."""
        strays = self._strays_between(chain, line)
        lacking = self._lacking(chain, mark.number)
        if not self._can_follow(chain, lacking):
            return
        if not chain.count:
            chain.root = None
        covered = raw[: -_HASH - 1]
        before = chain.known(mark.number - 1)
        if before is None and mark.number == chain.count + 2 and strays:
            before = self._repaired(chain, strays, mark, covered)
        chain.blame(mark.number)
        self._strays = [stray for stray in self._strays if stray not in strays[:lacking]]
        chain.take(mark, line, (mark.digest,))
        if before is not None and leaf(before, covered) == mark.digest:
            chain.set_digest(mark.number - 1, before)
            self._look_at(chain, mark, line, raw)
        else:
            chain.doubtful.add(mark.number)
            self.roots.suspect_at(chain, mark.number, line, raw)

    @staticmethod
    def _repaired(chain: CheckedChain, strays: list[tuple[Line, bytes]], mark: Mark, covered: bytes) -> bytes | None:
        """Return the hash of the line before, if only its seal was damaged."""
        end = f',"seal":"{chain.id}.{chain.count + 1}.'.encode()
        for _, raw in strays[:_MOST_TRIED]:
            for text in (raw[: -len(end) - _HASH - 1], raw[: raw.rfind(b',"seal":"')]):
                for before in chain.before:
                    digest = leaf(before, text + end)
                    if leaf(digest, covered) == mark.digest:
                        return digest
        return None

    def _lacking(self, chain: CheckedChain, number: int) -> int:
        """Return how many lines before this number are nowhere."""
        return number - chain.count - 1 - sum(chain.count < each < number for each in chain.early)

    def _strays_between(self, chain: CheckedChain, line: Line) -> list[tuple[Line, bytes]]:
        """Return the lines at fault after the last one of a chain."""
        if not self._strays:
            return []
        last = chain.numbers[-1] if chain.count else 0
        return [stray for stray in self._strays if last < stray[0].number < line.number]

    def _stray(self, line: Line, raw: bytes) -> None:
        if len(self._strays) >= _MOST_STRAYS:
            del self._strays[: _MOST_STRAYS // 2]
        self._strays.append((line, raw))
        self.roots.suspect(line, raw)

    def _can_follow(self, chain: CheckedChain, missing: int) -> bool:
        """Return whether a chain goes on after missing lines.

        If it does not, its next lines are not faults again.
        """
        chain.is_lost = self._missing + missing > _MOST_MISSING
        if not chain.is_lost:
            self._missing += missing
        return not chain.is_lost

    # ---- lines about seals

    def _look_at(self, chain: CheckedChain, mark: Mark, line: Line, raw: bytes) -> None:
        """Check what a line says about seals; its hash is right."""
        fields = _fields_of(raw)
        if not fields:
            return
        if fields.get("chain") != chain.id:
            self.fault(line, f"is about the chain {fields.get('chain')}, and belongs to {chain.id}")
        if fields.get("kind") == "begin":
            chain.key = str(fields.get("key", ""))
            chain.knows = bool(fields.get("after"))
            since = fields.get("time_ns")
            chain.since = since if isinstance(since, int) else 0
            if mark.number != 1:
                self.fault(line, f"begins a chain in the middle, as {said(mark)}")
        elif fields.get("kind") == "root":
            self.roots.check(chain, mark, line, fields, raw)
        for text in [*_texts(fields.get("after")), *_texts([fields.get("follows")])]:
            other = mark_of(b',"seal":"' + text.encode() + b'"}\n')
            if other is None:
                self.fault(line, f"names a line by {text!r}, which is no seal")
                continue
            is_elsewhere = text == fields.get("follows")
            chain.links.append((mark.number, other, is_elsewhere))
            there = self._here.get(other.chain)
            lacks = there is None or there.count < other.number
            if mark.number == 1 and not is_elsewhere and not line.chain and lacks:
                self._stray(line, raw)  # it may stand where a line of that chain was

    def _check_links(self, chains: list[CheckedChain]) -> None:
        """Check that the lines that others name stand before them."""
        # what is missing between the same lines is one fault
        links = [
            (chain.line(number), other) for chain in chains for number, other, elsewhere in chain.links if not elsewhere
        ]
        named: set[str] = set()  # chains that lack their end: one fault for each
        for line, other in sorted(links, key=lambda link: link[0].number):
            there = self._here.get(other.chain)
            if there is not None and other.number in there.early:
                if not line.chain and there.early[other.number][1].number > line.number:
                    self.fault(line, f"was written after {said(other)}, which is missing before it")
                continue
            if there is None or there.count < other.number:
                end = there.numbers[-1] if there is not None and there.count else 0
                strays = sum(end < stray.number < line.number for stray, _ in self._strays)
                lacking = other.number - (there.count if there is not None else 0)
                if other.chain not in named and end + 1 not in self._gaps and strays < lacking:
                    self.fault(line, f"was written after {said(other)}, which is missing before it")
                named.add(other.chain)
                continue
            if other.number == there.count and other.digest in there.before:
                there.set_digest(other.number, other.digest)
            is_there = there.numbers[other.number - 1] > 0
            if is_there and not line.chain and there.line(other.number).number > line.number:
                self.fault(line, f"was written after {said(other)}, which is missing before it")
            elif not there.is_vague(other.number) and there.digest(other.number) != other.digest:
                self.fault(line, f"was written after {said(other)}, which is another one now")

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
        self._stray(line, raw)
        if raw[-1:] != b"\n":
            self._end_run()
            self.fault(line, "is cut off: its end is missing, by a crash or by hand")
        elif self._unsealed:
            self._unsealed = [self._unsealed[0], line]
        else:
            self._unsealed = [line]
            self._is_damaged = b',"seal":"' in raw[-140:]

    def _end_run(self) -> None:
        if self._unsealed:
            first, last = self._unsealed[0], self._unsealed[-1]
            more = "" if first is last else f", nor has any up to line {last.number}"
            if self._is_damaged:
                more = more and f", and no line up to line {last.number} has one"
                self.fault(first, f"was changed: its seal is damaged{more}")
            else:
                self.fault(first, f"has no seal{more}: added, changed or cut off")
            self._unsealed = []


def said(mark: Mark) -> str:
    """Return how a line is named in messages."""
    return f"line {mark.number} of the chain {mark.chain}"


def _renamed(chain: CheckedChain, mark: Mark, raw: bytes) -> tuple[Mark, int] | None:
    """Return the seal that makes a line the next one of a chain.

    And which of the hashes before it does.

    None if there is none: then more was changed than the name of the chain, or the number.
    """
    real = f"{chain.id}.{chain.count + 1}."
    covered = raw[: -_HASH - 1 - len(f"{mark.chain}.{mark.number}.")] + real.encode()
    for which, before in enumerate(chain.before):
        if leaf(before, covered) == mark.digest:
            return Mark(chain.id, chain.count + 1, mark.digest), which
    return None


def _fields_of(raw: bytes) -> dict[str, Any]:
    """Return what a line about seals says."""
    if not is_seal_line(raw):
        return {}
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if type(found) is dict else {}


def _texts(given: Any) -> list[str]:
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _count(lines: int) -> str:
    return "1 line is" if lines == 1 else f"{lines:,} lines are"
