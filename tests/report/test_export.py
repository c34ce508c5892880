"""Exports and comparisons of the `report` page, against the command line.

The scripts are those of the page, and run in a real browser.
"""

from __future__ import annotations

import copy
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from browser import Browser
from chromium import browser
from command import environment, run
from gardening import STEPS, Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loglines import roots_of
from report_page import written

from pydatatracker import _core, track
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.replay.patch import operations_between
from pydatatracker.cli.replay.states import state_at
from pydatatracker.cli.replay.undo import undo_wanted, undoing_operations
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import parse
from pydatatracker.io.line import LogLine
from pydatatracker.report.data import Changes
from pydatatracker.report.page import script
from pydatatracker.report.values import dumps, exact, script_safe
from pydatatracker.values.encode import encode

__all__ = ["browser"]  # the fixture

_ODD = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Browser:
    """Load the page's scripts into a browser, without the page."""
    browser.open("about:blank")
    modules = ("values", "replay", "log", "address", "dom", "compare", "operations", "lines", "export")
    browser.run(
        script(*modules)
        + """
        function fed(text) {
          globalThis.log = new Log();
          log.append(JSON.parse(text));
          globalThis.world = new World(log);
          world.seek(log.size);
        }
        function rows(a, b) {
          return [...differences(...world.states(a, b))].map(({ kind, root, keys, before, after }) =>
            [kind, pointerOf(keys), before === undefined ? null : jsonOf(before), after === undefined ? null : jsonOf(after)]);
        }; 0"""
    )
    return browser


def feed(scripts: Browser, lines: list[LogLine]) -> None:
    changes = Changes("log.jsonl")
    for line in lines:
        changes.add(line)
    scripts.run(f"fed({json.dumps(changes.text())}); 0")


def exported(scripts: Browser, form: str, selected: list[int]) -> tuple[Any, list[str]]:
    """Return (operations, notes) for changes; no operations if refused."""
    made = scripts.run(f"exported(log, world, {form!r}, {selected}, {{}})")
    return (json.loads(made["text"]) if made["text"] else None), made["notes"]


def garden(steps: Any, odd_keys: bool) -> list[LogLine]:
    """Return the lines of a random session, before the first reference."""
    session = Session(odd_keys)
    lines: list[LogLine] = []
    first = {
        "v": 1,
        "seq": _core.newest_seq(),
        "action": "init",
        "pointer": "",
        "path": [],
        "time_ns": 0,
        "method": "init",
    }
    session.root.tracking_add_observer(
        lambda change: lines.append(parse(json.dumps(change.to_dict()).encode())), when="immediate"
    )
    start = plain_copy(session.root)
    session.run(steps)
    root = lines[0].root if lines else ""
    lines.insert(0, parse(json.dumps({**first, "root": root, "after": encode(start)}).encode()))
    return lines[: next((n for n, line in enumerate(lines) if b'"$at"' in line.raw), len(lines))]


def applied(state: Any, operations: list[dict[str, Any]]) -> Any:
    return jsonpatch.apply_patch(copy.deepcopy(state), operations)


def unordered(data: Any) -> Any:
    """Return data with the elements of sets sorted."""
    if isinstance(data, dict):
        return {key: sorted(map(repr, item)) if key == "$set" else unordered(item) for key, item in data.items()}
    return [unordered(item) for item in data] if isinstance(data, list) else data


def operations_of(made: list[dict[str, Any]]) -> list[str]:
    """Return operations as sorted texts.

    Those of one change in several places have no order.
    """
    return sorted(json.dumps(unordered(each), sort_keys=True) for each in made)


