"""Filters, several files, the end of a file, growing files; ``stats``."""

from __future__ import annotations

import collections
import fnmatch
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from typing import Any, Self

import pytest
from command import change, environment, run, run_in_terminal
from hypothesis import given, settings
from hypothesis import strategies as st
from rebuilding import Run, say

from pydatatracker import TrackedDict
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.replay.logs import Logs, expanded
from pydatatracker.cli.stats import Stats
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import parse

__all__ = ["say"]  # the fixtures

SEGMENTS = ["a", "b", "users", "x*", "0", "1"]
LINES = st.builds(
    lambda seq, actor, action, path, keys, transaction: change(
        seq=seq,
        time_ns=1_000_000_000 * seq,
        actor=actor,
        action=action,
        path=path,
        pointer="".join(f"/{key}" for key in path),
        **({"changes": [[key, {"$missing": True}, 1] for key in keys]} if keys else {"after": 1}),
        **({"transaction": transaction} if transaction else {}),
    ),
    st.integers(1, 30),
    st.sampled_from(["", "ann", "bob"]),
    st.sampled_from(["add", "update", "remove", "init"]),
    st.lists(st.sampled_from(SEGMENTS), max_size=3),
    st.lists(st.sampled_from(SEGMENTS), max_size=2),
    st.sampled_from(["", "t1", "t2"]),
)
GLOBS = st.lists(st.sampled_from([*SEGMENTS, "*", "**", "?", "[ab]"]), min_size=1, max_size=3).map(
    lambda s: "/" + "/".join(s)
)


def fits(glob: list[str], path: list[str]) -> bool:
    """Match segment by segment, as documented."""
    if not glob:
        return not path
    if glob[0] == "**":
        return any(fits(glob[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], glob[0]) and fits(glob[1:], path[1:])


@settings(max_examples=300, deadline=None)
@given(
    LINES,
    st.lists(GLOBS, max_size=2),
    st.lists(st.sampled_from(["ann", "bob", "eve"]), max_size=2),
    st.lists(st.sampled_from(["add", "remove", "gap"]), max_size=2),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 30),
    st.none() | st.sampled_from(["t1", "ann", '"x'])
)  # fmt: skip
def test_a_filter_selects_matching_lines(
    raw: bytes, globs: list[str], actors: list[str], actions: list[str], first: Any, last: Any, grep: Any
) -> None:
    """Different filters are combined with AND, repeated ones with OR.

    Compared with a plain implementation on the fields of the line.
    """
    data = json.loads(raw)
    places = [data["path"], *([*data["path"], key] for key, _, _ in data.get("changes", ()))]
    expected = (
        (not actors or data["actor"] in actors)
        and (not actions or data["action"] in actions)
        and (first is None or data["seq"] >= first)
        and (last is None or data["time_ns"] <= last * 1_000_000_000)
        and (not globs or any(fits(glob[1:].split("/"), path) for glob in globs for path in places))
        and (grep is None or re.search(grep, raw.decode()) is not None)
    )
    wanted = Filter(
        path=globs,
        actor=actors,
        action=actions,
        seq=(first, None),
        until=None if last is None else last * 1_000_000_000,
        grep=None if grep is None else re.compile(grep),
    )
    line = parse(raw)
    assert expected == wanted.keeps(line)
    assert wanted.wants(line.head) or not expected


def silent(error: object) -> None:
    """Ignore a report."""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(LINES | st.just(b"rubbish\n") | st.just(b"\n"), max_size=30),
    st.integers(0, 12),
    st.sampled_from([(), ("ann",)]),
    st.booleans(),
)
def test_the_tail_is_the_end_of_the_whole(raws: list[bytes], count: int, actors: Any, torn: bool) -> None:
    """``--tail N`` shows the last N lines, reading from the end of the file."""
    import tempfile

    data = b"".join(raws)
    path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    with open(path, "wb") as file:
        file.write(data[: -5 if torn else None])
    wanted = Filter(actor=actors)
    with Logs([path], silent) as logs:
        whole = [line.raw.rstrip(b"\n") for line in logs.lines(wanted)]
    import pydatatracker.cli.replay.logs as module

    before = module.BLOCK
    try:
        for block in (7, 100, before):
            module.BLOCK = block  # type: ignore[misc]
            with Logs([path], silent) as logs:
                found = logs.tail(count, wanted)
            assert whole[max(0, len(whole) - count) :] == [line.raw.rstrip(b"\n") for line in found]
            for line in found:
                assert data[line.offset :].startswith(line.raw.rstrip(b"\n"))
    finally:
        module.BLOCK = before  # type: ignore[misc]


