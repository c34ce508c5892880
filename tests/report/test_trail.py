"""Places followed by the page, compared with `blame` and `history`."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from chromium import browser
from command import run
from gardening import STEPS, Session
from hypothesis import HealthCheck, given, settings
from loglines import roots_of
from report_page import current, written

from pydatatracker import TrackedDeque, TrackedDict, TrackedList, _core
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import parse, to_line
from pydatatracker.io.line import LogLine
from pydatatracker.report.data import Changes
from pydatatracker.report.page import script
from pydatatracker.report.values import exact
from pydatatracker.values.encode import encode, encode_key
from pydatatracker.values.pointer import to_pointer

__all__ = ["browser"]  # the fixture

_ODD = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Browser:
    """Load the page's scripts into a browser, without the page."""
    browser.open("about:blank")
    browser.run(
        script("values", "replay", "log", "trail")
        + """
        function fed(text) {
          globalThis.log = new Log();
          log.append(JSON.parse(text));
          globalThis.world = new World(log);
          world.seek(log.size);
        }
        const histories = (paths) => paths.map((keys) => [...historyOf(log, world, 0, keys, log.size - 1)].reverse());
        // Each change of a place that p leads to, from the change that began it, and those that P leads to from the last.
        function led(at, by) {
          const met = [];
          for (let spots = spotsOf(log, world, at, by), found; (found = followed(log, world, spots, at, by, () => true)); ({ at, spots } = found)) met.push(found.at);
          return met;
        }; 0"""
    )
    return browser


def feed(scripts: Browser, lines: list[LogLine]) -> None:
    changes = Changes("log.jsonl")
    for line in lines:
        changes.add(line)
    scripts.run(f"fed({json.dumps(changes.text())}); 0")


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a state but the state itself."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    elif isinstance(value, set):
        items = ((each, None) for each in value)
    return [each for key, item in items for each in ((*path, key), *paths_in(item, (*path, key)))]


def in_page(scripts: Browser, paths: list[tuple[Any, ...]]) -> list[list[int]]:
    """Return the history of each path, as the page has it."""
    keys = [[exact(encode_key(key)) for key in path] for path in paths]
    found: list[list[int]] = scripts.run(f"histories({json.dumps(keys)})")
    return found


def garden(steps: Any) -> list[LogLine]:
    """Return the lines of a random session before its first reference."""
    session = Session(odd_keys=False)
    lines: list[LogLine] = []
    first = {"v": 1, "seq": _core.newest_seq(), "action": "init", "pointer": "", "path": [], "time_ns": 0}
    session.root.tracking_add_observer(
        lambda change: lines.append(parse(json.dumps(change.to_dict()).encode())), when="immediate"
    )
    start = plain_copy(session.root)
    session.run(steps)
    root = lines[0].root if lines else ""
    lines.insert(0, parse(json.dumps({**first, "root": root, "after": encode(start)}).encode()))
    is_last = (n for n, line in enumerate(lines) if b'"$at"' in line.raw)
    return lines[: next(is_last, len(lines))]


@_ODD
@given(steps=STEPS)
def test_histories_are_those_of_the_command(scripts: Browser, steps: Any) -> None:
    """The changes of each path are those that `history` prints.

    The last of them is the one that `blame` prints.
    """
    lines = garden(steps)
    feed(scripts, lines)
    with roots_of((line.raw for line in lines), lambda error: pytest.fail(str(error))) as roots:
        (key,) = roots.by_root
        rebuilt = Rebuilt(roots, key)
        paths = paths_in(plain_copy(rebuilt.value))
        pointers = [to_pointer(path) for path in paths]
        expected = [[line.line - 1 for line in rebuilt.history(pointer)] for pointer in pointers]
        blamed = [next((line.line - 1 for _, line in rebuilt.blame(pointer)), None) for pointer in pointers]
    found = in_page(scripts, paths)
    assert expected == found
    assert blamed == [each[-1] if each else None for each in found]


