"""The page's replay in a real browser, compared with Python's.

The scripts are those of the page, and get the same text as the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Browser
from chromium import browser
from command import change
from gardening import STEPS, Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loglines import roots_of

from pydatatracker import TrackedDict, TrackedList, TrackedSet, _core, tracking_actor
from pydatatracker.cli.filters import Filter
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.cli.replay.states import state_at
from pydatatracker.history.replica import replay
from pydatatracker.history.walk import plain_copy
from pydatatracker.io import parse
from pydatatracker.io.line import LogLine
from pydatatracker.report.data import Changes
from pydatatracker.report.page import script
from pydatatracker.report.values import exact
from pydatatracker.values.encode import encode
from pydatatracker.values.pointer import to_pointer

__all__ = ["browser"]  # the fixture

# Containers as lists of pairs: the order of a dict counts, and JSON does not hide the type of a key.
SPELLED = """
function spelled(value) {
  if (value instanceof List) return ["list", ...value.items.map(spelled)];
  if (value instanceof PSet) return ["set", ...[...value.map.values()].map((each) => canonical(each.key)).sort()];
  if (value instanceof Dict) return ["dict", ...[...value.map.values()].map((each) => [canonical(each.key), spelled(each.value)])];
  return ["value", canonical(value)];
}
function writers(value, pointer = "", found = {}) {
  if (value instanceof List) value.items.forEach((item, n) => writer(item, value.by ? value.by[n] : -1, `${pointer}/${n}`, found));
  else if (value instanceof Dict) for (const each of value.map.values()) writer(each.value, each.by, pointer + pointerOf([each.key]), found);
  return found;
}
function writer(value, by, pointer, found) {
  if (by >= 0) found[pointer] = by;
  writers(value, pointer, found);
}
function fed(text) {
  const log = new Log();
  log.append(JSON.parse(text));
  return new World(log);
}
"""
_ODD = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Browser:
    """Load the page's replay into a browser, without the page.

    It stores a keyframe for every second change.
    """
    browser.open("about:blank")
    text = script("values", "replay", "log")
    browser.run(re.sub(r"const SPACING = \d+;", "const SPACING = 2;", text) + SPELLED + "; 0")
    assert 2 == browser.run("SPACING")
    return browser


def text_of(lines: list[LogLine]) -> str:
    changes = Changes("log")
    for line in lines:
        changes.add(line)
    return changes.text()


def canonical(data: Any) -> str:
    """Return encoded data as text that is equal if Python finds it equal.

    It is written independently of the page.
    """
    if isinstance(data, (bool, int, float)):
        number = float(data)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(data, dict) and "$float" in data and data["$float"] not in ("nan", "inf", "-inf"):
        return canonical(float(data["$float"]))
    if isinstance(data, list):
        return f"[{','.join(map(canonical, data))}]"
    if isinstance(data, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{canonical(data[key])}" for key in sorted(data)) + "}"
    return json.dumps(data, ensure_ascii=False)


def spelled(value: Any) -> list[Any]:
    """Return Python's state as the page's script spells its own."""
    if isinstance(value, list):
        return ["list", *map(spelled, value)]
    if isinstance(value, set):
        return ["set", *sorted(identity(item) for item in value)]
    if isinstance(value, dict):
        return ["dict", *[[canonical(exact(encode(key))), spelled(item)] for key, item in value.items()]]
    return ["value", canonical(exact(encode(value)))]


def identity(key: Any) -> str:
    return canonical(exact(encode(key)))


def states(browser: Browser, text: str, points: list[int], root: int = 0) -> list[Any]:
    """Return the states of the page after the given numbers of lines."""
    browser.run(f"globalThis.world = fed({json.dumps(text)}); 0")
    found: list[Any] = browser.run(
        f"{json.dumps(points)}.map(n => {{ world.seek(n); return world.roots[{root}] ? spelled(world.roots[{root}].value)"
        " : null; })"
    )
    return found


def garden(steps: Any, odd_keys: bool = True) -> list[LogLine]:
    session = Session(odd_keys)
    lines: list[LogLine] = []

    def note(change: Any) -> None:
        lines.append(parse(json.dumps(change.to_dict()).encode()))

    first = {
        "v": 1,
        "seq": _core.newest_seq(),
        "action": "init",
        "pointer": "",
        "path": [],
        "time_ns": 0,
        "method": "init",
    }
    session.root.tracking_add_observer(note, when="immediate")
    start = plain_copy(session.root)
    session.run(steps)
    root = lines[0].root if lines else ""
    lines.insert(0, parse(json.dumps({**first, "root": root, "after": encode(start)}).encode()))
    return lines


def without_references(lines: list[Any]) -> list[Any]:
    """Return the lines before the first that refers to another place.

    The page shows what is there as a text, and does not go into it.
    """
    return lines[: next((n for n, line in enumerate(lines) if b'"$at"' in line.raw), len(lines))]


def loosely(value: Any) -> Any:
    """Sort the items of a dict whose keys are digits.

    JavaScript orders such keys by number.
    """
    if not isinstance(value, list):
        return value
    found = [loosely(each) for each in value]
    if found[:1] == ["dict"] and any(str(pair[0]).strip('"').isdigit() for pair in found[1:]):
        return ["dict", *sorted(found[1:], key=repr)]
    return found


@_ODD
@given(steps=STEPS, data=st.data())
def test_every_state_is_that_of_python(scripts: Browser, steps: Any, data: Any) -> None:
    """The page has the state of replay() after every line, in any order."""
    lines = without_references(garden(steps))
    points = data.draw(st.permutations(range(1, len(lines) + 1)))
    expected = [spelled(replay([line.raw for line in lines[:n]])) for n in points]
    assert loosely(expected) == loosely(states(scripts, text_of(lines), points))
    assert [] == scripts.run("[...world.reasons.values()]")


def places(value: Any, pointer: str = "") -> Iterator[str]:
    """Yield the pointer of everything in a state."""
    yield pointer
    if isinstance(value, (dict, list, set)):
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in [*items, *((each, None) for each in value if isinstance(value, set))]:
            yield from places(item, pointer + to_pointer((key,)))


@_ODD
@given(steps=STEPS)
def test_the_last_writers_are_those_of_blame(scripts: Browser, steps: Any) -> None:
    """Last writers agree with blame, through insertions and removals."""
    lines = without_references(garden(steps, odd_keys=False))
    # the replica that blame uses sorts by writing every item again, so sorts have their own test
    lines = lines[: next((n for n, line in enumerate(lines) if line.order is not None), len(lines))]
    with roots_of((line.raw for line in lines), lambda error: pytest.fail(str(error))) as roots:
        (key,) = roots.by_root
        rebuilt = Rebuilt(roots, key)
        blamed = {pointer: rebuilt.number_of(by) for pointer, by in rebuilt.value.tracking_blame().items()}
    there = set(places(plain_copy(rebuilt.value)))  # blame also has the writers of removals
    blamed = {pointer: by for pointer, by in blamed.items() if pointer in there}
    scripts.run(f"globalThis.world = fed({json.dumps(text_of(lines))}); world.seek({len(lines)}); 0")
    assert blamed == scripts.run("writers(world.roots[0].value)")


def test_a_sort_moves_items_and_writes_none(scripts: Browser) -> None:
    """After sort and reverse each item keeps its own last writer."""
    source: TrackedList[Any] = TrackedList()
    for item in (5, 3, 9, 1, 7):
        source.append(item)
    source[2] = 4
    source.sort()
    source.reverse()
    lines = [parse(json.dumps(each.to_dict()).encode()) for each in source.tracking_changes()]
    number = {line.seq: n for n, line in enumerate(lines)}
    expected = {pointer: number[by.seq] for pointer, by in source.tracking_blame().items()}
    scripts.run(f"globalThis.world = fed({json.dumps(text_of(lines))}); world.seek({len(lines)}); 0")
    assert expected == scripts.run("writers(world.roots[0].value)")


@pytest.mark.parametrize("size", [300, 900])
def test_far_steps_come_from_keyframes(scripts: Browser, size: int) -> None:
    """Every state of a long log is right; a step back uses a keyframe."""
    source: TrackedDict[str, Any] = TrackedDict(
        items=[], counts={}, tracking_auto_convert=True, tracking_max_changes=None
    )
    for n in range(size):
        source["items"].insert(n * 7 % (len(source["items"]) + 1), n)
        source["counts"][f"k{n % 5}"] = n
        if n % 3 == 2:
            source["items"].sort(reverse=bool(n % 2))
    lines = [parse(json.dumps(change.to_dict()).encode()) for change in source.tracking_changes()]
    points = [len(lines), 1, len(lines) - 1, *range(len(lines), 0, -len(lines) // 17), 256, 257, 255, 2]
    expected = {n: spelled(replay([line.raw for line in lines], at=lines[n - 1].seq)) for n in set(points)}
    assert [expected[n] for n in points] == states(scripts, text_of(lines), points)
    scripts.run(f"world.seek({len(lines)}); globalThis.steps = 0; world.old = world.step;"
                " world.step = () => { steps++; world.old(); }; 0")  # fmt: skip
    scripts.run(f"world.seek({len(lines) - 1}); 0")
    assert len(lines) / 2 > scripts.run("steps")


def odd_lines() -> list[bytes]:
    init = change(seq=1, action="init", pointer="", path=[], after={"a": [1, 2, 3], "s": {"$set": [1, "x"]}, "n": 1})
    return [
        init,
        change(seq=2, pointer="/nowhere/x", path=["nowhere", "x"], before=1, after=2),  # no such path
        change(seq=3, pointer="/n", path=["n"], before=7, after=8),  # another value is stored
        change(seq=4, pointer="/n", path=["n"], before=1, after=2),  # fits
        change(seq=4, pointer="/n", path=["n"], before=1, after=2),  # a duplicate
        change(seq=5, pointer="/a", path=["a"], splice=[9, [], [1]]),  # beyond the end
        change(seq=6, pointer="/a", path=["a"], order=[0, 0, 1]),  # not a permutation
        change(seq=7, pointer="/a", path=["a"], order=[2, 0, 1]),
        change(seq=8, pointer="/a", path=["a"], splice=[1, [5], []]),  # 1 is stored
        change(seq=9, pointer="", path=[], after=3, action="add"),  # it has no path
        change(seq=10, pointer="", path=[], action="init", after=[1]),  # another type
        change(seq=11, action="lock", pointer="", path=[]),
        change(seq=12, action="add", pointer="/s/2", path=["s", 2], after=2),
        change(seq=13, action="remove", pointer="/s/1", path=["s", 1], before=True),  # True equals 1
        change(seq=14, pointer="/n", path=["n"], before={"$cut": 9, "type": "str", "start": ""}, after=None),
        change(seq=15, pointer="/big", path=["big"], action="add", after=2**70),
        change(seq=16, pointer="/big", path=["big"], before=2**70 + 1, after=0),  # off by one
        change(seq=17, pointer="/f", path=["f"], action="add", after=1.0),
        change(seq=18, pointer="/f", path=["f"], before=1, after=float("nan")),
        change(seq=19, pointer="/__proto__", path=["__proto__"], action="add", after={"__proto__": {"x": 1}}),
        change(seq=20, pointer="/__proto__/__proto__/x", path=["__proto__", "__proto__", "x"], before=1, after=2),
        change(seq=21, pointer="/1", path=[1], action="add", after={"$dict": [[2, "two"], ["$x", [1]]]}),
        change(seq=22, pointer="/1/$x/0", path=[1, "$x", 0], before=1, after=5),
        change(seq=23, pointer="/d", path=["d"], action="add", after={"$unknown": [1]}),
        change(seq=24, pointer="/d/$unknown/0", path=["d", "$unknown", 0], before=1, after=0),
    ]  # fmt: skip


def test_contradicting_lines_are_skipped_as_by_the_commands(scripts: Browser) -> None:
    """Lines that contradict earlier ones are skipped and named, as by `at`."""
    lines = [parse(raw) for raw in odd_lines()]
    told: list[Any] = []
    points = [(line.seq, None) for line in lines]
    with roots_of((line.raw for line in lines), told.append) as roots:
        (key,) = roots.by_root
        expected = [spelled(state) for state in state_at(roots, key, *points)]
    assert expected[3:] == states(scripts, text_of(lines), list(range(1, len(lines) + 1)))[3:]
    assert [2, 3, 5, 6, 8, 9, 10, 16] == [lines[n].seq for n in scripts.run("[...world.reasons.keys()]")]
    assert scripts.run("world.trouble(4)").startswith("This line is a duplicate")
    assert None is scripts.run("Object.prototype.x")


def test_processes_are_put_side_by_side(scripts: Browser) -> None:
    """Roots of several processes each get their state, in any order of lines."""
    logs: list[tuple[Any, list[bytes]]] = []
    for pid, source in enumerate((TrackedList([]), TrackedSet(), TrackedDict()), 7):
        made: list[bytes] = []
        source.tracking_add_observer(
            lambda c, pid=pid, made=made: made.append(json.dumps({**c.to_dict(), "pid": pid}).encode())
        )
        for n in range(9):
            if isinstance(source, list):
                source.append(n)
            elif isinstance(source, set):
                source.add(n)
            else:
                source[n] = n
        logs.append((source, made[::-1]))
    lines = [parse(raw) for raws in zip(*(made for _, made in logs), strict=True) for raw in raws]
    text = text_of(lines)
    assert {"list", "set", "dict"} == set(json.loads(text)["tables"]["kinds"])
    for n, (source, _) in enumerate(logs):
        assert [spelled(plain_copy(source))] == states(scripts, text, [27], n)


@pytest.mark.parametrize(
    "pattern",
    ["", "/", "/a", "/**", "/a/*", "/a/**", "/*/b", "/**/b", "/a?", "/[ab]", "/[!a]", "/[", "/a.b", "/a~1b", "/*/*/**", "/(x)", "/[z-a]",
     "/$^", "/[]]", "/[\\]", "/a**", "/ü"],
)  # fmt: skip
def test_globs_match_as_in_the_commands(scripts: Browser, pattern: str) -> None:
    """A path glob in the page selects the changes that --path selects."""
    pointers = ["", "/", "/a", "/b", "/a/b", "/a/b/c", "/a/c/b", "/ab", "/a.b", "/axb", "/a~1b", "/z", "/[", "/]", "/(x)", "/$^",
                "/\\", "/ü", "/\n", "/a/"]  # fmt: skip
    wanted = Filter(path=[pattern])
    expected = [pointer for pointer in pointers if wanted.keeps(parse(change(pointer=pointer, path=["x"])))]
    found = scripts.run(f"{json.dumps(pointers)}.filter(compileGlob({json.dumps(pattern)}))") if pattern else expected
    assert expected == found


def test_filters_see_what_is_inside_a_change(scripts: Browser) -> None:
    """Filters match the paths inside bulk changes and splices.

    Different filters are combined with AND.
    """
    source: TrackedDict[str, Any] = TrackedDict(items=[1, 2], tracking_auto_convert=True)
    with tracking_actor("ann"):
        source.update(x=1, y="needle")
        source["items"][1:1] = [5, 6]
    source["z"] = 3
    changes = list(source.tracking_changes())
    lines = [parse(json.dumps(each.to_dict()).encode()) for each in changes]
    scripts.run(f"globalThis.log = fed({json.dumps(text_of(lines))}).log; 0")
    for glob in ("/x", "/y", "/items/2", "/items/*", "/z", "/**", "/q"):
        wanted = Filter(path=[glob])
        expected = [n for n, line in enumerate(lines) if wanted.keeps(line)]
        assert expected == scripts.run(f"log.select({{glob: {json.dumps(glob)}}})")
    assert [1] == scripts.run("log.select({text: 'NEEDLE', actor: '=ann', action: 'add'})")
    assert [] == scripts.run("log.select({text: 'needle', actor: '='})")
    assert [0, 3] == scripts.run("log.select({actor: '='})")
