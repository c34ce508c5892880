"""The line of a change in several trees."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pydatatracker import Replica, TrackedAttr, TrackedDict, TrackedList, _core, process, replay, track
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.cli.replay.logs import Logs
from pydatatracker.cli.replay.verify import verify
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.history.steps import copied
from pydatatracker.io import ChangeWriter, LogLine, read_changes, schema, to_line
from pydatatracker.observers import json_file_observer


class Model(TrackedAttr):
    """A model that its agents refer to."""

    def __init__(self) -> None:
        self.steps = 0
        self.cells = TrackedList()


class Agent(TrackedAttr):
    """An agent that refers to its model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.wealth = 1


class Thing(TrackedAttr):
    """An object with any attributes."""


def lines_of(path: Path) -> list[LogLine]:
    """Return the lines of a log that are not an init."""
    return [line for line in read_changes(path, strict=True) if line.action != "init"]


def uuid_of(container: Any) -> str:
    """Return the id of a container."""
    tracker = _core.tracker(container)
    assert tracker is not None
    return tracker.uuid


def state_in(path: Path, container: Any) -> Any:
    """Return the state of a container by the log."""
    return replay(path, root=uuid_of(container))


@pytest.mark.parametrize("count", [1, 2, 50, 200])
def test_a_change_is_one_line_however_many_roots_it_has(log: Path, count: int) -> None:
    """A change of what many roots hold is one line, and every root replays."""
    model = Model()
    agents = [Agent(model) for _ in range(count)]
    before, made = len(lines_of(log)), _core.newest_seq()
    for step in range(3):
        model.steps += 1
        model.cells.append(step)
        for agent in agents[:2]:
            agent.wealth += 1
    lines = lines_of(log)[before:]
    assert list(range(made + 1, _core.newest_seq() + 1)) == [line.seq for line in lines]
    assert {uuid_of(agent) for agent in agents} == set(lines[0].roots)
    for agent in agents:
        assert copied(agent, {}) == state_in(log, agent)


def test_the_line_says_where_else_it_happened(log: Path) -> None:
    """`also` has the other roots with their paths, and v is 2; else it is 1."""
    shared = TrackedDict()
    one, other = TrackedDict(a=shared, b=shared), TrackedList(["x", shared])
    shared["k"] = 1
    one["y"] = 2
    line, alone = lines_of(log)
    assert (2, 1) == (line.v, alone.v)
    by_root = {root: line.seen_from(root) for root in line.roots}
    assert {uuid_of(one), uuid_of(other)} == set(by_root)
    assert {("a", "k"), ("b", "k")} == set(by_root[uuid_of(one)].paths)
    assert ((1, "k"),) == by_root[uuid_of(other)].paths
    assert "/1/k" == by_root[uuid_of(other)].pointer
    assert all(view.roots[0] == root and set(view.roots) == set(by_root) for root, view in by_root.items())
    assert ((), 0, "also" in alone.data) == (alone.also, alone.also_cut, False)


def test_the_schema_describes_the_line(log: Path) -> None:
    """A line with `also` is valid as v 2 only, one without it as v 1 only."""
    shared = TrackedDict()
    keep = TrackedDict(a=shared), TrackedList([shared])
    shared["k"] = 1
    keep[0]["z"] = 1
    check = Draft202012Validator(schema())
    for line in lines_of(log):
        data = line.data
        check.validate(data)
        assert line.v == 1 or not check.is_valid({**data, "v": 1})
        for root in line.roots:
            check.validate(line.seen_from(root).data)


def test_a_change_comes_back_from_its_line(log: Path) -> None:
    """`ChangeLogEntry.from_dict`, a replica and `to_line` keep `also`."""
    shared = TrackedDict()
    keep = TrackedDict(a=shared), TrackedDict(b=shared)
    shared["k"] = 1
    (line,) = lines_of(log)
    change = ChangeLogEntry.from_dict(line.data)
    assert (line.also, line.also_cut) == (change.also, change.also_cut)
    assert line.data == json.loads(to_line(change.to_dict()))
    assert line.also == LogLine(line.head, line.raw, 1, 0).also
    for container in keep:
        replica = Replica({next(iter(container)): {}})
        replica.root = uuid_of(container)
        assert [True, False] == [replica.apply(line), replica.apply(line)]
        assert copied(container, {}) == replica.value