@pytest.mark.parametrize("seed", range(8))
def test_items_of_lists_are_followed(scripts: Browser, seed: int) -> None:
    """Items are followed through all that a list and a deque can do."""
    draw = random.Random(seed)
    data: Any = TrackedDeque(range(4), 6) if seed % 4 == 3 else TrackedList(range(4))
    lines: list[LogLine] = []
    first = parse(to_line(data.tracking_changes()[0]))
    data.tracking_add_observer(lambda change: lines.append(parse(to_line(change))), when="immediate")
    for n in range(100, 140):
        at = draw.randrange(len(data)) if data else 0
        what = draw.randrange(9)
        if what < 2 and (type(data) is TrackedList or len(data) < 6):
            data.insert(at, n)
        elif what == 2 and data:
            del data[at]
        elif what == 3 and data:
            data[at] = n
        elif what == 4:
            data.extend(range(n, n + draw.randrange(4)))
        elif what == 5:
            data.reverse()
        elif type(data) is TrackedDeque:
            data.appendleft(n) if what == 6 else data.extendleft([n, n]) if what == 7 else data.rotate(at)
        elif what == 6:
            data.sort(key=lambda each: each * 37 % 11)
        elif what == 7:
            data[at : at + draw.randrange(3)] = range(n, n + draw.randrange(4))
        else:
            data[at::2] = [n] * len(data[at::2])
    lines.insert(0, first)
    feed(scripts, lines)
    number = {line.seq: n for n, line in enumerate(lines) if n}
    paths = [(n,) for n in range(len(data))]
    expected = [sorted(number.get(each.seq, 0) for each in data.tracking_history(f"/{n}")) for n in range(len(data))]
    # a container names its beginning only for what never changed
    assert expected == [[n for n in each if n] or each for each in in_page(scripts, paths)]
    for n, line in enumerate(lines):
        if n and line.path and line.action == "add":
            forth = scripts.run(f"led({n}, 1)")
            if forth and not lines[forth[-1]].path:  # of several items: it leads to those of all
                continue
            # what it meets leads back to where it began
            assert [*reversed(forth[:-1]), n][: len(forth)] == scripts.run(f"led({[n, *forth][-1]}, -1)")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a log in which the items of a list move."""
    folder = tmp_path_factory.mktemp("trail")
    data: Any = TrackedDict(rows=[{"n": 1}, {"n": 2}], tracking_auto_convert=True)
    lines: list[bytes] = []
    data.tracking_add_observer(lambda change: lines.append(to_line(change)), when="immediate")
    lines.append(to_line(data.tracking_changes()[0]))
    data["rows"].insert(0, {"n": 0})  # 2
    data["rows"][0]["n"] = 10  # 3
    data["rows"].insert(0, {"n": -1})  # 4
    data["rows"][0]["n"] = 20  # 5
    data["rows"][1]["n"] = 11  # 6
    data["rows"].sort(key=lambda row: row["n"])  # 7
    del data["rows"][0]  # 8: -1 was 20 and is last
    data["rows"][1]["n"] = 12  # 9: what was inserted first
    del data["rows"][1]  # 10
    data["rows"].insert(1, {"n": 5})  # 11: another one
    (folder / "log.jsonl").write_bytes(b"".join(lines))
    return written(folder, folder / "log.jsonl")


def test_the_keys_follow_an_item(browser: Browser, file: Path) -> None:
    """The keys for a place follow an item to where it is."""
    browser.open(f"{file.resolve().as_uri()}#change=2")
    browser.until("document.querySelector('#position').textContent")
    found = []
    for _ in range(9):
        browser.press("p")
        if "No later" in browser.text("#notice"):
            break
        found.append(current(browser))
    assert [f"change {n} of 11" for n in (3, 6, 9, 10)] == found
    found = []
    for _ in range(9):
        browser.press("P")
        if "No earlier" in browser.text("#notice"):
            break
        found.append(current(browser))
    assert [f"change {n} of 11" for n in (9, 6, 3, 2)] == found
    assert [] == browser.trouble


@pytest.mark.parametrize("path", ["/rows/0/n", "/rows/0", "/rows/1"])
def test_blame_names_what_the_page_names(browser: Browser, file: Path, path: str) -> None:
    """The writer in the data is that of `blame`, through moves."""
    browser.open(f"{file.resolve().as_uri()}#change=11&path={path}")
    browser.until("document.querySelector('#position').textContent")
    writer = browser.run("document.querySelector('#tree .row.current .writer').textContent").split()[-1]
    blamed = run("blame", "log.jsonl", path, cwd=file.parent)
    assert ("", 0) == (blamed.stderr, blamed.returncode)
    assert f" {writer} " in blamed.stdout


def test_a_repeated_beginning_writes_nothing(browser: Browser, tmp_path: Path) -> None:
    """An `init` that repeats the state is no writer, as for `blame`."""
    (tmp_path / "program.py").write_text(
        "from pydatatracker import TrackedDict\nd = TrackedDict(a=[1], tracking_auto_convert=True)\n"
        "e = TrackedDict(d=d)\nd['x'] = 1\nd['me'] = d\nd['a'].append(2)\nd['x'] = 2\n"
    )
    assert 0 == run("run", "--log", "log.jsonl", "program.py", cwd=tmp_path).returncode
    assert b'"again"' in (tmp_path / "log.jsonl").read_bytes()
    browser.open(f"{written(tmp_path, tmp_path / 'log.jsonl').resolve().as_uri()}#change=4&path=/d/x")
    browser.until("document.querySelector('#position').textContent")
    assert browser.run("document.querySelector('#tree .row.current .writer').textContent").endswith(" 1")
    assert " 1 " in run("blame", "log.jsonl", "/d/x", "--seq", "..2", cwd=tmp_path).stdout
    browser.press("End", "P")
    assert "1" == browser.text("#list .row.current .seq")
    assert [] == browser.trouble


def test_shared_containers_fit(browser: Browser, tmp_path: Path) -> None:
    """Changes of what a value refers to are no contradictions."""
    (tmp_path / "program.py").write_text(
        "from pydatatracker import TrackedDict\nd = TrackedDict(tracking_auto_convert=True)\nd['me'] = d\ns = TrackedDict()\n"
        "d['g'] = TrackedDict(a=s, b=s)\ns['k'] = {}\ns['k']['x'] = s\ns['k']['y'] = 1\ndel s['k']\nd['z'] = 1\n"
    )
    assert 0 == run("run", "--log", "log.jsonl", "program.py", cwd=tmp_path).returncode
    assert b"$ref" in (tmp_path / "log.jsonl").read_bytes()
    browser.open(written(tmp_path, tmp_path / "log.jsonl"))
    browser.until("document.querySelector('#position').textContent")
    for _ in range(10):
        assert [] == browser.texts("#details .trouble")
        browser.press("ArrowLeft")
    assert [] == browser.trouble
