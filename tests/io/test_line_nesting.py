"""How deep a line may nest: one bound, the same on every interpreter.

Writers, readers, replay and commands share it. A line at the bound is a line like any other, also in a thread with a
small stack; a line with one level more is named.
"""

from __future__ import annotations

import gc
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import change
from hostile import BY_US, COMMANDS, Said, check, expected, say

from pydatatracker import TrackedDict, TrackedList, TrackedSet, tracking_actor
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.history.replica import Replica, ReplicaError, replay
from pydatatracker.io import ChangeReader, ChangeWriter, LogFormatError, NotAChange, parse, read_changes, to_line
from pydatatracker.values.decode import decode
from pydatatracker.values.encode import DEPTH, NESTING, encode

SENTENCE = f"JSON nested too deep: a line may have {NESTING} levels"
SMALL = 512 * 1024  # bytes of stack, as musl and macOS give a thread
KINDS = {  # what nests, and how many levels each is
    "lists": (b"[", b"]", 1),
    "objects": (b'{"a":', b"}", 1),
    "tuples": (b'{"$tuple":[', b"]}", 2),
    "dicts": (b'{"$dict":[[1,', b"]]}", 3),
    "with brackets in text": (b'["[{[{",{"]}\\"]}\\\\":', b"}]", 2),
}
GOOD = [
    change(seq=1, action="init", method="__init__", pointer="", path=[], after={"good": 0, "list": []}),
    change(seq=2, pointer="/good", path=["good"], before=0, after=1, actor="ann"),
]
LAST = change(seq=9, pointer="/good", path=["good"], before=1, after=2)


def nested(kind: str, levels: int) -> bytes:
    """Return a line that nests exactly so many levels, its own object counted."""
    opening, closing, each = KINDS[kind]
    times, rest = divmod(levels - 1, each)
    line = change(seq=4, action="add", pointer="/x", path=["x"], after=0)
    value = b"[" * rest + opening * times + b"0" + closing * times + b"]" * rest
    return line.replace(b'"after": 0', b'"after": ' + value)


def levels(data: object) -> int:
    """Return how deep JSON data nests."""
    deepest, todo = 0, [(data, 1)]
    while todo:
        each, level = todo.pop()
        if isinstance(each, (dict, list)):
            deepest = max(deepest, level)
            todo += [(item, level + 1) for item in (each.values() if isinstance(each, dict) else each)]
    return deepest


def in_small_thread(work: Callable[[], Any]) -> Any:
    """Return work(), called in a thread with a small stack."""
    gc.collect()  # of other tests: CPython needs more stack to free a dict of 10,000 levels (seen on 3.13)
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((work(), None))
        except BaseException as error:
            found.append((None, error))

    before = threading.stack_size(SMALL)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    ((value, error),) = found
    if error is not None:
        raise error
    return value


def here(work: Callable[[], Any]) -> Any:
    """Return work()."""
    return work()


everywhere = pytest.mark.parametrize("within", [here, in_small_thread])
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@everywhere
def test_a_line_at_the_bound_is_read(kind: str, within: Callable[..., Any]) -> None:
    """A line at the bound is read, alone and in blocks, and encodes the same."""
    raw = nested(kind, NESTING)
    assert NESTING == levels(json.loads(raw))

    def work() -> None:
        line = parse(raw)
        value = json.loads(raw)["after"]
        assert value == line.data["after"] == encode(line.after, limit=None, depth=NESTING)
        assert value == encode(line.entry().after, limit=None, depth=NESTING)
        log = b"".join([*GOOD, raw, LAST])
        (found,) = (line for line in read_changes(io.BytesIO(log), strict=True) if line.seq == 4)
        assert value == encode(found.after, limit=None, depth=NESTING)
        (block,) = ChangeReader(io.BytesIO(log), strict=True).blocks()
        assert value == encode(block.line(2).after, limit=None, depth=NESTING)

    within(work)