@pytest.mark.parametrize("row", [None, "x", 1, [], [1], ["r"], ["r", "p"], [1, ["p"]], ["r", ["p"], 3], {"r": 1}])
def test_an_also_of_another_kind_is_ignored(row: Any) -> None:
    """What is not a row of `also` says nothing; no field raises."""
    from pydatatracker.io import parse

    data = {"v": 2, "seq": 1, "action": "add", "root": "o", "path": ["a"], "after": 1, "also": [row, ["s", ["b"]]]}
    line = parse(json.dumps(data).encode())
    assert ["s", "o"] == [root for root in line.roots if root in ("s", "o")][::-1]
    assert ("b",) == line.seen_from("s").path
    data["also"] = row
    assert "o" == parse(json.dumps(data).encode()).roots[0]


def test_the_command_line_answers_for_every_root(tmp_path: Path) -> None:
    """Each root of a line has the change; show has it once."""
    log = tmp_path / "x.jsonl"
    process.start(log)
    try:
        model = Model()
        agents = [Agent(model) for _ in range(3)]
        model.steps = 7
    finally:
        process.stop()
    for number, agent in enumerate(agents):
        root = ("--root", uuid_of(agent))
        at = run("at", "x.jsonl", "now", *root, cwd=tmp_path)
        assert copied(agent, {}) == json.loads(at.stdout), (number, at.stderr)
        history = run("history", "x.jsonl", "/model/steps", *root, cwd=tmp_path).stdout
        assert 1 == history.count("0 -> 7"), history
        blame = run("blame", "x.jsonl", "/model/steps", *root, cwd=tmp_path).stdout
        assert ("0 -> 7" in blame, "/model/steps" in blame) == (True, True)
        script = run("undo-script", "x.jsonl", "--path", "/model/steps", *root, cwd=tmp_path)
        assert '"value": 0' in script.stdout
        script = run("undo-script", "x.jsonl", "--path", "/steps", *root, cwd=tmp_path)  # where another root has it
        assert '"path"' not in script.stdout
    shown = run("show", "x.jsonl", "--path", "/model/steps", cwd=tmp_path).stdout.splitlines()
    assert [True] == ["+2" in line and "0 -> 7" in line for line in shown]
    assert "also: " in run("show", "-v", "x.jsonl", cwd=tmp_path).stdout
    done = run("verify", "x.jsonl", cwd=tmp_path)
    assert (0, True) == (done.returncode, "of 4 containers: complete and in order" in done.stdout), done.stdout
    assert "in 4 containers" in run("stats", "x.jsonl", cwd=tmp_path).stdout


# ---- random graphs

STEPS = st.lists(st.tuples(*[st.integers(0, 11)] * 4), max_size=18)


def holds(container: Any, target: Any) -> bool:
    """Return whether target is a container or somewhere in it."""
    return container is target or any(holds(each, target) for each in _core.children(container))


def step_on(containers: list[Any], which: int, what: int, key: int, value: int) -> None:
    """Change one of the containers; no cycle is made."""
    target = containers[which % len(containers)]
    stored: Any = value if what % 2 else containers[value % len(containers)]
    if stored is not value and holds(stored, target):
        stored = -value
    if isinstance(target, TrackedDict):
        if what < 8:
            target["abc"[key % 3]] = stored
        elif what < 10:
            target.pop("abc"[key % 3], None)
        else:
            target.update(a=stored, c=value)
    elif isinstance(target, TrackedList):
        if what < 6:
            target.insert(key, stored)
        elif what < 8:
            target[key % 3 : 4] = [stored, stored]
        elif what < 10 and target:
            del target[key % len(target)]
        else:
            target.reverse()
    elif what < 9:
        setattr(target, "xyz"[key % 3], stored)
    elif what == 9:
        target.tracking_undo()
    else:
        vars(target).get("x") is None or delattr(target, "x")


def check_roots(path: Path, containers: list[Any], known: set[int]) -> None:
    """Compare each known root with its state by the log."""
    for container in containers:
        if len(_core.places(container)[0]) == 1 and id(container) in known:
            assert copied(container, {}) == state_in(path, container)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_graph_replays_after_every_step(tmp_path: Path, steps: list[tuple[int, int, int, int]]) -> None:
    """Each change is one line, and every root replays after every step."""
    path = tmp_path / "random.jsonl"
    path.unlink(missing_ok=True)
    log = process.start(path)
    try:
        containers: list[Any] = [TrackedDict(), TrackedList(), Thing(), TrackedDict(), TrackedList(), track({"d": []})]
        for step in steps:
            step_on(containers, *step)
            check_roots(path, containers, {key for key, each in log._known.items() if each() is not None})
        for container in containers * 2:  # what was in another tree, and is a root again, begins with its next line
            step_on([container], 0, 1, 0, 5)
        check_roots(path, containers, {id(each) for each in containers})
        lines = lines_of(path)
        assert not [uuid for uuid, times in Counter(line.uuid for line in lines).items() if times > 1]
        assert log.lines == len(lines)
    finally:
        process.stop()


