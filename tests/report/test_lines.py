"""A change exported from the page, in a real browser, is its line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from chromium import browser
from command import change, environment, run
from gardening import STEPS, Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loglines import OLD_ADD, OLD_INIT, OLD_POP, line_of
from report_page import written

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.io import parse, to_line
from pydatatracker.report.data import Changes
from pydatatracker.report.page import script

__all__ = ["browser"]  # the fixture

FIXTURES = Path(__file__).parents[1] / "fixtures"
_ODD = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Browser:
    """Load the page's scripts into a browser, without the page."""
    browser.open("about:blank")
    browser.run(
        script("values", "replay", "log", "address", "dom", "lines")
        + """
        function fed(text) {
          const log = new Log();
          log.append(JSON.parse(text));
          return log.seq.map((_, at) => lineOf(log, at));
        }; 0"""
    )
    return browser


def text_of(raws: list[bytes], states: bool = True) -> str:
    changes = Changes("log.jsonl", states)
    for raw in raws:
        changes.add(parse(raw))
    return changes.text()


def same(raw: bytes | str) -> str:
    """Return a line as text with the order of keys, types of numbers."""
    return json.dumps(json.loads(raw))


def assert_same(scripts: Browser, raws: list[bytes], states: bool = True) -> None:
    """Assert that the page exports the lines that it was made of."""
    found = scripts.run(f"fed({json.dumps(text_of(raws, states))})")
    assert sorted(map(same, raws)) == sorted(map(same, found))


@_ODD
@given(steps=STEPS, compact=st.booleans(), states=st.booleans())
def test_random_lines_are_exported_as_they_are(scripts: Browser, steps: Any, compact: bool, states: bool) -> None:
    """Each line of a random session is exported with all its fields."""
    session = Session()
    raws: list[bytes] = []
    session.root.tracking_add_observer(lambda made: raws.append(to_line(made, compact=compact)), when="immediate")
    with tracking_actor("it's", n=1.0):
        session.run(steps)
    assert_same(scripts, raws, states)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([2**53, -(2**70), 10**700, 0.00001, 1e-7, 1e16, 1e22, -0.0, "it's", '"', "\u2028", "é\n"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["1", "0", "10", "$x", "__proto__"]), inner, max_size=4)
        | st.tuples(inner)
        | st.sets(st.integers() | st.text(max_size=2), max_size=3)
        | st.dictionaries(st.integers() | st.floats(allow_nan=False), inner, max_size=3)
    ),
    max_leaves=8,
)


@_ODD
@given(values=st.lists(JSON, min_size=1, max_size=6))
def test_values_of_any_kind_are_exported_as_they_are(scripts: Browser, values: list[Any]) -> None:
    """Values keep their text, types of numbers and order of keys."""
    data: TrackedDict[Any, Any] = TrackedDict(a=[1], tracking_auto_convert=True, tracking_capture_snapshots=True)
    raws: list[bytes] = []
    data.tracking_add_observer(lambda made: raws.append(to_line(made)), when="immediate")
    for n, value in enumerate(values):
        data["x"] = value
        data["a"].append(value)
        data["a"][0:1] = [value, n]
        data.update({"p": value, str(n): [value]})
        data.setdefault(f"d{n}", value)
        data["a"].pop(0)
    del data["x"]
    assert_same(scripts, raws)


def test_each_container_is_exported(scripts: Browser) -> None:
    """Lines of all containers, of undo, locks and transactions are exported."""

    class Node(TrackedAttr):
        pass

    node = Node()
    made = [
        TrackedDict(a=1, tracking_name="settings"), TrackedList([1, [2]], tracking_auto_convert=True), TrackedSet([1, "x"]), node,
        TrackedOrderedDict(a=1), TrackedDefaultDict(list), TrackedCounter("aab"), TrackedDeque([1, 2, 3], 3),
    ]  # fmt: skip
    raws: list[bytes] = []
    for each in made:
        each.tracking_add_observer(lambda change: raws.append(to_line(change)), when="immediate")
    with tracking_actor("a", why="x"), tracking_transaction():
        made[0].update(b=2, c=(1, {2}), d=b"x")
        made[0].pop("a")
        made[1][1].insert(0, {"k": None})
        made[1][0:1] = [5, 6, 7]
        made[1].reverse()
        made[2] |= {3, 4}
        made[2].discard("x")
        node.name = "n"
        node.items = [1]
    made[4].move_to_end("a")
    made[4].setdefault("q", 1.5)
    made[5]["l"].append(2)
    made[6].update("bbc")
    made[7].appendleft(9)
    made[7].rotate(1)
    made[0].lock()
    made[0].unlock()
    made[0].tracking_undo()
    made[1].tracking_undo()
    made[1].clear()
    assert 20 < len(raws)
    assert_same(scripts, raws)
    assert_same(scripts, raws, states=False)


