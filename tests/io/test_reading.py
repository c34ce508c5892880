"""Reading logs: readable lines are read, others are reported."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import logging
import os
import pathlib
import sys
import tracemalloc
from typing import Any

import pytest
from builds import needs_msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from loglines import LINE, OLD_ADD, OLD_INIT, OLD_POP, Errors, line_of, read

import pydatatracker.io as pdt_io
from pydatatracker import MISSING, ChangeLogEntry
from pydatatracker.io import ChangeReader, LogFormatError, parse, read_changes
from pydatatracker.io.line import nanoseconds_of
from pydatatracker.io.parsing import parse_all
from pydatatracker.values.encode import Repr

# ---- one line


def test_a_line_answers_under_the_names_of_the_record() -> None:
    """Every field of a line is an attribute, decoded; absent ones are empty."""
    line = parse(line_of(), 7, 1000)
    assert ("update", "__setitem__", "TrackedList", 41, 1) == (line.action, line.method, line.type, line.seq, line.v)
    assert ("/cfg/ports/0", ("cfg", "ports", 0), (("cfg", "ports", 0),), 0) == (
        line.pointer,
        line.path,
        line.paths,
        line.location,
    )
    assert (8080, (1, {2})) == (line.before, line.after)
    assert ("job-123", {"reason": "rotate", "at": datetime.date(2026, 11, 23)}) == (line.actor, line.context)
    assert datetime.datetime(2026, 11, 23, 12, 45, 30, 422044, datetime.UTC) == line.created_time
    assert ("0f3c" * 8, "a3f9" * 8, "9fe1" * 8) == (line.uuid, line.root, line.tracked_item_uuid)
    assert (411, "MainThread", [], LINE["tree"], LINE["extra"]) == (
        line.pid,
        line.thread,
        line.stack,
        line.tree,
        line.extra,
    )
    assert (None, None, (), None) == (line.splice, line.order, line.changes, line.transaction)
    assert (7, 1000, line_of(), LINE) == (line.line, line.offset, line.raw, line.data)
    assert not line.is_gap


def test_absent_is_missing_and_null_is_none() -> None:
    """An absent key means no value; null means None."""
    bare = parse(b'{"v":1,"action":"lock"}')
    assert (MISSING, MISSING, None, (), "", "", {}, {}, [], None, None, None) == (
        bare.before, bare.after, bare.location, bare.path, bare.pointer, bare.actor, bare.context, bare.extra,
        bare.stack, bare.seq, bare.created_time, bare.pid,
    )  # fmt: skip
    null = parse(b'{"v":1,"action":"update","before":null,"after":null}')
    assert (None, None) == (null.before, null.after)


def test_compact_lines_have_all_but_what_follows() -> None:
    """The location of a compact line follows from its path."""
    assert 0 == parse(b'{"v":1,"action":"add","path":["a",0],"after":1}').location
    assert parse(b'{"v":1,"action":"update","path":["a"],"splice":[0,[],[1]]}').location is None


def test_list_and_bulk_changes() -> None:
    """splice, order and changes are decoded, with MISSING in absent rows."""
    line = parse(line_of(splice=[2, [{"$tuple": []}], [None]], order=[1, 0], changes=[["k", {"$missing": True}, 1]]))
    assert (2, ((),), (None,)) == line.splice
    assert (1, 0) == line.order
    assert (("k", MISSING, 1),) == line.changes


def test_a_gap() -> None:
    """A gap has its range of numbers and its reason."""
    line = parse(b'{"v":1,"action":"gap","from":100,"to":131,"reason":"queue full"}')
    assert (True, (100, 131), "queue full") == (line.is_gap, line.gap, line.reason)


def test_time_falls_back_to_nanoseconds() -> None:
    """Without created_time the moment comes from time_ns.

    A naive time is UTC; an invalid one is None.
    """
    assert 1_000_000 == parse(b'{"v":1,"action":"add","time_ns":1000000999}').created_time.timestamp() * 1e6
    moment = parse(b'{"v":1,"action":"add","created_time":"2026-01-01T00:00:00"}').created_time
    assert datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) == moment
    assert parse(b'{"v":1,"action":"add","created_time":"yesterday"}').created_time is None
    assert parse(b'{"v":1,"action":"add","time_ns":99999999999999999999999999999}').created_time is None


@pytest.mark.parametrize(
    ("line", "action", "before", "after", "location"),
    [
        (OLD_ADD, "add", MISSING, Repr("2", ""), "p:b"),
        (OLD_POP, "update", Repr("1", ""), MISSING, None),
        (OLD_INIT, "init", MISSING, Repr("{'a': 1}", ""), None),
        (OLD_ADD["extra"], "add", MISSING, Repr("2", ""), "p:b"),
        ({"action": "add", "location": 5}, "add", MISSING, MISSING, 5),
    ],
)
def test_lines_of_0_1_0_and_bare_extras(line: Any, action: str, before: Any, after: Any, location: Any) -> None:
    """Lines without v give what they have: text for values and location."""
    parsed = parse(json.dumps(line).encode())
    assert (action, before, after, location) == (parsed.action, parsed.before, parsed.after, parsed.location)
    assert (0, None, "", ()) == (parsed.v, parsed.seq, parsed.pointer, parsed.path)
    assert line.get("extra", line) == parsed.extra
    if "extra" in line:
        assert (line["uuid"], line["stack"], line["actor"]) == (parsed.uuid, parsed.stack, parsed.actor)
        assert datetime.datetime(2026, 11, 23, 22, 15, 28, 143696, datetime.UTC) == parsed.created_time


def test_nanoseconds_are_those_of_the_line_or_of_its_time() -> None:
    """time_ns, else created_time in whole microseconds, else None."""
    assert LINE["time_ns"] == nanoseconds_of(parse(line_of()))
    bare = {"v": 1, "action": "add"}
    line = {**bare, "created_time": "2026-11-23T12:45:30.422044+00:00"}
    moment = datetime.datetime(2026, 11, 23, 12, 45, 30, tzinfo=datetime.UTC)
    assert int(moment.timestamp()) * 10**9 + 422_044_000 == nanoseconds_of(parse(json.dumps(line).encode()))
    assert nanoseconds_of(parse(json.dumps(bare).encode())) is None


@pytest.mark.parametrize(
    ("extra", "name", "before"),
    [
        ({"attribute_locked": "True", "attribute_name": "x", "data_pre_change": "1", "removed_items": "2"}, "x", "1"),
        ({"locked": "True", "data_pre_change": "1", "removed_items": "2"}, None, "2"),
        ({"locked": "True", "data_pre_change": "{'a': 1}"}, None, None),
    ],
)
def test_a_lock_of_0_1_0(extra: Any, name: str | None, before: str | None) -> None:
    """The lock of an attribute has its value; of a container, not all of it."""
    line = parse(json.dumps({**OLD_ADD, "extra": {"action": "lock", **extra}}).encode())
    assert ("lock", name) == (line.action, line.location)
    assert (MISSING if before is None else Repr(before, "")) == line.before


def test_a_line_becomes_a_change() -> None:
    """entry() is ChangeLogEntry.from_dict of the line."""
    entry = parse(line_of()).entry()
    assert isinstance(entry, ChangeLogEntry)
    assert ((1, {2}), ("cfg", "ports", 0), 41) == (entry.after, entry.path, entry.seq)


@pytest.mark.parametrize("name", sorted({*LINE, "splice", "order", "changes", "paths", "from", "to", "transaction"}))
@pytest.mark.parametrize("value", [None, True, -1, 1.5, "", "x", [], [[]], [1, 2, 3], {}, {"$x": 1}, 10**400])
def test_a_field_of_a_wrong_type_raises_nothing(name: str, value: object) -> None:
    """A field of a wrong type raises nothing but NotAChange."""
    try:
        line = parse(line_of(**{name: value}))
    except pdt_io.NotAChange:
        assert name in ("action", "v")
        return
    for attribute in dir(line):
        if not attribute.startswith("__") and attribute != "entry":
            getattr(line, attribute)
    repr(line)


# ---- bad lines

BAD = [
    (b"", "empty"),
    (b"hello", "not JSON"),
    (b'{"v":1,"action":"add"', "not JSON"),
    (b"[1,2]", "JSON, but list"),
    (b"12", "JSON, but int"),
    (b'"text"', "JSON, but str"),
    (b"null", "JSON, but NoneType"),
    (b"{}", "no action"),
    (b'{"v":1}', "no action"),
    (b'{"v":99,"action":"add"}', "newer"),
    (b'{"v":1,"action":5}', "no action"),
    (b'{"v":1,"action":"add"}{"v":1,"action":"add"}', "not JSON"),
    (b'{"v":1,"action":"add","actor":"\xff"}', "not UTF-8"),
    (b"\x00\x01\x02\xff\xfe", "not"),
    (b"[" * 100_000, "deep"),
    (b'{"a":' * 100_000, "deep"),
    (b'{"v":1,"action":"add","after":' + b"[" * 100_000, "deep"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD[1:])
def test_a_bad_line_is_skipped_and_reported(bad: bytes, reason: str) -> None:
    """A bad line is skipped and reported with line, byte offset and reason."""
    good = line_of()
    lines, errors = read(good + bad + b"\n" + good)
    assert [(1, 0), (3, len(good) + len(bad) + 1)] == [(line.line, line.offset) for line in lines]
    assert [(2, len(good))] == errors.places
    assert reason in errors[0].reason
    assert f"line 2, byte {len(good)}: " in str(errors[0])


@pytest.mark.parametrize("tail", [b"{", b'{"v":1', line_of()[:-2], line_of()[:20]])
def test_a_line_that_was_cut_off_is_said_to_be(tail: bytes) -> None:
    """The last line, if it began as a change; elsewhere it is not JSON."""
    assert read(line_of() + tail)[1][0].reason.startswith("cut off (")
    for text in (b"hello", b"12 13", b'"', b"[1"):
        assert read(line_of() + text)[1][0].reason.startswith("not JSON (")
    assert read(tail + b"\n" + line_of())[1][0].reason.startswith("not JSON (")


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("rest", [line_of(), line_of() + b"?\n", b"\n" + line_of(), line_of() + BOM + line_of(), b""])
def test_blocks_have_the_lines_that_the_reader_has(rest: bytes) -> None:
    """Read at once or one by one: the same lines, offsets and errors.

    A byte order mark is skipped at the beginning of a file, and nowhere else.
    """
    for data in (rest, BOM + rest, line_of() + rest):
        lines, errors = read(data)
        told = Errors()
        blocks = list(read_changes(io.BytesIO(data), on_error=told).blocks())
        found = [block.line(n) for block in blocks for n in range(len(block.heads))]
        assert [(line.line, line.offset, line.raw.strip()) for line in lines] == [
            (line.line, line.offset, line.raw.strip()) for line in found
        ]
        assert [str(error) for error in errors] == [str(error) for error in told]


@needs_msgspec
def test_only_whole_lines_of_one_value_are_parsed_together() -> None:
    """parse_all takes lines of one change each, and leaves all others."""
    one = line_of()
    for good in (one, one + one, one + one[:-1]):
        raws = good.splitlines(keepends=True)
        block = parse_all(good, 0, 0)
        assert block is not None
        assert [41] * len(raws) == [block.line(n).seq for n in range(len(raws))]
    bare = one.strip()
    for bad in (bare + bare + b"\n", bare + b" " + bare + b"\n" + one, one + b"\n" + one, b"[1]\n", bare + b",\n"):
        assert parse_all(bad, bad.splitlines(keepends=True), 0, 0) is None


def test_strict_stops_at_the_first_bad_line() -> None:
    """strict=True raises LogFormatError, after the lines before it."""
    reader = read_changes(io.BytesIO(line_of() + b"?\n" + line_of()), strict=True)
    assert 1 == next(reader).line
    with pytest.raises(LogFormatError) as caught:
        next(reader)
    assert (2, len(line_of())) == (caught.value.line, caught.value.offset)


def test_without_a_callback_bad_lines_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """Without a callback bad lines are warnings of the logger pydatatracker."""
    with caplog.at_level(logging.WARNING, "pydatatracker"):
        reader = read_changes(io.BytesIO(b"?\n"))
        assert [] == list(reader)
    assert 1 == reader.skipped
    assert ["<BytesIO>: line 1, byte 0: not JSON (Expecting value: line 1 column 1 (char 0))"] == caplog.messages


def test_empty_lines_are_skipped() -> None:
    """Empty lines, CRLF, a BOM and a missing last newline are not reported."""
    data = b"\xef\xbb\xbf" + line_of()[:-1] + b"\r\n" + b"\n  \n\r\n" + line_of()[:-1]
    lines, errors = read(data)
    assert [(1, 3), (5, 3 + len(line_of()) + 1 + 1 + 3 + 2)] == [(line.line, line.offset) for line in lines]
    assert [] == errors
    assert ([], []) == read(b"")


def test_what_python_writes_as_json_is_read() -> None:
    """NaN and lone surrogates, as json.dumps writes them, are read."""
    lines, errors = read(line_of(after=float("nan"), actor="\ud800") + line_of(before="\udc80", path=["\ud800"]))
    assert [] == errors
    assert (True, "\ud800") == (lines[0].after != lines[0].after, lines[0].actor)
    assert ("\udc80", ("\ud800",)) == (lines[1].before, lines[1].path)


@pytest.mark.parametrize("raw", [b'"\xff"', b"1e999", b'"\\ud800"', b'"\\x"', b"01", b'"\x01"'])
def test_damage_inside_a_value_raises_nothing_later(raw: bytes) -> None:
    """A damaged value is read as a value or a text, or its line was reported."""
    lines, errors = read(b'{"v":1,"action":"add","after":' + raw + b"}\n")
    assert 1 == len(lines) + len(errors)
    for line in lines:
        repr(line.after)


def test_a_torn_last_line() -> None:
    """Cut anywhere, a log gives every line but the last."""
    data = line_of() + line_of()
    for size in range(len(line_of()) + 1, len(data) - 1):
        lines, errors = read(data[:size])
        assert (1, [(2, len(line_of()))]) == (len(lines), errors.places)
    assert 2 == len(read(data[:-1])[0])


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300) | st.text(st.characters(exclude_categories=())).map(lambda t: t.encode("utf-8", "replace"))
)
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    """Any bytes give lines and reports, in order, with offsets in the file."""
    lines, errors = read(data)
    assert len(lines) + len(errors) <= data.count(b"\n") + 1
    assert all(error.offset <= len(data) for error in errors)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([line_of(), b"\n", *(bad + b"\n" for bad, _ in BAD[:14])]), max_size=12))
def test_line_and_offset_are_exact(parts: list[bytes]) -> None:
    """The bytes at the offset of a line are the line."""
    data = b"".join(parts)
    lines, errors = read(data)
    for line in lines:
        assert line_of() == data[line.offset : line.offset + len(line.raw)]
        assert line.line == data.count(b"\n", 0, line.offset) + 1
    assert all(error.line == data.count(b"\n", 0, error.offset) + 1 for error in errors)
    assert parts.count(line_of()) == len(lines)


# ---- sources


def test_sources(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is read from paths, files of all kinds, standard input and gzip."""
    data = line_of() + '{"v":1,"action":"add","actor":"ü"}\n'.encode()
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
    for path in (plain, packed):
        assert [41, None] == [line.seq for line in read_changes(path)]
        assert [41, None] == [line.seq for line in read_changes(str(path), strict=True)]
        with path.open("rb") as file:
            assert 2 == len(list(read_changes(file)))
            assert not file.closed
        with path.open("rb", buffering=0) as file:
            assert 2 == len(list(read_changes(file)))
        assert 2 == len(list(read_changes(io.BytesIO(path.read_bytes()))))
        with path.open("rb") as file:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
            assert 2 == len(list(read_changes("-")))
    with plain.open(encoding="utf-8") as file:
        assert ["job-123", "ü"] == [line.actor for line in read_changes(file)]
    assert ["job-123", "ü"] == [line.actor for line in read_changes(io.StringIO(data.decode()))]
    with gzip.open(packed) as file:
        assert 2 == len(list(read_changes(file)))


