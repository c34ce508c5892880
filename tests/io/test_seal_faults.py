"""One edit is one fault: no line that nobody touched is accused.

Two for a line that was moved: where it stands, and where it is missing.
"""

from __future__ import annotations

import io
import json
import pathlib
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedDict, TrackedList, track
from pydatatracker.exporters import JsonLinesExporter, SealedTable, SqliteExporter
from pydatatracker.io.seal_check import SealReport, check_seals
from pydatatracker.io.seals import Chain, genesis, leaf, mark_of


def write(path: pathlib.Path, changes: int, **options: Any) -> list[bytes]:
    """Write a chain of nested containers; return the lines of the file."""
    x = track({"n": 0, "l": TrackedList([TrackedDict(a=1)]), "s": {1}})
    with JsonLinesExporter(path, seal=True, compact=True, **options) as exporter:
        x.tracking_add_observer(exporter)
        for n in range(changes):
            x["l"].append(n) if n % 3 else x.update(n=n)
        x.tracking_remove_observer(exporter)
    return path.read_bytes().splitlines(keepends=True)


def report_of(lines: list[bytes], **more: Any) -> SealReport:
    return check_seals([io.BytesIO(b"".join(lines))], **more)


def faults(lines: list[bytes], **more: Any) -> list[int]:
    return [fault.line for fault in report_of(lines, **more).faults]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return two chains with several roots; the second one begins at line 25."""
    path = tmp_path_factory.mktemp("faults") / "a.jsonl"
    write(path, 19, seal_every=6)
    return write(path, 12, seal_every=4)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], str, Any]:
    """Return a signed log, its public key, and another key.

    A root follows every 4 lines.
    """
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from pydatatracker.io.keys import new_key

    folder = tmp_path_factory.mktemp("signed")
    key = new_key(folder / "a.pem", folder / "a.pub.pem")
    lines = write(folder / "a.jsonl", 14, seal_every=4, seal_key=folder / "a.pem")
    return lines, key, Ed25519PrivateKey.generate()


def roots_of(lines: list[bytes]) -> list[str]:
    return [json.loads(line)["root"] for line in lines if b'"kind":"root"' in line]


def flipped(line: bytes, at: int, bit: int) -> bytes:
    return line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :]


def test_every_byte_is_one_fault(log: list[bytes]) -> None:
    """Whatever byte is changed, only its line is named."""
    for n, line in enumerate(log):
        for at in range(len(line)):
            if at % 13 and not len(line) - 115 < at < len(line) - 60:
                continue
            for other in {0x30, 0x0A, line[at] ^ 1} - {line[at]}:
                edited = [*log[:n], line[:at] + bytes([other]) + line[at + 1 :], *log[n + 1 :]]
                assert [n + 1] == faults(edited), (n, at, other)


def test_every_line_is_one_fault(log: list[bytes]) -> None:
    """Dropped, doubled, foreign, replaced and torn lines are one fault each."""
    for n, line in enumerate(log):
        assert [n + 2] == faults([*log[: n + 1], *log[n:]])
        assert [n + 1] == faults([*log[:n], b'{"v":1}\n', *log[n:]])
        assert [n + 1] == faults([*log[:n], b'{"v":1}\n', *log[n + 1 :]])
        assert [n + 1] == faults([*log[:n], line[:60] + b"\n", *log[n + 1 :]])
        if n < len(log) - 1:
            assert [n + 1] == faults(log[:n] + log[n + 1 :])
            assert n + 1 == faults([*log[:n], log[n + 1], line, *log[n + 2 :]])[0]
            assert 2 >= len(faults([*log[:n], log[n + 1], line, *log[n + 2 :]]))


def test_a_moved_line_is_two_faults(log: list[bytes]) -> None:
    """So are two that are exchanged; the first fault is the first place."""
    for i in range(len(log)):
        for j in range(len(log)):
            moved = list(log)
            moved.insert(j, moved.pop(i))
            found = faults(moved)
            assert i == j or (len(found) <= 2 and found[0] == min(i, j) + 1), (i, j, found)
    for i in range(len(log)):
        for j in range(i):
            moved = list(log)
            moved[i], moved[j] = moved[j], moved[i]
            found = faults(moved)
            assert len(found) <= 2, (i, j, found)
            assert j + 1 == found[0]


def test_a_number_in_a_seal(log: list[bytes]) -> None:
    """A seal with another number is that line; no line is missing."""
    for n, line in enumerate(log):
        mark = mark_of(line)
        assert mark is not None
        for other in (mark.number + 1, mark.number + 7, 10**17, max(mark.number - 3, 1)):
            if other == mark.number:
                continue
            edited = line.replace(b".%d.%s" % (mark.number, mark.digest.hex().encode()),
                                  b".%d.%s" % (other, mark.digest.hex().encode()))  # fmt: skip
            (fault,) = report_of([*log[:n], edited, *log[n + 1 :]]).faults
            assert (n + 1, True) == (fault.line, fault.reason.startswith("was changed: its seal calls it"))


def test_a_long_log_with_many_roots(tmp_path: pathlib.Path) -> None:
    """One edit at the beginning is not found at every root after it."""
    lines = write(tmp_path / "a.jsonl", 400, seal_every=10)
    report = report_of([*lines[:3], flipped(lines[3], 30, 1), *lines[4:]], roots=roots_of(lines))
    assert ([4], []) == ([fault.line for fault in report.faults], report.notes)


# ---- with a key, with known roots


def test_an_edit_of_a_signed_log_is_the_first_fault(signed: Any) -> None:
    """The roots vouch for all other lines, and a known root is there."""
    lines, key, _ = signed
    roots = roots_of(lines)
    assert [] == faults(lines, key=key, roots=roots)
    for n, line in enumerate(lines):
        for at in (30, len(line) // 2, len(line) - 40):
            report = report_of([*lines[:n], flipped(line, at, 1), *lines[n + 1 :]], key=key, roots=roots)
            assert [n + 1] == [fault.line for fault in report.faults], (n, at, report.faults)
            if b'"kind":"root"' not in line:
                assert [] == report.notes
    for n in range(len(lines) - 1):
        left = lines[:n] + lines[n + 1 :]
        report = report_of(left, key=key, roots=roots_of(left))
        assert [n + 1] == [fault.line for fault in report.faults]
        assert not any("no root covers" in note for note in report.notes)


class Forger:
    """Make the hashes of a chain again, from some line on."""

    def __init__(self, lines: list[bytes], key: Any = None) -> None:
        self.lines = lines
        self.key = key

    def forged(self, n: int, last: int, with_roots: bool) -> list[bytes]:
        """Return the log with line n edited, and new hashes up to line `last`."""
        from pydatatracker.io.seals import SIGNED, root_of

        made: list[bytes] = []
        before, start, previous = b"", 0, ""
        digests: list[bytes] = []
        for at, line in enumerate(self.lines):
            mark = mark_of(line)
            assert mark is not None
            if not before:
                before = genesis(mark.chain)
            covered = line[:-67]
            if at == n:
                covered = covered.replace(b'"v":1,"', b'"v":1,"x":0,"', 1)
            if b'"kind":"root"' in line:
                if with_roots and n <= at <= last:
                    new = root_of(b"".join(digests[start:])).hex()
                    covered = re.sub(rb'"root":"[0-9a-f]*"', b'"root":"%s"' % new.encode(), covered)
                    if previous:
                        covered = re.sub(rb'"previous":"[0-9a-f]*"', b'"previous":"%s"' % previous.encode(), covered)
                    if self.key is not None:
                        head, _, rest = covered.partition(b',"signature":"')
                        signature = self.key.sign(SIGNED + head).hex().encode()
                        covered = head + b',"signature":"' + signature + rest[rest.index(b'"') :]
                start, previous = at, json.loads(covered + b'0"}')["root"]
            digest = leaf(before, covered) if n <= at <= last else mark.digest
            digests.append(digest)
            made.append(covered + digest.hex().encode() + b'"}\n')
            before = digest
        return made


@pytest.mark.parametrize("with_roots", [True, False])
@pytest.mark.parametrize("has_key", [True, False])
def test_whoever_makes_hashes_again_is_found(signed: Any, with_roots: bool, has_key: bool) -> None:
    """From any line to any other one, with new or old roots."""
    lines, key, other = signed
    forger = Forger(lines, other if has_key else None)
    assert lines == forger.forged(len(lines), len(lines), with_roots)
    roots = roots_of(lines)
    for n in range(len(lines)):
        for last in range(n, len(lines)):
            made = forger.forged(n, last, with_roots)
            assert faults(made, key=key), (n, last)
            assert n == len(lines) - 1 or faults(made, roots=roots[-1:]), (n, last)
            assert len(faults(made, key=key)) <= 4
            if last < len(lines) - 1:
                assert faults(made)


@given(st.randoms(use_true_random=False))
def test_many_edits_are_never_accepted(log: list[bytes], chance: random.Random) -> None:
    """No fault comes before the first line that is another one.

    And there is one at the latest there.
    """
    edited = list(log)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(edited))
        what = chance.randrange(4)
        if what == 0:
            edited[at] = flipped(edited[at], chance.randrange(len(edited[at])), chance.randrange(7))
        elif what == 1:
            edited.insert(chance.randrange(len(edited)), edited.pop(at))
        elif what == 2:
            edited.insert(at, chance.choice(log))
        else:
            del edited[at]
    data = b"".join(edited)
    if b"".join(log).startswith(data):
        assert [] == faults(edited)
        return
    first = next(n for n, line in enumerate(data.splitlines(keepends=True)) if n >= len(log) or line != log[n])
    assert first + 1 >= faults(edited)[0]


# ---- counts, and databases


def test_lines_are_counted_as_they_are(signed: Any, tmp_path: pathlib.Path) -> None:
    """No message has more lines than the file."""
    lines, key, _ = signed
    other = write(tmp_path / "other.jsonl", 9)
    report = report_of([*lines, other[3]], key=key)
    assert [len(lines) + 1] == [fault.line for fault in report.faults]
    for made in (lines[:5] + lines[9:-1], lines[3:-1], [*lines, other[5]], [lines[0], other[7]]):
        for more in ({}, {"key": key}):
            report = report_of(made, **more)
            for text in (*report.notes, *(fault.reason for fault in report.faults)):
                for count in re.findall(r"last (\d+) lines|: (\d+) in all", text):
                    assert int("".join(count)) <= len(made)
                assert "last 1 lines" not in text
                assert "1 in all" not in text


def rows_with(path: pathlib.Path, statement: str) -> list[str]:
    import shutil
    import sqlite3

    copy = pathlib.Path(shutil.copy(path, path.with_suffix(".copy")))
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.execute(statement)
    connection.close()
    with SealedTable(copy) as table:
        return [fault.reason for fault in check_seals(table).faults]


def test_rows_of_seals_whose_chain_or_number_was_changed(tmp_path: pathlib.Path) -> None:
    """That row only; those beside it are not out of order."""
    d = TrackedDict()
    with SqliteExporter(tmp_path / "a.db", seal=True, seal_every=3) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(8):
            d["k"] = n
        d.tracking_remove_observer(exporter)
    for number in range(1, 12):
        for change in ("chain = '00'", "chain = 'zz'", "number = 99", "number = 0", "chain = 'z', number = 1"):
            found = rows_with(tmp_path / "a.db", f"UPDATE changes_seals SET {change} WHERE number = {number}")
            (moved,) = [each for each in found if "has no row in" not in each]
            assert f": was moved: it is line {number} of the chain" in moved
        (dropped, *_) = rows_with(tmp_path / "a.db", f"DELETE FROM changes_seals WHERE number = {number}") or [""]
        assert number > 10 or re.match(r"row \d+ of the chain \w+: .*missing before it", dropped), dropped


def test_a_chain_of_one_line() -> None:
    """It is right without a root; a lost beginning is one fault."""
    chain = Chain()
    lines = [chain.begin(), chain.seal(b'{"v":1}'), chain.seal(b'{"v":2}')]
    assert [] == faults(lines[:1])
    assert [1] == faults(lines[1:])
    assert [1] == faults(lines[2:])


def test_a_number_that_was_made_up_before_a_damaged_root(signed: Any) -> None:
    """A chain of which nothing can be followed does not stop the check."""
    lines, key, _ = signed
    mark = mark_of(lines[1])
    assert mark is not None
    forged = lines[1].replace(b'"%s.2.' % mark.chain.encode(), b'"%s.%d.' % (b"0" * 16, 10**17))
    for made in ([forged, lines[-1][:-20]], [forged, *lines[:-1], lines[-1][:-20]]):
        for more in ({}, {"key": key}):
            assert 1 == faults(made, **more)[0]
