"""Seals: whatever is done to a sealed log, the first bad line is named.

The oracle below is written from docs/sealed-logs.md alone, and has to agree with the check.
"""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedDict, track
from pydatatracker._core import HAS_SHA256, SealChain, tree_root
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import seals
from pydatatracker.io.seal_check import check_seals
from pydatatracker.io.seals import Chain, root_of

SEAL = re.compile(rb'(.*,"seal":"([0-9a-f]{16})\.([1-9][0-9]*)\.)([0-9a-f]{64})"}\n', re.S)


def oracle(lines: list[bytes]) -> int:
    """Return the number of the first bad line of a file, 0 if there is none.

    It knows chains, numbers, hashes, roots and what a chain says of lines before it, and no torn lines.
    """
    chains: dict[bytes, list[str]] = {}
    roots: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        found = SEAL.fullmatch(line)
        if line == b"\n" and b'"kind":"begin"' in b"".join(lines[number : number + 1]):
            continue
        if found is None:
            return number
        covered, name, count, digest = found[1], found[2], int(found[3]), found[4].decode()
        hashes = chains.setdefault(name, [])
        before = bytes.fromhex(hashes[-1]) if hashes else hashlib.sha256(b"pydatatracker seal 1 " + name).digest()
        if count != len(hashes) + 1 or hashlib.sha256(b"\0" + before + covered).hexdigest() != digest:
            return number
        data = json.loads(line)
        if count == 1 and (data.get("kind") != "begin" or (len(chains) > 1 and not data.get("after"))):
            return number
        for text in data.get("after", ()) if data["action"] == "seal" else ():
            other, n, expected = text.split(".")
            if chains.get(other.encode(), [])[int(n) - 1 : int(n)] != [expected]:
                return number
        if data.get("kind") == "root":
            first = roots.get(name, 1)
            leaves = [bytes.fromhex(each) for each in hashes[first - 1 :]]
            if (data["from"], data["to"], data["root"]) != (first, len(hashes), tree(leaves).hex()):
                return number
            roots[name] = count
        hashes.append(digest)
    return 0