def test_names_in_messages(tmp_path: pathlib.Path) -> None:
    """A report names the file."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"?\n")
    errors = Errors()
    list(read_changes(path, on_error=errors))
    with path.open("rb") as file:
        list(read_changes(file, on_error=errors))
    assert [str(path), str(path)] == [error.name for error in errors]


def test_a_torn_gzip(tmp_path: pathlib.Path) -> None:
    """A torn gzip is read up to the tear, which is reported.

    In strict mode it is raised.
    """
    data = b"".join(line_of(seq=n, uuid=os.urandom(16).hex()) for n in range(2000))
    packed = gzip.compress(data)
    lines, errors = read(packed[: len(packed) // 2])
    assert 100 < len(lines) < 2000
    assert list(range(len(lines))) == [line.seq for line in lines]
    assert 1 == len(errors)
    assert "reading stopped (EOFError" in errors[0].reason
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    lines, errors = read(bytes(damaged))
    assert "BadGzipFile" in errors[0].reason
    with pytest.raises(LogFormatError):
        list(read_changes(io.BytesIO(packed[:-9]), strict=True))


def test_a_missing_file(tmp_path: pathlib.Path) -> None:
    """A file that cannot be opened is an OSError at once."""
    with pytest.raises(FileNotFoundError):
        read_changes(tmp_path / "none")
    with pytest.raises(IsADirectoryError if os.name == "posix" else OSError):
        read_changes(tmp_path)


def test_a_reader_closes_its_file(tmp_path: pathlib.Path) -> None:
    """The file is closed at its end, by close(), and by the with block.

    Afterwards there are no more lines.
    """
    path = tmp_path / "a.jsonl"
    path.write_bytes(line_of() * 3)
    with read_changes(path) as reader:
        next(reader)
    assert [] == list(reader)
    reader = ChangeReader(path)
    reader.close()
    reader.close()
    assert [] == list(reader)
    list(read_changes(path))  # an open file would be a ResourceWarning, and that an error


def test_large_lines_and_flat_memory(tmp_path: pathlib.Path) -> None:
    """A line of 10 MB is read, and memory does not grow with the log."""
    path = tmp_path / "large.jsonl"
    path.write_bytes(line_of(after="x" * 10_000_000) + line_of() * 20_000)
    reader = read_changes(path)
    assert "x" * 10_000_000 == next(reader).after
    for _ in range(100):
        next(reader)
    tracemalloc.start()
    try:
        start, _ = tracemalloc.get_traced_memory()
        assert 19_900 == sum(1 for _ in reader)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - start < 2_000_000


def test_a_line_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than MAX_LINE is skipped and reported, in flat memory."""
    monkeypatch.setattr("pydatatracker.io.reader.MAX_LINE", 1000)
    lines, errors = read(line_of() + b"x" * 5000 + b"\n" + line_of() + b"y" * 1000)
    assert [(1, 0), (3, len(line_of()) + 5001)] == [(line.line, line.offset) for line in lines]
    assert [(2, len(line_of())), (4, 2 * len(line_of()) + 5001)] == errors.places
    assert 1000 > len(line_of())