def test_several_logs_are_merged_by_time(tmp_path: pathlib.Path) -> None:
    """Several logs, also gzip and zstd, are merged by time.

    A file keeps its own order, even if its clock was set back.
    """
    zstandard = pytest.importorskip("zstandard", reason="zstd is in the standard library from 3.14 on")
    parts = {"a.jsonl": (1, 4, 7), "b.jsonl.gz": (2, 9, 5), "c.jsonl.zst": (3, 6, 8)}
    for name, times in parts.items():
        data = b"".join(change(seq=n, time_ns=n * 10**9, pointer=f"/{n}", path=[str(n)], after=n) for n in times)
        data = (
            gzip.compress(data) if name.endswith("gz") else zstandard.compress(data) if name.endswith("zst") else data
        )
        (tmp_path / name).write_bytes(data)
    done = run("show", *parts, cwd=tmp_path)
    assert (0, [1, 2, 3, 4, 6, 7, 8, 9, 5]) == (
        done.returncode,
        [int(line.split()[2]) for line in done.stdout.splitlines()],
    )
    assert done.stdout == run("show", "?.jsonl*", cwd=tmp_path).stdout  # a glob that no shell expanded


ROOT = pathlib.Path(__file__).parents[2]
WHERE_GLOBS_ARE = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("pydatatracker/**/*.py")]


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_the_glob_of_the_docs_has_every_part_of_a_rotated_log(tmp_path: pathlib.Path, compress: Any) -> None:
    """Each documented glob for a log matches its rotated files, in order.

    It matches neither another log in the same folder, nor the parts of that one.
    """
    found = re.findall(r"(?:['`/])(changes[.*]*jsonl\*)", "".join(each.read_text("utf-8") for each in WHERE_GLOBS_ARE))
    assert len(found) >= 4, "two pages, the help of verify, a docstring"
    (tmp_path / "log").mkdir()
    d = TrackedDict()
    rotated = {}
    for name in ("changes", "changes2"):
        path = tmp_path / "log" / f"{name}.jsonl"
        with JsonLinesExporter(path, rotate_size=2000, compress=compress) as exporter:
            d.tracking_add_observer(exporter)
            for n in range(30):
                d[name] = n
        d.tracking_remove_observer(exporter)
        rotated[name] = [*exporter.rotated(), str(path)]
        assert len(rotated[name]) > 2
    for pattern in set(found):
        assert rotated["changes"] == expanded([str(tmp_path / "log" / pattern)])
    done = run("show", f"log/{found[0]}", cwd=tmp_path)
    assert (0, 30) == (done.returncode, len(done.stdout.splitlines()))


@settings(max_examples=40, deadline=None)
@given(st.lists(LINES, max_size=20), st.sampled_from([{}, {"actor": ["ann"]}, {"path": ["/a/**"]}]))
def test_stats_count(raws: list[bytes], given: dict[str, Any]) -> None:
    """The counts of ``stats`` are those of the selected lines."""
    import tempfile

    path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    with open(path, "wb") as file:
        file.write(b"".join(raws))
    wanted = Filter(**given)
    kept = [json.loads(raw) for raw in raws if wanted.keeps(parse(raw))]
    with Logs([path], silent) as logs:
        stats = Stats(logs.heads(wanted))
    assert collections.Counter(line["actor"] for line in kept) == stats.actors
    assert collections.Counter(line["action"] for line in kept) == stats.actions
    assert collections.Counter(line["pointer"] for line in kept) == stats.paths
    step, bars = stats.spans()
    assert len(kept) == sum(count for _, count in bars)
    for line in kept:
        assert any(start <= line["time_ns"] // 10**9 < start + step for start, _ in bars)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_stats_in_a_terminal(tmp_path: pathlib.Path, columns: int) -> None:
    """The bars of ``stats`` fill the terminal; a gap is reported."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        b"".join(
            change(seq=n, time_ns=n * 10**11, actor="ann" * (n % 30), pointer="/x" * (n % 60), path=["x"])
            for n in range(200)
        )
        + b'{"v":1,"action":"gap","from":6,"to":9}\n'
    )
    status, shown = run_in_terminal("stats", path, cwd=tmp_path, columns=columns, NO_COLOR="1")
    assert (0, True) == (status, "1 gaps" in shown)
    assert columns - 2 <= max(map(len, shown.splitlines())) <= columns
    assert "200 changes" in shown


class Following:
    """``show --follow`` in a process of its own."""

    def __init__(self, path: pathlib.Path, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pydatatracker", "show", "--follow", "--json", *args, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        )

    def next(self) -> int:
        """Return the seq of the next line that is shown."""
        assert self.process.stdout is not None
        return int(json.loads(self.process.stdout.readline())["seq"])

    def __enter__(self) -> Self:
        self._timer = threading.Timer(60, self.process.kill)
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self.process.kill()
        self.process.communicate()


def add(path: pathlib.Path, *seqs: int) -> None:
    """Append lines."""
    with open(path, "ab") as file:
        for seq in seqs:
            file.write(change(seq=seq, pointer="/x", path=["x"], after=seq))


def test_follow_goes_on_through_rotation_and_truncation(tmp_path: pathlib.Path) -> None:
    """``--follow`` shows whole lines, through rotation and truncation.

    The rest of a renamed file is shown before the lines of the new one.
    """
    path = tmp_path / "log.jsonl"
    add(path, 1, 2)
    with Following(path) as shown:
        assert [1, 2] == [shown.next(), shown.next()]
        line = change(seq=3, pointer="/x", path=["x"], after=3)
        with open(path, "ab", buffering=0) as file:
            file.write(line[:20])
            file.write(line[20:])
        assert 3 == shown.next()
        with open(path, "ab", buffering=0) as file:
            path.rename(tmp_path / "log.1.jsonl")
            file.write(change(seq=4, pointer="/x", path=["x"], after=4))
            add(path, 5)
        assert [4, 5] == [shown.next(), shown.next()]
        with open(path, "wb"):
            pass
        add(path, 6)
        assert 6 == shown.next()


def test_follow_from_the_tail_and_with_a_filter(tmp_path: pathlib.Path) -> None:
    """``--follow`` shows the last selected lines first, then new ones."""
    path = tmp_path / "log.jsonl"
    add(path, 1, 2, 3, 4)
    with Following(path, "--tail", "1", "--seq", "..3") as shown:
        assert 3 == shown.next()
        add(path, 9, 2)
        assert 2 == shown.next()


def test_a_pager_only_where_it_is_needed(tmp_path: pathlib.Path) -> None:
    """PAGER is used only for output that does not fit the terminal."""
    path = tmp_path / "log.jsonl"
    add(path, *range(1, 100))
    pager = tmp_path / "pager.py"
    pager.write_text("import sys\nfor line in sys.stdin: sys.stdout.write('paged ' + line)\n")
    with_pager = {"PAGER": f"{sys.executable} {pager}"}
    _, shown = run_in_terminal("show", path, cwd=tmp_path, **with_pager)
    assert 99 == shown.count("paged ")
    for args in (("--tail", "5"), ("--no-pager",)):
        _, shown = run_in_terminal("show", *args, path, cwd=tmp_path, **with_pager)
        assert (0, True) == (shown.count("paged"), "99" in shown)


def test_details(tmp_path: pathlib.Path) -> None:
    """``-v`` adds stack, context, transaction and snapshots, escaped."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        change(
            pointer="/x", path=["x"], after=1, context={"reason": "night\x1b[31mly"}, transaction="t1",
            stack=[{"filename": "shop.py", "lineno": 7, "name": "buy", "line": "d['x'] = 1"}],
            extra={"data_pre_change": {}, "data_post_change": {"x": 1}},
        )
    )  # fmt: skip
    shown = run("show", "-v", path, cwd=tmp_path).stdout
    assert "\x1b" not in shown
    for text in ("reason = 'night\\x1b[31mly'", "t1", "shop.py:7 in buy: d['x'] = 1", "data_post_change: {'x': 1}"):
        assert text in shown