# ---- a file that observes several roots


def file_of(kind: str, path: Path, containers: list[Any]) -> Any:
    """Return what writes the changes of containers to a file."""
    if kind == "writer":
        writer = ChangeWriter(path, compact=True)
        for container in containers:
            container.tracking_add_observer(writer.write)
        return writer
    make: Any = json_file_observer if kind == "observer" else JsonLinesExporter
    writer = make(path, **({"buffered": True} if kind == "buffered" else {}))
    for container in containers:
        container.tracking_add_observer(writer)
    return writer


@pytest.mark.parametrize("kind", ["writer", "observer", "exporter", "buffered"])
@pytest.mark.parametrize("count", [2, 40])
def test_a_file_that_observes_several_roots_gets_a_change_once(tmp_path: Path, kind: str, count: int) -> None:
    """One line per change, from which every observed root replays."""
    model = Model()
    agents: list[Any] = [Agent(model) for _ in range(count)]
    agents.append(Agent(Model()))
    path = tmp_path / "x.jsonl"
    with file_of(kind, path, agents[1:]):
        made = _core.newest_seq()
        for agent in agents[1:]:
            model.steps += 1
            model.cells.append(agent.wealth)
            agent.wealth += 1
    lines = lines_of(path)
    assert [line.seq for line in lines] == sorted({line.seq for line in lines})
    assert len(lines) == _core.newest_seq() - made
    for agent in agents[1:]:
        assert copied(agent, {}) == state_in(path, agent)
    assert uuid_of(agents[0]) not in {root for line in lines for root in line.roots}


def test_files_of_single_roots_are_complete_in_themselves(tmp_path: Path) -> None:
    """Each has its root alone; functions are called for each root."""
    model = Model()
    agents: list[Any] = [Agent(model) for _ in range(12)]
    called: list[Any] = []
    with contextlib.ExitStack() as stack:
        for n, agent in enumerate(agents):
            stack.enter_context(file_of("exporter", tmp_path / f"{n}.jsonl", [agent]))
            agent.tracking_add_observer(called.append)
        model.steps += 1
    assert len(agents) == len(called)
    for n, agent in enumerate(agents):
        (line,) = lines_of(tmp_path / f"{n}.jsonl")
        assert (1, (uuid_of(agent),)) == (line.v, line.roots)
        assert copied(agent, {}) == replay(tmp_path / f"{n}.jsonl")


def test_what_is_withheld_is_withheld_in_every_path(log: Path) -> None:
    """The rules of any root hold for values and for keys in further paths."""
    shared = TrackedDict()
    keep = TrackedDict({("key", "hidden"): shared}, tracking_redact=["/*/1", "/*/password"]), TrackedDict(b=shared)
    shared["password"] = "hidden"
    shared["x"] = 1
    assert 2 == len(keep)
    for line in lines_of(log):
        assert b"hidden" not in line.raw
        assert [{"$redacted": True}] == [path[0] for _, path in line.data["also"]]


def test_more_paths_than_a_line_has_are_counted(log: Path) -> None:
    """A root that a line leaves out has the change from its next line on."""
    model = Model()
    agents: list[Any] = [Agent(model) for _ in range(300)]
    model.steps = 7
    line = lines_of(log)[-1]
    assert (256, 44) == (len(line.roots), line.also_cut)
    for agent in agents:
        agent.wealth = 2
    lines = list(read_changes(log))
    for agent in agents[::7]:
        assert copied(agent, {}) == replay(sorted((each.data for each in lines), key=_order), root=uuid_of(agent))
    out = io.StringIO()
    with Logs([str(log)], print) as logs:
        assert 0 == verify(logs, print, out)
    assert "in more containers than a line lists" in out.getvalue()
    assert len({each.seq for each in lines if each.action != "init"}) == len(lines_of(log))


def _order(line: dict[str, Any]) -> tuple[int, bool]:
    return line["seq"], line["action"] != "init"