def test_foreign_lines_are_exported(scripts: Browser) -> None:
    """Lines that this version would not write are exported as they are."""
    lines = [
        change(seq=1, action="init", path=[], pointer="", after={"b": 1, "2": 0, "1": {}}),
        change(seq=2, pointer="/x", path=["x"], before={"$missing": True}, after=1, color="red", __proto__={"a": 1}, constructor=None),
        change(seq=2**60, pointer=5, path="x", actor=None, thread=None, pid="x", method=7, type=None, context=[1], stack={"a": 1}),
        change(seq=3, time_ns=-1, created_time="yesterday"), change(seq=4, time_ns=None), change(seq=5, time_ns=10**40),
        change(seq=6, time_ns=5, created_time="1970-01-01T00:00:00.000000+00:00"), change(seq=7, created_time="2026-11-23T12:45:30Z"),
        change(seq=8, path=[1], pointer="/1", splice=[0, [1]], order=["x"], changes=[[1]], paths=[]),
        change(seq=9, path=["a", 0], tree=[{"type": "T", "uuid": "u", "location": None}, 5], tracked_item_uuid="u"),
        change(seq=10, path=["a", 0], tree=[{"type": "T", "uuid": "u", "location": "b"}], tracked_item_uuid="u"),
        change(seq=11, extra=[1]), change(seq=12, extra={"value": None, "location": 1.0, "x": 2**70, "toString": 1}),
        change(seq=13, undoes=4, position=[1], trace_id="ab" * 16, span_id="cd" * 8, seal="x" * 16 + ".1." + "0" * 64),
        change(seq=14, uuid=None, root="r", tracked_item_uuid=None, also=[["s", ["a"]], ["r", ["b"]], ["s", ["c"]]], also_cut=3, v=2),
        change(seq=15, root="r", also=[["s", ["a"]], ["s", ["c"]]], v=2, name="n"), change(seq=16, root="s", name="other"),
        b'{"v":1,"action":"gap","from":3,"to":9,"reason":"disk full","pid":3,"thread":"x"}\n', b'{"action":"gap"}\n',
        b'{"v":1,"action":"gap","from":99999999999999999999,"to":null,"reason":5}\n',
        *(json.dumps(each).encode() for each in (OLD_ADD, OLD_POP, OLD_INIT, OLD_ADD["extra"])),
        line_of(), line_of(seq=42, culprit=None, stack=["x"]), line_of(seq=43, name="", transaction="", ids={"/after": "x", "9": 1, "1": 2}),
    ]  # fmt: skip
    assert_same(scripts, lines)
    assert_same(scripts, lines, states=False)


def logs() -> list[Path]:
    return sorted(each for each in FIXTURES.rglob("*.jsonl*") if each.suffix in (".jsonl", ".gz"))


@pytest.mark.parametrize("log", logs(), ids=lambda log: f"{log.parent.name}-{log.name}")
def test_logs_of_earlier_versions_are_exported(scripts: Browser, log: Path) -> None:
    """Lines that earlier versions wrote are exported as they are."""
    data = gzip.decompress(log.read_bytes()) if log.suffix == ".gz" else log.read_bytes()
    assert_same(scripts, [raw for raw in data.splitlines() if raw])


# ---- the dialog, and the command line