@kinds
@everywhere
@pytest.mark.parametrize("more", [1, 2, 50, 1_000, 100_000])
def test_a_line_beyond_it_is_named(kind: str, within: Callable[..., Any], more: int) -> None:
    """A line beyond the bound is named, and the lines around it are read.

    Whether a known field nests or an unknown one.
    """
    raw = nested(kind, NESTING + more)
    for each in (raw, raw.replace(b'"after"', b'"unknown"'), raw[:-1], raw.replace(b'"after"', b'"v":1,"stack"')):
        log = b"".join([*GOOD, each.removesuffix(b"\n"), b"\n", LAST])

        def work(each: bytes = each, log: bytes = log) -> None:
            with pytest.raises(NotAChange, match=SENTENCE):
                parse(each)
            for lines in (
                iter,
                lambda reader: (line for block in reader.blocks() for line in map(block.line, range(len(block.heads)))),
            ):
                errors: list[LogFormatError] = []
                reader = ChangeReader(io.BytesIO(log), on_error=errors.append)
                assert [1, 2, 9] == [line.seq for line in lines(reader)]
                assert [f"<BytesIO>: line 3, byte {len(GOOD[0] + GOOD[1])}: {SENTENCE}"] == list(map(str, errors))

        within(work)


def test_brackets_in_text_do_not_nest() -> None:
    """Brackets in text do not nest, and wide values do not either."""
    line = change(seq=1, action="add", path=["[" * 900], after="{[" * 5_000, before=[[[]]] * 5_000)
    assert ("{[" * 5_000, [[[]]] * 5_000) == (parse(line).after, parse(line).before)
    escaped = change(seq=1, action="add", path=["x"], after=['\\"[' * 1_000, "\\" * 999 + '"{' * 999])
    assert ['\\"[' * 1_000, "\\" * 999 + '"{' * 999] == parse(escaped).after


@kinds
@everywhere
def test_replay(kind: str, within: Callable[..., Any], tmp_path: Path) -> None:
    """A log replays up to the bound; beyond it is a ReplicaError.

    From a file and line by line.
    """
    raw = nested(kind, NESTING)
    (tmp_path / "log.jsonl").write_bytes(b"".join([*GOOD, raw, LAST]))

    def work() -> None:
        value = replay(tmp_path / "log.jsonl")
        again = replay([*GOOD, raw.decode(), LAST])
        expected = json.loads(raw)["after"]
        assert expected == encode(value["x"], depth=NESTING) == encode(again["x"], depth=NESTING)
        assert 2 == value["good"] == again["good"]
        for beyond in (nested(kind, NESTING + 1), nested(kind, 50_000), nested(kind, 50_000).decode()):
            with pytest.raises(ReplicaError, match=SENTENCE):
                Replica({}).apply(beyond)

    within(work)


@kinds
@everywhere
def test_every_command(kind: str, within: Callable[..., Any], tmp_path: Path) -> None:
    """Every command reads a line at the bound, and names one beyond it."""
    path = tmp_path / "log.jsonl"
    for beyond in (False, True):
        raw = b"".join([*GOOD, nested(kind, NESTING + beyond), LAST])
        path.write_bytes(raw)
        known = expected(raw)
        assert [(3, len(GOOD[0] + GOOD[1]))] * beyond == known.bad
        for name in BY_US:  # DuckDB has a reader of its own
            out = str(tmp_path / f"out{beyond:d}")
            args = [word.replace("LOG", str(path)).replace("OUT", out) for word in COMMANDS[name]]
            said: Said = within(lambda args=args: say(*args))
            made = Path(args[-1]) if "-o" in args and args[-1] != "-" else None
            try:
                check(name, said, known, made)
                assert beyond == said.status
                where = "" if "--tail" in name else "line 3, "
                sentence = f"pydatatracker: {path}: {where}byte {len(GOOD[0] + GOOD[1])}: {SENTENCE}"
                assert beyond == (sentence in said.err.splitlines())
                assert "too deep to be shown" not in said.out
            except AssertionError as error:
                error.add_note(f"{name}: status {said.status}, {said.out[-300:]!r}, {said.err[-300:]!r}")
                raise