@pytest.mark.parametrize("text", ["tea", "茶", '"seq": 1', "x y", "-", "/k1", "\ufffd", "é"])
def test_plain_text_is_found_as_a_pattern_is(tmp_path: pathlib.Path, text: str) -> None:
    """Plain text and the same regular expression find the same lines."""
    names = ("tea", "茶", "x y", "a-b", "\ufffd", "é", "none")
    lines = [change(seq=n, pointer=f"/k{n}", path=[f"k{n}"], after=name) for n, name in enumerate(names)]
    lines += [json.dumps(json.loads(line), ensure_ascii=False).encode() + b"\n" for line in lines]
    lines.insert(3, b'{"v":1,"action":"gap","from":6,"to":9}\n')
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines))
    found = []
    for pattern in (text, f"(?:{re.escape(text)})"):
        done = run("show", path, "--json", "--grep", pattern, cwd=tmp_path)
        counted = run("stats", path, "--grep", pattern, cwd=tmp_path)
        found.append((done.returncode, done.stdout, counted.stdout))
    assert found[0] == found[1]
    assert '"action":"gap"' in found[0][1]


def test_filters_and_the_span_go_together(tmp_path: pathlib.Path, say: Run) -> None:
    """Filters and a span can be combined.

    A change that a later one depends on is kept, and reported.
    """
    path = tmp_path / "log.jsonl"
    lines = []
    for n in range(1, 7):
        key = f"{'ab'[n % 2]}{n}"
        lines.append(change(seq=n, action="add", pointer=f"/{key}", path=[key], after=n, actor="ab"[n % 2]))
    lines.append(change(seq=7, pointer="/a2", path=["a2"], before=2, after=20, actor="b"))
    path.write_bytes(b"".join(lines))
    assert {"b1": 1, "b3": 3, "b5": 5} == json.loads(say("at", path, 6, "--actor", "b")[1])
    assert {"b3": 3, "a4": 4} == json.loads(say("at", path, 6, "--seq", "3..4")[1])
    assert {"b1": 1} == json.loads(say("at", path, 6, "--path", "/b1")[1])
    status, out, told = say("at", path, 7, "--actor", "b")
    assert (0, {"b1": 1, "b3": 3, "b5": 5, "a2": 20}) == (status, json.loads(out))
    assert "kept, as a later change depends on it" in told
    assert "/a2" in told
    status, out, told = say("diff", path, "2..7", "--actor", "a")
    assert (0, "+ /a4: 4\n+ /a6: 6\n", "") == (status, out, told)
    assert "" == say("diff", path, "2..7", "--actor", "nobody")[1]
    assert [{"op": "replace", "path": "/a2", "value": 20}] == json.loads(say("patch", path, "6..", "--actor", "b")[1])