PROGRAM = """
import os
from pydatatracker import TrackedDict, TrackedList, tracking_actor, tracking_transaction

rates = TrackedDict(usd=1.1)
shop = TrackedDict({"items": [{"n": 1}, {"n": 2}], "rates": rates}, tracking_auto_convert=True, tracking_name="shop")
other = TrackedList([rates])
for n in range(20):
    with tracking_actor(f"a{n % 3}", n=n):
        shop["items"].insert(0, {"n": n, "x": (n, n / 3)})
        shop["items"][n // 2]["n"] = -n
        if n % 5 == 4:
            shop["items"].sort(key=lambda each: each["n"])
        if n % 7 == 6:
            shop["rates"]["usd"] = n
            other.append(n)
with tracking_transaction():
    del shop["items"][3]
    shop.update(a=1, b=2**70, c=1.0)
shop.tracking_undo()
if FORKS:
    pid = os.fork()
    shop["who"] = "parent" if pid else "child"
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def log_of(folder: Path, forks: bool) -> Path:
    (folder / "program.py").write_text(PROGRAM.replace("FORKS", str(forks)))
    done = run("run", "--log", "log.jsonl", "program.py", cwd=folder)
    assert 0 == done.returncode, done.stderr
    return folder / "log.jsonl"


def downloaded(browser: Browser, page: Path, folder: Path, **fields: str) -> Path:
    """Set filters, export what they select as JSONL, and return the file."""
    browser.open(page)
    browser.until("document.querySelector('#position').textContent")
    for name, value in fields.items():
        browser.run(f"document.getElementById({name!r}).value = {json.dumps(value)}; 0")
    browser.run("document.getElementById('filters').dispatchEvent(new Event('input'))")
    browser.press("e")
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.click("#export-save")
    for _ in range(500):
        if (folder / "log.jsonl").exists() and (folder / "log.jsonl").stat().st_size:
            break
        browser.settle()
    assert [] == browser.trouble
    return folder / "log.jsonl"


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("forks", [False, True])
def test_an_export_is_the_log(browser: Browser, tmp_path: Path, forks: bool) -> None:
    """All lines exported are those of the log of a process.

    Every command prints the same of both.
    """
    log = log_of(tmp_path, forks)
    made = downloaded(browser, written(tmp_path, log), tmp_path / "made")
    original = [same(raw) for raw in log.read_bytes().splitlines()]
    assert sorted(original) == sorted(same(raw) for raw in made.read_bytes().splitlines())
    if forks:
        return
    for command in (
        ("show", "-v"), ("verify",), ("stats",), ("blame", "--all"), ("blame", "#1/items/3/n"), ("history", "#1/items/2"), ("at", "40"),
        ("at", "--root", "#2", "1000"), ("diff", "10..40"), ("undo-script", "--seq", "60.."), ("convert", "--to", "csv"),
    ):  # fmt: skip
        words = [command[0], "log.jsonl", *command[1:]]
        of_log, of_export = run(*words, cwd=tmp_path), run(*words, cwd=tmp_path / "made")
        assert (of_log.stderr, of_log.returncode) == (of_export.stderr, of_export.returncode)
        # the page has the lines in the order of seq, the log an init where it was written
        assert sorted(of_log.stdout.splitlines()) == sorted(of_export.stdout.splitlines())


def test_an_export_of_a_selection_is_of_the_log(browser: Browser, tmp_path: Path) -> None:
    """Lines of one actor are those that `show --json` prints."""
    log = log_of(tmp_path, False)
    made = downloaded(browser, written(tmp_path, log), tmp_path / "made", actor="=a1", glob="/items/**")
    expected = run("show", "--json", "--actor", "a1", "--path", "/items/**", log, cwd=tmp_path).stdout
    assert [same(line) for line in expected.splitlines()] == [
        same(line) for line in made.read_text("utf-8").splitlines()
    ]
    assert run("show", "-v", made, cwd=tmp_path).returncode == 0


def test_a_sealed_log_keeps_its_seals(browser: Browser, tmp_path: Path) -> None:
    """Exported lines of a sealed log have their seals."""
    code = (
        "from pydatatracker import TrackedDict\nfrom pydatatracker.exporters import JsonLinesExporter\n"
        "d = TrackedDict(a=1)\nwith JsonLinesExporter('log.jsonl', seal=True) as out:\n"
        "    d.tracking_add_observer(out)\n    d['a'] = 2\n    d['b'] = [1]\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment(), check=True, timeout=60)
    log = tmp_path / "log.jsonl"
    made = downloaded(browser, written(tmp_path, log), tmp_path / "made")
    expected = [same(raw) for raw in log.read_bytes().splitlines() if json.loads(raw)["action"] != "seal"]
    assert expected == [same(raw) for raw in made.read_bytes().splitlines()]
    assert all("seal" in json.loads(each) for each in expected)


def test_a_usual_line_costs_little(tmp_path: Path) -> None:
    """Fields that are only exported add at most 15 bytes to a usual line."""
    data: TrackedDict[str, Any] = TrackedDict(
        users=[{"name": f"u{n}", "n": n} for n in range(50)], tracking_auto_convert=True, tracking_max_changes=None
    )
    for n in range(2000):
        with tracking_actor(f"a{n % 7}"):
            data["users"][n * 7 % 50]["n" if n % 2 else "name"] = n if n % 2 else f"it {n}"
    changes = Changes("log.jsonl")
    for entry in data.tracking_changes():
        changes.add(parse(to_line(entry)))
    text = json.loads(changes.text())
    assert [] == [body for body in text["columns"]["body"][1:] if "x" in body]
    more = [text["columns"].pop(name) for name in ("ns", "shape", "item")] + [
        text["tables"].pop(name) for name in ("shapes", "items")
    ]
    assert 15 > len(json.dumps(more, separators=(",", ":"))) / 2000