@_ODD
@given(steps=STEPS, data=st.data())
@pytest.mark.parametrize("odd_keys", [False, True])
def test_a_patch_is_that_of_the_command_line(scripts: Browser, odd_keys: bool, steps: Any, data: Any) -> None:
    """A span as a JSON Patch has the operations of `patch`.

    Only what JSON cannot name is refused.
    """
    lines = garden(steps, odd_keys)
    if len(lines) < 2:
        return
    first = data.draw(st.integers(1, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    feed(scripts, lines)
    found, notes = exported(scripts, "patch", list(range(first, last + 1)))
    with roots_of((line.raw for line in lines), lambda error: pytest.fail(str(error))) as roots:
        (key,) = roots.by_root
        points = (lines[first - 1].seq, None), (lines[last].seq, None)
        expected = operations_between(roots, key, *points, False)
        old, new = (encode(state, limit=None) for state in state_at(roots, key, *points))
    if found is None:
        assert odd_keys or "refers to another part" in notes[0], notes
        return
    assert unordered(new) == unordered(applied(old, found))
    if not any(
        line.order is not None for line in lines[first : last + 1]
    ):  # a replica sorts by writing the items again
        assert operations_of(expected) == operations_of(found)


@_ODD
@given(steps=STEPS, data=st.data())
def test_an_undo_is_that_of_the_command_line(scripts: Browser, steps: Any, data: Any) -> None:
    """Undoing some changes has the operations of `undo-script`.

    What later changes built upon is refused.
    """
    lines = garden(steps, False)
    if len(lines) < 2:
        return
    first = data.draw(st.integers(1, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    feed(scripts, lines)
    found, notes = exported(scripts, "undo", list(range(first, last + 1)))
    with roots_of((line.raw for line in lines), lambda error: pytest.fail(str(error))) as roots:
        (key,) = roots.by_root
        undone = undo_wanted(roots, key, Filter(seq=(lines[first].seq, lines[last].seq)))
        expected = undoing_operations(undone)
    if found is None:
        assert last < len(lines) - 1 or "refers to another part" in notes[0], notes
        return
    assert [] == undone.kept
    before, after = encode(undone.before, limit=None), encode(undone.after, limit=None)
    assert unordered(after) == unordered(applied(before, found))
    if not any(line.order is not None for line in lines):
        assert operations_of(expected) == operations_of(found)


def test_random_states_compared(scripts: Browser) -> None:
    """Differences are by key, and by index between equal ends of lists."""
    old = {
        "a": 1,
        "b": [1, 2, 3, 4],
        "c": {"x": {1, 2}, "y": None},
        "gone": "x",
        "same": [[1], {"k": 2}],
        "kind": [1],
        "l": [1, 2],
    }
    new = {
        "a": "1",
        "b": [1, 9, 4],
        "c": {"x": {2, 3}, "y": None},
        "new": {"z": (1,)},
        "same": [[1], {"k": 2}],
        "kind": {"0": 1},
        "l": [1, 5, 6, 2],
    }
    data: Any = track(old)
    lines: list[LogLine] = []
    first = {"v": 1, "seq": _core.newest_seq(), "action": "init", "pointer": "", "path": [], "after": encode(old)}
    data.tracking_add_observer(lambda change: lines.append(parse(json.dumps(change.to_dict()).encode())))
    data.update(new)
    del data["gone"]
    lines.insert(0, parse(json.dumps({**first, "root": lines[0].root}).encode()))
    feed(scripts, lines)
    expected = [
        ["changed", "/a", "1", '"1"'], ["changed", "/b/1", "2", "9"], ["removed", "/b/2", "3", None], ["removed", "/c/x/1", "1", None],
        ["added", "/c/x/3", None, "3"], ["removed", "/gone", '"x"', None], ["changed", "/kind", "[1]", '{"0":1}'], ["added", "/l/1", None, "5"],
        ["added", "/l/2", None, "6"], ["added", "/new", None, '{"z":{"$tuple":[1]}}'],
    ]  # fmt: skip
    assert expected == sorted(scripts.run(f"rows(1, {len(lines)})"), key=lambda row: row[1])
    turned = {"added": "removed", "removed": "added", "changed": "changed"}
    back = [[turned[kind], pointer, after, before] for kind, pointer, before, after in expected]
    assert back == sorted(scripts.run(f"rows({len(lines)}, 1)"), key=lambda row: row[1])
    assert [] == scripts.run("rows(1, 1)")


TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=10
)  # fmt: skip


@_ODD
@given(data=TEXTS)
def test_operations_are_indented_as_by_python(scripts: Browser, data: Any) -> None:
    """JSON in a program is that of json.dumps, with an indent and in ASCII."""
    data = encode(data)
    text = script_safe(dumps(exact(data)))
    assert json.dumps(data, indent=2) == scripts.run(f"indented(jsonOf(JSON.parse({json.dumps(text)})))")


# ---- the dialogs, and the command line


PROGRAM = """
from pydatatracker import TrackedDict, tracking_actor, tracking_transaction
from pydatatracker.observers import json_file_observer

words = ["geh" "eim", "sec" "ret"]
data = TrackedDict({"cfg": {"ports": [80, 443]}, "pw": words[0], "n": 1.0}, tracking_auto_convert=True, tracking_capture_stack=True, tracking_redact="/**/pw")
with json_file_observer("log.jsonl") as observer:
    data.tracking_add_observer(observer)
    with tracking_actor("it's", reason="rotate"):
        data["cfg"]["ports"][0] = 8080
        data["n"] = 2**70
    data["pw"] = words[1]
    with tracking_transaction():
        data["cfg"]["ports"].append(float("nan"))
        data["cfg"]["x"] = 1e300
    with tracking_actor("late"):
        data["cfg"]["ports"].sort(key=str)
        data.update(a=1, b=(1, 2))
        data["s"] = {1}
        data["s"].add(2)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a log with secrets, and numbers beyond JavaScript."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "program.py").write_text(PROGRAM)
    subprocess.run([sys.executable, "-P", "program.py"], cwd=folder, env=environment(), check=True, timeout=60)
    return written(folder, folder / "log.jsonl")


def opened(browser: Browser, file: Path, **fields: str) -> Browser:
    """Open the page with filters, and the dialog."""
    browser.open(file)
    browser.until("document.querySelector('#position').textContent")
    for name, value in fields.items():
        browser.run(f"document.getElementById({name!r}).value = {json.dumps(value)}; 0")
    browser.run("document.getElementById('filters').dispatchEvent(new Event('input'))")
    browser.press("e")
    return browser


FILES = {"jsonl": "jsonl", "patch": "patch.json", "undo": "undo.json", "python": "undo.py"}


def saved(browser: Browser, folder: Path, form: str) -> str:
    """Press Download, and return the text of the file."""
    browser.run(f"document.querySelector('#export-form [value={form}]').click(); 0")
    browser.settle()
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.click("#export-save")
    name = f"log.{FILES[form]}"
    for _ in range(500):
        if (folder / name).exists() and (folder / name).stat().st_size:
            break
        browser.settle()
    return (folder / name).read_text("utf-8")


def by_command(browser: Browser, file: Path) -> str:
    """Run the command that the dialog names."""
    words = shlex.split(browser.text("#export-command"))
    assert "pydatatracker" == words[0]
    done = run(*words[1:], cwd=file.parent)
    assert ("", 0) == (done.stderr, done.returncode)
    return done.stdout


@pytest.mark.parametrize(
    "fields", [{}, {"actor": "=it's"}, {"glob": "/cfg/**"}, {"span": "2..4"}, {"action": "add", "actor": "=late"}]
)
def test_lines_are_those_of_show(browser: Browser, file: Path, tmp_path: Path, fields: dict[str, str]) -> None:
    """Exported lines have what `show --json` prints for the selection.

    Withheld values stay withheld.
    """
    page = opened(browser, file, **fields)
    text = saved(page, tmp_path, "jsonl")
    expected = [json.loads(line) for line in by_command(page, file).splitlines()]
    found = [json.loads(line) for line in text.splitlines()]
    assert len(expected) == len(found)
    assert list(map(repr, expected)) == list(map(repr, found))
    assert not any(word in text for word in ("geheim", "secret"))
    assert [] == page.trouble
    assert len(found) == run("show", "log.jsonl", cwd=tmp_path).stdout.count("\n")


@pytest.mark.parametrize("span", ["1..2", "1..5", "3..", "6..9", "7..7"])
def test_patches_are_those_of_the_commands(browser: Browser, file: Path, tmp_path: Path, span: str) -> None:
    """A JSON Patch is that of `patch`, an undo that of `undo-script`."""
    page = opened(browser, file, span=span)
    patch = json.loads(saved(page, tmp_path, "patch"))
    assert operations_of(json.loads(by_command(page, file))) == operations_of(patch)
    assert not any(word in json.dumps(patch) for word in ("geheim", "secret"))
    page.run("document.querySelector('#export-form [value=undo]').click(); 0")
    page.settle()
    if page.run("document.getElementById('export-save').disabled"):
        assert page.texts("#export-notes li")
        return
    undo = json.loads(saved(page, tmp_path, "undo"))
    assert operations_of(json.loads(by_command(page, file))) == operations_of(undo)
    assert [] == page.trouble


@pytest.mark.parametrize("span", ["6..9", "9..9", "2..2"])
def test_an_undo_as_python_is_that_of_the_command(browser: Browser, file: Path, tmp_path: Path, span: str) -> None:
    """An undo as a Python program is the text of `undo-script`."""
    page = opened(browser, file, span=span)
    made = saved(page, tmp_path, "python")
    assert "--format python" in page.text("#export-command")
    assert by_command(page, file) == made
    compile(made, "undo.py", "exec")
    assert [] == page.trouble


def test_what_cannot_be_expressed_is_said(browser: Browser, file: Path, tmp_path: Path) -> None:
    """What a patch, an undo or a command cannot express is said."""
    page = opened(browser, file, actor="=late", action="add")
    page.run("document.querySelector('#export-form [value=patch]').click(); 0")
    page.settle()
    page = opened(browser, file, text="cfg")
    page.run("document.querySelector('#export-form [value=patch]').click(); 0")
    page.settle()
    assert page.run("document.getElementById('export-save').disabled && document.getElementById('export-same').hidden")
    assert "leaves out changes in between" in page.texts("#export-notes li")[0]
    assert "No command" in page.texts("#export-notes li")[1]
    page = opened(browser, file, span="3..3")
    page.run("document.querySelector('#export-form [value=undo]').click(); 0")
    page.settle()
    assert "withheld cannot be restored" in page.texts("#export-notes li")[0]
    page = opened(browser, file, span="1..1")
    page.run("document.querySelector('#export-form [value=undo]').click(); 0")
    page.settle()
    assert "built upon 1 of the selected" in page.texts("#export-notes li")[0]
    assert [] == page.trouble


def test_two_moments_are_compared(browser: Browser, file: Path) -> None:
    """A marked moment is compared with the current one.

    A difference leads to its path.
    """
    browser.open(f"{file.resolve().as_uri()}#seq=2")
    browser.until("document.querySelector('#position').textContent")
    browser.press("m", "End", "c")
    assert "3" == browser.run("document.getElementById('compare-a').value")
    rows = browser.texts("#compare-rows li")
    assert rows[0].startswith("~ changed/cfg/ports")
    assert "7 changes between: late 4, (no actor) 3" == browser.text("#compare-between")
    assert "added" in browser.text("#compare-count")
    expected = run("diff", "log.jsonl", "2..9", cwd=file.parent).stdout
    for pointer in ("/cfg/x", "/a", "/b", "/s"):
        assert f"+ {pointer}:" in expected
        assert any(row.startswith(f"+ added{pointer}") for row in rows)
    browser.run(
        "[...document.querySelectorAll('#compare-rows button')].find(e => e.textContent === '/cfg/x').click(); 0"
    )
    browser.settle()
    assert not browser.run("document.getElementById('compare').open")
    assert "x" == browser.run("document.querySelector('#tree .row.current .key').textContent")
    browser.press("c")
    browser.click("#compare-swap")
    assert any(row.startswith("− removed/cfg/x") for row in browser.texts("#compare-rows li"))
    browser.click("#compare-list")
    assert "7 of 10 changes" == browser.text("#count")
    assert [] == browser.trouble