def test_lines_come_as_they_are_written() -> None:
    """A line in a pipe is returned before the next one is written."""
    got, put = os.pipe()
    with open(got, "rb") as file:
        os.write(put, line_of(seq=1))
        reader = read_changes(file)
        assert 1 == next(reader).seq
        os.write(put, line_of(seq=2))
        assert 2 == next(reader).seq
        os.close(put)
        assert [] == list(reader)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python's own zstd")
@pytest.mark.parametrize("frames", [1, 3])
def test_a_torn_zstd_gives_its_whole_lines_and_is_reported(tmp_path: pathlib.Path, frames: int) -> None:
    """A torn zstd log gives its whole lines, and the tear is reported."""
    zstandard = pytest.importorskip("zstandard")
    lines = b"".join(line_of(seq=n, actor=hex(n * 7919)) for n in range(400))
    whole = b"".join(zstandard.compress(lines) for _ in range(frames))
    path = tmp_path / "log.zst"
    path.write_bytes(whole)
    errors = Errors()
    assert 400 * frames == len(list(read_changes(path, on_error=errors)))
    assert [] == errors
    for missing in (1, 3, 100, len(whole) // frames - 8):
        path.write_bytes(whole[:-missing])
        errors = Errors()
        found = list(read_changes(path, on_error=errors))
        assert len(found) >= 400 * (frames - 1)
        assert "reading stopped" in errors[-1].reason
        assert [n % 400 for n in range(len(found))] == [line.seq for line in found]
