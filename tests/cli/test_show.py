"""``pydatatracker show``: logs as text, in terminals and pipes."""

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import change, environment, run, run_in_terminal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedDict, TrackedList, TrackedSet, tracking_actor
from pydatatracker.cli.line_view import LineView
from pydatatracker.cli.terminal import cells
from pydatatracker.exporters import SqliteExporter
from pydatatracker.io import parse
from pydatatracker.io.parsing import NotAChange
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import NESTING

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LOG = b"".join(
    [
        change(seq=1, action="init", method="__init__", pointer="", path=[], after={"cfg": {"ports": [8080]}}),
        change(seq=2, pointer="/cfg/ports/0", path=["cfg", "ports", 0], before=8080, after=9090, actor="job-123"),
        change(seq=3, action="add", pointer="/name", path=["name"], after="x" * 300, actor="deploy"),
        change(seq=4, action="remove", pointer="/name", path=["name"], before="x" * 300, actor="deploy"),
        change(seq=5, action="lock", method="lock", pointer="", path=[]),
        b'{"v":1,"action":"gap","from":6,"to":9,"reason":"queue full"}\n',
    ]
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "changes.jsonl"
    path.write_bytes(LOG)
    return path


def test_piped_output_is_plain_and_whole(log: Path) -> None:
    """In a pipe each change is one plain line with all its fields.

    A long value is cut, a gap has a line of its own.
    """
    done = run("show", log, cwd=log.parent)
    long = repr("x" * 300)[:59] + "…"
    expected = [
        "2026-11-23 12:45:30.422 1         init   (root)       -> {'cfg': {'ports': [8080]}}",
        "2026-11-23 12:45:30.422 2 job-123 update /cfg/ports/0 8080 -> 9090",
        f"2026-11-23 12:45:30.422 3 deploy  add    /name        -> {long}",
        f"2026-11-23 12:45:30.422 4 deploy  remove /name        {long} ->",
        "2026-11-23 12:45:30.422 5         lock   (root)",
        "                          changes 6..9 are missing: queue full",
    ]
    assert (0, "") == (done.returncode, done.stderr)
    assert expected == done.stdout.splitlines()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_terminal_gets_aligned_coloured_lines_that_fit(log: Path, columns: int) -> None:
    """In a terminal each change is one aligned line that fits the width."""
    status, shown = run_in_terminal("show", log, cwd=log.parent, columns=columns)
    assert status == 0
    assert "\x1b[32madd\x1b[0m" in shown
    lines = COLOUR.sub("", shown).splitlines()
    assert len(LOG.splitlines()) == len(lines)
    assert columns >= max(map(len, lines))
    for start in ("init", "update", "add", "remove", "lock"):
        (line,) = (line for line in lines if f" {start} " in f"{line} ")
        assert lines[0].index("init") == line.index(start)
    assert columns == max(map(len, lines)) or columns == 200
    assert ("2026-11-23 12:45:30.422" in lines[0]) == (columns >= 100)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_is_heeded(log: Path, env: dict[str, str]) -> None:
    """With NO_COLOR or a dumb terminal no escape sequence is printed."""
    status, shown = run_in_terminal("show", log, cwd=log.parent, **env)
    assert (0, False) == (status, "\x1b" in shown)


def test_an_empty_no_color_means_nothing(log: Path) -> None:
    """An empty NO_COLOR leaves colours on (https://no-color.org)."""
    assert "\x1b[" in run_in_terminal("show", log, cwd=log.parent, NO_COLOR="")[1]


def test_wide_characters_have_two_columns(tmp_path: Path) -> None:
    """Wide characters count as two columns when lines are aligned and cut."""
    path = tmp_path / "wide.jsonl"
    path.write_bytes(
        change(seq=1, pointer="/茶", path=["茶"], before="茶" * 100, after="🍵" * 100, actor="店")
        + change(seq=2, pointer="/tea", path=["tea"], before="a", after="b", actor="shop")
    )
    lines = run_in_terminal("show", path, cwd=tmp_path, NO_COLOR="1")[1].splitlines()
    wide = sum(2 if ord(letter) > 0x2E80 else 1 for letter in lines[0])
    assert 76 <= wide <= 80
    before = lines[0][: lines[0].index("update")]
    assert lines[1].index("update") == len(before) + before.count("店")


def test_the_log_may_come_from_standard_input(log: Path) -> None:
    """``-`` reads the log from standard input."""
    from_file = run("show", log, cwd=log.parent).stdout
    piped = run("show", "-", cwd=log.parent, stdin=LOG)
    assert 0 == piped.returncode
    assert [line.split() for line in from_file.splitlines()] == [line.split() for line in piped.stdout.splitlines()]


def test_a_live_pipe_is_shown_at_once(tmp_path: Path) -> None:
    """A line in a pipe is shown before the next one comes."""
    with subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", "show", "-"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(change(seq=number + 1, pointer=f"/{number}", path=[number], after=number))
            process.stdin.flush()
            assert f"/{number}".encode() in process.stdout.readline()


def test_json_prints_the_lines_themselves(log: Path) -> None:
    """--json prints the readable lines of the log, byte for byte."""
    log.write_bytes(LOG + b"not a line\n")
    done = run("show", "--json", log, cwd=log.parent)
    assert (1, LOG.decode()) == (done.returncode, done.stdout)


def test_a_real_log_is_shown(tmp_path: Path) -> None:
    """Every line of a log that an observer wrote is shown."""
    path = tmp_path / "real.jsonl"
    data: TrackedDict = TrackedDict({"start": 1}, tracking_auto_convert=True)
    with json_file_observer(path) as observer:
        data.tracking_add_observer(observer)
        with tracking_actor("importer"):
            data["items"] = [3, 1, 2]
            data["items"].sort()
            data["items"][0:1] = ["a", "b"]
            data.update(start=2, end=3)
            data["tags"] = TrackedSet({"x"})
            data["tags"].update({"y"})
            del data["start"]
    done = run("show", path, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    fields = [re.split(r"^\S+ \S+ +\d+ +(?:importer)? +", line)[1] for line in done.stdout.splitlines()]
    expected = [
        ("init", "(root)", "-> {'start': 1}"),
        ("add", "/items", "-> [3, 1, 2]"),
        ("update", "/items", "-> new order of 3 items"),
        ("update", "/items", "[0:1] [1] -> ['a', 'b']"),
        ("update", "(root)", "{'start': 1} -> {'start': 2, 'end': 3}"),
        ("add", "/tags", "-> {'x'}"),
        ("add", "/tags", "-> ['y']"),
        ("remove", "/start", "2 ->"),
    ]
    assert expected == [tuple(re.split(" +", word, maxsplit=2)) for word in fields]


def test_lines_of_0_1_0_are_shown_as_far_as_they_go(tmp_path: Path) -> None:
    """Lines of 0.1.0 and bare ``extra`` lines are shown with what they have.

    That is their action, location and value.
    """
    path = tmp_path / "old.jsonl"
    path.write_text(
        '{"actor":"job","created_time":"2020-01-02T03:04:05+00:00","extra":'
        '{"action":"update","location":"profile:score","value":"17","method":"__setitem__","type":"TrackedDict"}}\n'
        '{"action":"add","location":"name","value":"Ann"}\n'
    )
    done = run("show", path, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    old, bare = (line.split() for line in done.stdout.splitlines())
    assert ["2020-01-02", "03:04:05.000", "job", "update", "profile:score", "->", "17"] == old
    assert ["add", "name", "->", "Ann"] == bare


def test_gzip_is_read(tmp_path: Path) -> None:
    """A gzip log is read without being unpacked first."""
    path = tmp_path / "changes.jsonl.gz"
    path.write_bytes(gzip.compress(LOG))
    done = run("show", path, cwd=tmp_path)
    assert (0, 6) == (done.returncode, len(done.stdout.splitlines()))


GOOD = change(seq=7, pointer="/good", path=["good"], after=1)
HOSTILE = {
    "binary": bytes(range(256)).replace(b"\n", b"") * 4 + b"\n",
    "cut off": GOOD[:70] + b"\n",
    "not an object": b"[1,2,3]\n",
    "no action": b'{"level":"info","msg":"another log"}\n',
    "not UTF-8": b'{"v":1,"action":"\xff\xfe"}\n',
    "too deep": b'{"v":1,"action":' + b"[" * 200_000 + b"\n",
    "from the future": b'{"v":99,"action":"add"}\n',
    "ten megabytes": b"x" * 10_000_000 + b"\n",
    "a null byte": b"\0\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_unreadable_line_is_named_and_skipped(tmp_path: Path, kind: str) -> None:
    """An unreadable line is skipped, and its file, line and offset reported.

    The good lines are shown; the exit status is 1.
    """
    path = tmp_path / "bad.jsonl"
    path.write_bytes(GOOD + HOSTILE[kind] + GOOD)
    done = run("show", path, cwd=tmp_path)
    assert (1, 2) == (done.returncode, done.stdout.count("/good"))
    assert done.stderr.startswith(f"pydatatracker: {path}: line 2, byte {len(GOOD)}: ")
    assert 1 == len(done.stderr.splitlines())
    assert "Traceback" not in done.stderr


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    """Every unreadable line is reported under its own number."""
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"".join(HOSTILE.values()))
    done = run("show", path, cwd=tmp_path)
    found = [int(number) for number in re.findall(r": line (\d+), byte ", done.stderr)]
    assert (1, "") == (done.returncode, done.stdout)
    assert list(range(1, len(HOSTILE) + 1)) == found


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x00\x7f\u202e\u2028\r\n\ud800"


@pytest.mark.parametrize("option", [(), ("--json",)])
@pytest.mark.parametrize(
    "fields",
    [
        {"after": EVIL, "before": [EVIL], "pointer": f"/{EVIL}", "path": [EVIL]},
        {"actor": EVIL, "type": EVIL, "method": EVIL, "root": EVIL},
        {"action": EVIL},
        {"splice": [0, [EVIL], [EVIL]]},
        {"changes": [[EVIL, {"$missing": True}, EVIL]]},
        {"after": {"$repr": EVIL, "type": EVIL}},
        {"after": {"$bytes": EVIL}, "before": {"$decimal": EVIL}},
        {"action": "gap", "from": 1, "to": 2, "reason": EVIL},
        {"v": 0, "extra": {"action": EVIL, "location": EVIL, "value": EVIL}},
        {"created_time": EVIL},
        {"seq": EVIL, "time_ns": [EVIL], "path": EVIL, "context": EVIL},
    ],
)
def test_no_escape_sequence_of_a_log_reaches_the_terminal(
    tmp_path: Path, fields: dict[str, object], option: tuple[str, ...]
) -> None:
    """Control characters in any field are escaped, in terminals and pipes."""
    path = tmp_path / "evil.jsonl"
    raw = change(**fields)
    # once more with the control characters that JSON allows unescaped
    path.write_bytes(raw + raw.replace(b"\\u009b", "\x9b".encode()).replace(b"\\u007f", b"\x7f"))
    _, shown = run_in_terminal("show", *option, path, cwd=tmp_path, columns=200, NO_COLOR="1")
    piped = run("show", *option, path, cwd=tmp_path)
    for text in (shown, piped.stdout, piped.stderr):
        assert set() == {letter for letter in text if ord(letter) < 32 or 127 <= ord(letter) < 160} - {"\n"}
    if not option:
        assert "\u202e" not in shown
        assert "\u2028" not in shown


def test_an_evil_file_name_is_spelled_out(tmp_path: Path) -> None:
    """Control characters in a file name are escaped."""
    (tmp_path / "a\x1b[31m.jsonl").write_bytes(b"?\n")
    done = run("show", "a\x1b[31m.jsonl", cwd=tmp_path)
    assert (1, False) == (done.returncode, "\x1b" in done.stderr)


@pytest.mark.parametrize(
    "fields",
    [
        {"after": "9" * 5000},
        {"after": {"$int": "9" * 5000}},
        {"created_time": "0001-01-01T00:00:00+00:00"},
        {"created_time": "9999-12-31T23:59:59.999999+00:00", "time_ns": None},
        {"time_ns": 10**18 * 9, "created_time": ""},
        {"time_ns": -1, "created_time": "yesterday"},
        {"seq": -5},
        {"seq": 10**30},
        {"order": [1, "x", None]},
        {"splice": [1]},
        {"splice": ["a", "b", "c"]},
        {"changes": [[1], [1, 2, 3, 4], 7]},
        {"changes": [[[1], {"a": 1}, {"$set": [[1]]}]]},
        {"path": {"a": 1}, "pointer": 7},
        {"after": {"$dict": [[{"$dict": []}, 1]]}},
        {"after": {"$ref": "/x"}},
        {"action": ""},
    ],
)
def test_strange_fields_do_no_harm(tmp_path: Path, fields: dict[str, object]) -> None:
    """A line with an action is shown, whatever its other fields are."""
    path = tmp_path / "strange.jsonl"
    path.write_bytes(change(**fields) + GOOD)
    for columns in (60, 200):
        status, shown = run_in_terminal("show", path, cwd=tmp_path, columns=columns, NO_COLOR="1")
        assert "Traceback" not in shown
        assert "/good" in shown
        assert status in (0, 1)
        assert columns >= max(map(len, shown.splitlines())) or status == 1


def test_values_are_cut_however_large_and_deep(tmp_path: Path) -> None:
    """A value of megabytes or of many levels is cut to one short line."""
    path = tmp_path / "large.jsonl"
    deep: list[object] = []
    for _ in range(NESTING - 2):
        deep = [deep]
    path.write_bytes(change(pointer="/a", path=["a"], after=list(range(500_000)), before=deep))
    done = run("show", path, cwd=tmp_path)
    assert (0, 1) == (done.returncode, len(done.stdout.splitlines()))
    assert len(done.stdout) < 250


def test_an_8_bit_terminal_is_served(log: Path) -> None:
    """Characters that the output encoding lacks are escaped."""
    log.write_bytes(change(pointer="/é", path=["é"], after="茶" * 100))
    done = run("show", log, cwd=log.parent, PYTHONIOENCODING="ascii")
    assert (0, True) == (done.returncode, "\\u8336" in done.stdout)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path, name: str) -> None:
    """An unreadable file exits with status 2 and one line on stderr."""
    done = run("show", name, cwd=tmp_path)
    assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
    assert done.stderr.startswith(f"pydatatracker: cannot read {name}: ")


def test_an_empty_log_is_fine(tmp_path: Path) -> None:
    """An empty log prints nothing and exits with status 0."""
    path = tmp_path / "empty.jsonl"
    path.touch()
    done = run("show", path, cwd=tmp_path)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    """``show FILE | head -1`` ends without a message and with status 0."""
    path = tmp_path / "long.jsonl"
    path.write_bytes(GOOD * 20_000)
    with subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", "show", str(path)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"/good" in process.stdout.readline()
        process.stdout.close()
        assert b"" == process.stderr.read()
    assert 0 == process.returncode


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk, and is missing here")
@pytest.mark.parametrize(
    ("target", "expected"), [(">/dev/full", (2, "pydatatracker: No space left on device\n")), (">&-", (0, ""))]
)
def test_output_that_goes_nowhere(log: Path, target: str, expected: tuple[int, str]) -> None:
    """A full disk is an error of one line; a closed stdout is not an error."""
    command = f"exec {shlex.quote(sys.executable)} -m pydatatracker show changes.jsonl {target}"
    done = subprocess.run(["sh", "-c", command], cwd=log.parent, env=environment(), stderr=subprocess.PIPE, check=False)
    assert expected == (done.returncode, done.stderr.decode())


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_ends_cleanly(tmp_path: Path) -> None:
    """Ctrl-C while waiting for input exits with 130, without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "pydatatracker", "show", "-"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(GOOD)
        process.stdin.flush()
        assert b"/good" in process.stdout.readline()  # the command is running, and waits for input
        process.send_signal(signal.SIGINT)
        assert b"" == process.stderr.read().strip()
    assert 130 == process.returncode


def test_a_list_of_characters_is_shown(tmp_path: Path) -> None:
    """Insertions into a list of characters are shown like any others."""
    path = tmp_path / "list.jsonl"
    text: TrackedList = TrackedList("ab")
    with json_file_observer(path) as observer:
        text.tracking_add_observer(observer)
        text[1:1] = "x"
        text.append("c")
    shown = run("show", path, cwd=tmp_path).stdout.splitlines()
    assert ["-> ['a', 'b']", "-> [1:1] ['x']", "-> 'c'"] == ["->" + line.split("->")[1] for line in shown]


def test_the_lines_of_json_are_json(tmp_path: Path) -> None:
    """Escapes that --json adds leave the JSON value unchanged."""
    path = tmp_path / "c1.jsonl"
    line = json.dumps({"v": 1, "action": "add", "after": "a\x9bb\x7f"}, ensure_ascii=False)
    path.write_text(line + "\n", "utf-8")
    shown = run("show", "--json", path, cwd=tmp_path).stdout
    assert (False, json.loads(line)) == ("\x9b" in shown, json.loads(shown))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


# The first text that hypothesis makes on a machine takes seconds, as it tabulates Unicode.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    columns=st.integers(40, 240),
    fields=st.dictionaries(
        st.sampled_from(
            ["seq", "actor", "action", "pointer", "path", "before", "after", "created_time", "splice", "v"]
        ),
        _VALUES,
    ),
)
def test_no_line_is_wider_than_the_terminal(columns: int, fields: dict[str, object]) -> None:
    """Every line fits the terminal and is printable, whatever the log has."""
    try:
        line = parse(change(**fields))
    except NotAChange:
        return
    for sample in ([line], None):
        text = LineView(columns, False, sample).line(line)
        assert columns >= cells(text) - max(0, len(str(line.seq or "")) - 9)
        assert text.isprintable()


def test_no_action_is_cut_that_came_late(tmp_path: Path) -> None:
    """An action longer than those of the first lines is not cut.

    Columns are fitted to the first lines only.
    """
    lines = [change(seq=n, action="add", pointer=f"/{n}", after=n) for n in range(1, 500)]
    (tmp_path / "log").write_bytes(b"".join(lines) + change(seq=500, pointer="/1", before=1, after=2))
    status, shown = run_in_terminal("show", "--no-pager", "log", cwd=tmp_path, NO_COLOR="1")
    assert (0, ["500", "update", "/1", "1", "->", "2"]) == (status, shown.splitlines()[-1].split()[1:])


def stored(path: Path) -> None:
    """Write changes into an SQLite database."""
    d = TrackedDict({"a": {"b": 1}}, tracking_auto_convert=True)
    with SqliteExporter(path) as exporter:
        d.tracking_add_observer(exporter)
        d["a"]["b"] = "two\nlines"
        d["c"] = [1]
        d["c"].append(2)


@pytest.mark.parametrize(
    "words",
    [
        "show", "show -", "show --tail 1", "show --follow", "stats", "verify", "report -o x.html", "view", "at S 1",
        "diff S 1..2", "patch S 1..2", "undo-script", "blame S /a", "blame S --all", "history S /a", "query select",
        "convert --to csv",
    ],
)  # fmt: skip
def test_a_database_is_named_and_how_to_read_it(tmp_path: Path, words: str) -> None:
    """A command that reads lines says of an SQLite database what it is.

    One line and exit status 2, also of standard input. Nothing is written.
    """
    if words.startswith("query"):
        pytest.importorskip("duckdb", reason="no duckdb for this interpreter")
    stored(tmp_path / "my s.db")
    data = (tmp_path / "my s.db").read_bytes()
    name = "-" if words.endswith("-") else "my s.db"
    given = words.removesuffix(" -").split()
    args = [name if word == "S" else word for word in given]
    done = run(*args, *([] if "S" in given else [name]), cwd=tmp_path, stdin=data if name == "-" else b"")
    shown = ("<stdin>", "FILE") if name == "-" else (name, f"'{name}'")
    assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert done.stderr == (
        f"pydatatracker: cannot read {shown[0]}: it is an SQLite database, not a file of lines; read the lines in it with:"
        f" sqlite3 {shown[1]} 'SELECT line FROM changes ORDER BY seq' | pydatatracker show -\n"
    )
    assert ["my s.db"] == sorted(each.name for each in tmp_path.iterdir())


def test_the_way_to_read_a_database_works(tmp_path: Path) -> None:
    """The command of the message prints the changes of the database."""
    if shutil.which("sqlite3") is None:
        pytest.skip("no program sqlite3 here")
    stored(tmp_path / "my s.db")
    command = re.search(r"sqlite3 .*'(?= \|)", run("show", "my s.db", cwd=tmp_path).stderr)
    assert command is not None
    lines = subprocess.run(shlex.split(command[0]), cwd=tmp_path, capture_output=True, timeout=60, check=True).stdout
    shown = run("show", "-", cwd=tmp_path, stdin=lines)
    assert (0, 4) == (shown.returncode, len(shown.stdout.splitlines()))
    assert (0, "") == (lambda done: (done.returncode, done.stderr))(run("verify", "-", cwd=tmp_path, stdin=lines))


def test_a_database_is_written_and_checked_as_before(tmp_path: Path) -> None:
    """``convert --to sqlite`` and ``verify --seal`` take a database."""
    log = tmp_path / "a.jsonl"
    log.write_bytes(b"".join(LOG.splitlines(keepends=True)[:-1]))
    for _ in range(2):
        assert 0 == run("convert", log, "--to", "sqlite", "-o", "s.db", cwd=tmp_path).returncode
    with SqliteExporter(tmp_path / "sealed.db", seal=True) as exporter:
        d = TrackedDict()
        d.tracking_add_observer(exporter)
        d["a"] = 1
    assert "all seals are right" in run("verify", "--seal", "sealed.db", cwd=tmp_path).stdout