def deep(wrap: Callable[[Any], Any]) -> Any:
    """Return a value that nests without end."""
    value: Any = 1
    for _ in range(2_000):
        value = wrap(value)
    return value


WRAPS = [
    lambda v: [v],
    lambda v: (v,),
    lambda v: {"k": v},
    lambda v: {1: v},
    lambda v: [(v,)],
    lambda v: frozenset({v}),
]


@everywhere
@pytest.mark.parametrize("wrap", WRAPS)
def test_the_reader_accepts_what_the_writer_writes(wrap: Callable[[Any], Any], within: Callable[..., Any]) -> None:
    """Values without end are cut to what the reader accepts, in any field."""

    def work() -> None:
        value = deep(wrap)
        log = io.BytesIO()
        for compact in (False, True):
            writer = ChangeWriter(log, compact=compact)
            d, items, tags = TrackedDict(), TrackedList(), TrackedSet()
            for each in (d, items, tags):
                each.tracking_add_observer(writer.write)
            with tracking_actor("ann", value=value):
                d["a"] = value
                d["a"] = 1
                d.update(a=value, b=value)
                items.extend([value, 1, value])
                items[0:2] = [value]
                if isinstance(value, (tuple, frozenset)):
                    d[value] = value
                    tags.add(value)
        lines = list(read_changes(io.BytesIO(log.getvalue()), strict=True))
        deepest = max(levels(json.loads(line.raw)) for line in lines)
        assert DEPTH < deepest <= NESTING
        for line in lines:
            assert line.raw[:-2] in (to_line(line.data), to_line(line.entry()))[0]

    within(work)


@everywhere
def test_the_writer_refuses_what_the_reader_would(within: Callable[..., Any]) -> None:
    """A dict that nests too deep is a ValueError and a gap in the log.

    At the bound it is a line.
    """
    line: dict[str, Any] = {"v": 1, "seq": 5, "action": "add", "path": ["x"], "pid": 7, "thread": "t"}

    def lists(count: int, inner: Any = 0) -> Any:
        for _ in range(count):
            inner = [inner]
        return inner

    own: list[Any] = []
    own.append(own)

    def work() -> None:
        fits = {**line, "after": lists(NESTING - 1)}
        assert fits == parse(to_line(fits)).data
        assert fits == parse(to_line({**fits, "thread": "\ud800"})).data | {"thread": "t"}
        log = io.BytesIO()
        writer = ChangeWriter(log)
        for value in (lists(NESTING), lists(900), lists(100_000), own, lists(NESTING - 5, TrackedDict(x=lists(9)))):
            for thread in ("t", "\ud800"):
                with pytest.raises(ValueError, match=SENTENCE):
                    writer.write({**line, "after": value, "thread": thread})
        with pytest.raises(ValueError, match=SENTENCE):
            to_line(ChangeLogEntry.from_dict({**line, "after": lists(100_000)}))
        writer.write({**line, "seq": 6})
        gap, last = read_changes(io.BytesIO(log.getvalue()), strict=True)
        assert ((5, 5), 6, True) == (gap.gap, last.seq, SENTENCE in gap.reason)

    within(work)


def test_near_the_end_of_the_stack_a_line_is_not_reported_as_bad() -> None:
    """Near the end of the stack a line is read or raises RecursionError.

    It is not reported as a bad line.
    """
    raw = nested("lists", NESTING)
    value = json.loads(raw)["after"]
    seen: list[bool] = []

    def deeper() -> None:
        try:
            deeper()
        except RecursionError:
            pass
        try:
            found = decode(parse(raw).data["after"])
        except RecursionError:
            seen.append(False)
            raise
        seen.append(found == value)

    deeper()
    assert seen[-1]
    assert True in seen


def test_the_page_has_a_line_at_the_bound(tmp_path: Path) -> None:
    """The page of a report has the whole value of a line at the bound."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join([*GOOD, nested("objects", NESTING)]))
    said = say("report", path, "-o", "-")
    assert (0, True) == (said.status, '{"a":' * (NESTING - 1) + "0" + "}" * (NESTING - 1) in said.out)