def tree(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 9162 defines it, from the top."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def sealed(path: pathlib.Path, changes: int, **options: object) -> list[bytes]:
    """Write a sealed log of a nested container; return its lines."""
    x = track({"n": 0, "l": ["é"], "s": {1}})
    with JsonLinesExporter(path, seal=True, compact=True, **options) as exporter:  # type: ignore[arg-type]
        x.tracking_add_observer(exporter)
        for n in range(changes):
            x["l"].append(n) if n % 3 else x.update(n=n)
        x.tracking_remove_observer(exporter)
    return path.read_bytes().splitlines(keepends=True)


def first_bad(lines: list[bytes]) -> int:
    """Return the number of the first line that the check blames, 0 for none.

    An oracle that disagrees fails.
    """
    faults = check_seals([io.BytesIO(b"".join(lines))]).faults
    found = faults[0].line if faults else 0
    assert oracle(b"".join(lines).splitlines(keepends=True)) == found, faults
    if found:
        before = b"".join(lines).splitlines(keepends=True)[: found - 1]
        assert sum(map(len, before)) == faults[0].offset
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("seals")


@pytest.fixture(scope="module")
def small(folder: pathlib.Path) -> list[bytes]:
    """Return a log of 60 lines in two chains, with several roots."""
    path = folder / "small.jsonl"
    sealed(path, 30, seal_every=13)
    return sealed(path, 19, seal_every=7)


def test_an_untouched_log_is_right(small: list[bytes]) -> None:
    """The check and the oracle accept what was written."""
    assert 0 == first_bad(small)
    assert len(small) == 60


def test_every_byte_counts(small: list[bytes]) -> None:
    """Each byte of a log, replaced by several others, is found in its line."""
    for n, line in enumerate(small):
        before, after = b"".join(small[:n]), b"".join(small[n + 1 : n + 2])
        for at, byte in enumerate(line):
            for other in {0x0A, 0x30} - {byte} if at % 11 == 0 else {byte ^ 1 + at % 5}:
                data = before + line[:at] + bytes([other]) + line[at + 1 :] + after
                faults = check_seals([io.BytesIO(data)]).faults
                assert faults, (n, at, other)
                assert n + 1 == faults[0].line, (n, at, byte, other, faults[0])


def edits(lines: list[bytes], seed: int) -> Iterator[tuple[str, int, list[bytes]]]:
    """Yield what was done, the first bad line, and the lines.

    Not the removal of the last line, which no chain can see.
    """
    count = len(lines)
    for n in range(count):
        if n < count - 1:
            yield f"dropped {n}", n + 1, lines[:n] + lines[n + 1 :]
            yield f"swapped {n}", n + 1, [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]
        yield f"doubled {n}", n + 2, lines[: n + 1] + lines[n:]
        yield f"first at {n}", n + 1 if n else 2, lines[:n] + lines[:1] + lines[n:]
        yield f"torn {n}", n + 1, [*lines[:n], lines[n][: len(lines[n]) // 2] + b"\n", *lines[n + 1 :]]
        yield f"foreign {n}", n + 1, [*lines[:n], b'{"v":1,"action":"add"}\n', *lines[n:]]
        yield f"empty {n}", n + 1, [*lines[:n], b"\n", *lines[n:]]
    chance = random.Random(seed)
    for _ in range(100):
        i, j = sorted(chance.sample(range(count), 2))
        moved = list(lines)
        moved[i], moved[j] = moved[j], moved[i]
        yield f"exchanged {i} and {j}", i + 1, moved


def test_every_line_counts(small: list[bytes]) -> None:
    """Dropped, doubled, exchanged, torn and foreign lines are found."""
    for what, number, lines in edits(small, 1):
        if what.startswith("empty") and b'"kind":"begin"' in small[number - 1]:
            number = 0  # what a writer that is not sure puts before a chain
        assert number == first_bad(lines), what


def test_a_log_of_a_thousand_lines(folder: pathlib.Path) -> None:
    """Random edits of a longer log are found in their line."""
    path = folder / "long.jsonl"
    lines = sealed(path, 1000, seal_every=100)
    chance = random.Random(7)
    for _ in range(60):
        n = chance.randrange(len(lines) - 1)
        at = chance.randrange(len(lines[n]))
        byte = lines[n][at]
        edited = lines[n][:at] + bytes([byte ^ (1 << chance.randrange(7))]) + lines[n][at + 1 :]
        assert n + 1 == first_bad([*lines[:n], edited, *lines[n + 1 :]])
        assert n + 1 == first_bad(lines[:n] + lines[n + 1 :])


def test_a_cut_end_is_found_with_a_root_only(folder: pathlib.Path, small: list[bytes]) -> None:
    """Without a known root, a cut end looks like a log that is still written.

    With the last root, each cut is found. A cut inside of a line is found in any case.
    """
    path = folder / "x.jsonl"
    path.write_bytes(b"".join(small))
    root = check_seals([path]).roots[-1].root
    assert [] == check_seals([path], roots=[root]).faults
    for n in range(len(small)):
        path.write_bytes(b"".join(small[:n]))
        report = check_seals([path])
        assert [] == report.faults
        is_covered = n == 0 or b'"kind":"root"' in small[n - 1]
        assert is_covered != any("no root covers" in each for each in report.notes)
        (fault,) = check_seals([path], roots=[root]).faults
        assert "missing" in fault.reason
        path.write_bytes(b"".join(small[:n]) + small[n][:-1])
        (fault,) = check_seals([path]).faults
        assert (n + 1, True) == (fault.line, "cut off" in fault.reason)


def test_lines_of_another_log_are_found(folder: pathlib.Path, small: list[bytes]) -> None:
    """Lines of another sealed log are found, and so is a splice."""
    (folder / "other.jsonl").unlink(missing_ok=True)
    other = sealed(folder / "other.jsonl", 30, seal_every=7)
    for n in range(1, len(small)):
        assert n + 1 == first_bad([*small[:n], other[n % len(other)], *small[n:]])
        assert n + 1 == first_bad([*small[:n], *other, *small[n:]])
        if n < len(other):
            assert n + 1 == first_bad(small[:n] + other[n:])
    assert len(small) + 1 == first_bad(small + other)


def test_what_a_chain_cannot_see(folder: pathlib.Path, small: list[bytes]) -> None:
    """A log whose hashes were all made again is right.

    Only a root that is known shows it.
    """
    path = folder / "x.jsonl"
    path.write_bytes(b"".join(small))
    root = check_seals([path]).roots[-1].root
    again = folder / "again.jsonl"
    again.unlink(missing_ok=True)
    sealed(again, 18)
    assert [] == check_seals([again]).faults
    assert 1 == len(check_seals([again], roots=[root]).faults)


@pytest.mark.parametrize("by_processor", [HAS_SHA256, False])
@given(count=st.integers(1, 200))
def test_the_root_is_that_of_the_rfc(by_processor: bool, count: int) -> None:
    """Pairing level by level gives the tree of RFC 9162, whoever hashes."""
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(count)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seals, "HAS_SHA256", by_processor)
        assert tree(leaves) == root_of(b"".join(leaves))


@pytest.mark.skipif(not HAS_SHA256, reason="the processor has no instructions for SHA-256")
@given(st.lists(st.binary(max_size=300) | st.integers(0, 5000).map(bytes), min_size=1, max_size=12))
def test_the_processor_hashes_as_hashlib_does(texts: list[bytes]) -> None:
    """Lines of every length get the same seals from both."""
    name, start = b"0123456789abcdef", seals.genesis("0123456789abcdef")
    ours, theirs = (SealChain(by, name, start, 9) for by in (None, hashlib.sha256))
    for text in texts:
        line = b"{" + text + b"}"
        assert theirs.seal(line) == ours.seal(line)
        assert theirs.previous == ours.previous
    assert theirs.digests == ours.digests
    assert (len(texts), 9 - len(texts)) == (ours.count, ours.left)


def test_a_log_sealed_without_the_instructions_is_the_same_kind(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hashlib sealed is right to a check that has the instructions."""
    monkeypatch.setattr(seals, "HAS_SHA256", False)
    lines = sealed(tmp_path / "a", 20)
    assert 0 == oracle(lines)
    assert [] == check_seals([tmp_path / "a"]).faults
    monkeypatch.undo()
    assert [] == check_seals([tmp_path / "a"]).faults


@pytest.mark.parametrize("leaves", [b"", bytes(31), bytes(33), bytearray(63)], ids=len)
def test_what_is_no_list_of_hashes_has_no_root(leaves: bytes) -> None:
    """Half a hash is refused, and so is none."""
    with pytest.raises(ValueError, match="leaves of 32 bytes"):
        tree_root(leaves)


def test_a_chain_begins_with_a_hash() -> None:
    """A start that is no hash is refused before anything is read from it."""
    with pytest.raises(ValueError, match="32 bytes"):
        SealChain(hashlib.sha256, b"0123456789abcdef", b"short", 1)


def test_known_roots() -> None:
    """The roots are those of the test vectors of certificate-transparency-go.

    Its leaves are hashed with the prefix of zero, as ours are.
    """
    data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = b"".join(hashlib.sha256(b"\0" + bytes.fromhex(each)).digest() for each in data)
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for count, root in roots.items():
        assert root == root_of(leaves[: 32 * count]).hex()


def test_no_seal_is_in_a_log_without_seals(tmp_path: pathlib.Path) -> None:
    """Seals are off by default, and a log without them is one fault."""
    d = TrackedDict()
    with JsonLinesExporter(tmp_path / "a.jsonl") as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = d["b"] = 1
    assert b"seal" not in (tmp_path / "a.jsonl").read_bytes()
    (fault,) = check_seals([tmp_path / "a.jsonl"]).faults
    assert (1, True) == (fault.line, "up to line 2" in fault.reason)


@pytest.mark.parametrize("first", [False, True])
def test_a_number_that_was_made_up_costs_no_memory(first: bool) -> None:
    """A seal with a huge number is one fault; the next lines are checked."""
    chain = Chain()
    lines = [chain.begin(), *(chain.seal(b'{"v":1,"action":"add"}') for _ in range(3)), chain.root_line()]
    forged = lines[1].replace(b".2.", b".999999999999999999.")
    if first:
        forged = forged.replace(chain.name.encode(), b"0" * 16)
    log = [*lines[:2], forged, *lines[2:4], lines[4].replace(b'"lines"', b'"Lines"')]
    assert [3, 6] == [fault.line for fault in check_seals(io.BytesIO(b"".join(log))).faults]


def test_the_file_and_the_root_may_be_given_alone(tmp_path: pathlib.Path) -> None:
    """One path, one binary file and one root need no list."""
    path = tmp_path / "a.jsonl"
    sealed(path, 3)
    root = check_seals(str(path)).roots[-1].root
    assert [] == check_seals(str(path), roots=root).faults
    assert 1 == len(check_seals(path, roots="0" * 64).faults)
    assert [] == check_seals(io.BytesIO(path.read_bytes()), roots=[root]).faults
