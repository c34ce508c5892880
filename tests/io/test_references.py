"""What a log writes for a container that is elsewhere in the data."""

from __future__ import annotations

import gc
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from command import run
from graphs import Thing, change, reached_from
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pydatatracker import (
    ReplicaError,
    TrackedDict,
    TrackedList,
    _core,
    apply_change,
    process,
    replay,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import read_changes, schema
from pydatatracker.observers import json_file_observer
from pydatatracker.values.secrets import Withheld


def uuid_of(container: Any) -> str:
    """Return the id of a container."""
    tracker = _core.tracker(container)
    assert tracker is not None
    return tracker.uuid


def is_below(container: Any, root: Any) -> bool:
    """Return whether a change of a container is a change of root."""
    return any(steps[0][1].uuid == uuid_of(root) for steps in _core.places(container))


def same_graph(root: Any, rebuilt: Any) -> bool:
    """Return whether every path from root leads to the same in rebuilt.

    What only a link that closes a cycle holds is not in the log of root.
    """
    todo, met = [(root, rebuilt)], set()
    for one, other in todo:
        if (id(one), id(other)) in met:
            continue
        met.add((id(one), id(other)))
        if _core.tracker(one) is None:
            if one != other:
                return False
            continue
        if not is_below(one, root):
            continue
        held = _core.plain(one)
        if isinstance(held, dict):
            if not isinstance(other, dict) or held.keys() != other.keys():
                return False
            todo.extend((held[key], other[key]) for key in held)
        else:
            if not isinstance(other, list) or len(held) != len(other):
                return False
            todo.extend(zip(held, other, strict=True))
    return True


def checked(path: Path, root: Any) -> None:
    """Assert that a log describes root, and contradicts itself nowhere."""
    assert same_graph(root, replay(path, root=uuid_of(root)))


class Program:
    """Random changes of a graph of containers below one root."""

    def __init__(self, random_: random.Random, only_up: bool = True) -> None:
        self.random = random_
        self.only_up = only_up  # a container is stored again only below itself
        self.above: list[Any] = []
        self.root = TrackedDict(name="root", tracking_max_changes=0)
        self.all: list[Any] = [self.root]  # what is below the root

    def make(self) -> Any:
        kind = self.random.choice((TrackedDict, TrackedList, Thing))
        return kind() if kind is Thing else kind(tracking_max_changes=0)

    def value(self) -> Any:
        if self.random.random() < 0.3:
            return self.random.randrange(100)
        if len(self.all) < 4 or self.random.random() < 0.4:
            return self.make()
        return self.random.choice(self.above if self.only_up else self.all)

    def step(self) -> None:
        self.change()
        self.all = reached_from(self.root)
        gc.collect()  # a tree of its own no longer holds what is below the root

    def change(self) -> None:
        here = self.random.choice(self.all)
        place = _core.places(here)[0]
        self.above = [found.container for _, found in place if found.container is not None]
        change(here, self.value, self.random, here is self.root)


@given(st.integers(0, 1_000_000), st.integers(5, 40))
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_the_log_of_a_graph_with_back_references_is_that_graph(tmp_path: Path, seed: int, count: int) -> None:
    """After random changes of a graph with cycles, its log leads to it."""
    path = tmp_path / f"{_core.newest_seq()}.jsonl"
    gc.freeze()  # what the other tests left takes long to look at
    process.start(path)
    try:
        program = Program(random.Random(seed))
        program.root["first"] = 1
        for _ in range(count):
            program.step()
        checked(path, program.root)
    finally:
        process.stop()
        gc.unfreeze()


LOGS: dict[str, Any] = {"observer": json_file_observer, "exporter": JsonLinesExporter}


@pytest.mark.parametrize("kind", ["process", *LOGS])
@given(st.integers(0, 1_000_000), st.integers(5, 60))
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
def test_the_log_of_aliases_that_come_into_cycles_is_that_graph(
    tmp_path: Path, kind: str, seed: int, count: int
) -> None:
    """When the first cycle comes up, some containers are in several places."""
    path = tmp_path / f"{_core.newest_seq()}.jsonl"
    program = Program(random.Random(seed), only_up=False)
    gc.freeze()
    if kind == "process":
        process.start(path)
    else:
        program.root.tracking_add_observer(LOGS[kind](path))
    try:
        program.root["first"] = 1
        for n in range(count):
            program.step()
            if n % 7 == 0 or n == count - 1:
                program.root["last"] = n
                checked(path, program.root)
    finally:
        process.stop()
        gc.unfreeze()


def test_the_first_cycle_repeats_the_state_and_is_nobodys_change(log: Path) -> None:
    """The state is written again, and blame goes on naming who set what."""
    root = TrackedDict(n=0)
    with tracking_actor("ann"):
        root["a"] = TrackedDict(x=1)
        root["b"] = root["a"]
        root["n"] = 1
    with tracking_actor("bob"):
        root["a"]["up"] = root
    assert [("init", "__init__"), ("init", "again")] == [
        (line.action, line.method) for line in lines_of(log) if line.action == "init"
    ]
    blamed = run("blame", log, "--all", cwd=log.parent).stdout
    assert {"/a": "ann", "/n": "ann", "/a/up": "bob"}.items() <= {
        row.split()[0]: row.split()[4] for row in blamed.splitlines()
    }.items()
    rebuilt = replay(log)
    assert rebuilt["a"] is rebuilt["b"]
    assert rebuilt["a"]["up"] is rebuilt
    assert 0 == verified(log)


def test_who_refers_to_data_with_cycles_begins_with_them(log: Path) -> None:
    """Their state, which its line has, is not written a second time."""
    model = TrackedDict(agents=TrackedList())
    for n in range(5):
        agent = TrackedDict()
        agent["n"] = n
        agent["model"] = model
        agent["wealth"] = 1
        model["agents"].append(agent)
    again = [line.after for line in lines_of(log) if line.method == "again" and line.root != uuid_of(model)]
    assert [{"n": n} for n in range(1, 5)] == again
    checked(log, model)


def test_data_without_cycles_has_no_references(log: Path) -> None:
    """Whatever cycles the process has elsewhere."""
    other = TrackedDict()
    other["me"] = other
    root = TrackedDict(a=TrackedDict(n=1))
    root["b"] = root["a"]
    root["c"] = [root["a"], root["b"]]
    root["a"]["n"] = 2
    mine = [line for line in lines_of(log) if line.root == uuid_of(root)]
    assert {1} == {line.v for line in mine}
    assert {"a": {"n": 2}, "b": {"n": 2}}.items() <= replay(log, root=uuid_of(root)).items()


def test_a_root_of_which_nothing_was_kept_begins_after_its_first_line(log: Path) -> None:
    """The line is skipped, also when the state after it is empty."""
    root = TrackedDict(n=1, tracking_max_changes=0)
    root.clear()
    checked(log, root)
    root["n"] = 2
    checked(log, root)


def verified(path: Path) -> int:
    """Return the exit status of ``pydatatracker verify``."""
    return run("verify", path, cwd=path.parent).returncode


def lines_of(path: Path) -> list[Any]:
    """Return the lines of a log."""
    return list(read_changes(path, strict=True))


KINDS = {
    "dict": lambda held: TrackedDict(up=held),
    "list": lambda held: TrackedList([held]),
    "object": lambda held: thing(up=held),
    "two levels": lambda held: TrackedDict(inner=TrackedList([TrackedDict(up=held)])),
}


def thing(**attributes: Any) -> Thing:
    """Return an object with attributes."""
    made = Thing()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["slot", "splice", "rows", "transaction"])
def test_a_back_reference_is_no_copy(log: Path, kind: str, how: str) -> None:
    """What changes later changes where it is referred to, too."""
    root = TrackedDict(n=0, items=TrackedList())
    root["n"] = 1
    made = KINDS[kind](root)
    if how == "slot":
        root["made"] = made
    elif how == "splice":
        root["items"].extend([1, made])
    elif how == "rows":
        root.update(made=made, other=1)
    else:
        with tracking_transaction(root):
            root["made"] = made
            root["n"] = 5
    root["n"] = 6
    root["items"].append(7)
    checked(log, root)
    assert 0 == verified(log)
    assert max(len(line.raw) for line in lines_of(log)) < 2_000


def test_the_lines_are_what_the_schema_says(log: Path) -> None:
    """A line with a reference has version 2 and passes the schema."""
    root = TrackedDict(n=0)
    root["child"] = TrackedDict(up=root)
    (line,) = [each for each in lines_of(log) if each.action == "add"]
    assert (2, {"up": {"$at": []}}) == (line.v, line.data["after"])
    Draft202012Validator(schema()).validate(line.data)


def test_a_model_stays_a_root_when_an_agent_that_refers_to_it_is_removed(log: Path) -> None:
    """Its changes are not those of the agent that is gone."""
    model = TrackedDict(steps=0, agents=TrackedList())
    for _ in range(3):
        model["agents"].append(thing(model=model))
    gone = model["agents"].pop()
    model["steps"] = 1
    last = lines_of(log)[-1]
    assert (uuid_of(model), "/steps", ()) == (last.root, last.pointer, last.also)
    checked(log, model)
    del gone


def test_what_only_a_back_reference_holds_is_below_the_root_still(log: Path) -> None:
    """Who is removed and held by a child of the root is followed there."""
    root = TrackedDict()
    root["a"] = TrackedDict()
    root["a"]["b"] = TrackedDict(a=root["a"])
    root["x"] = root["a"]["b"]
    held = root.pop("a")
    held["n"] = 1
    assert "/x/a/n" == root.last_change().pointer
    checked(log, root)


def test_a_line_seen_from_another_root_refers_to_its_own_place(log: Path) -> None:
    """Each root has the paths from itself, or else the value."""
    inner = TrackedDict(n=0)
    one, two = TrackedDict(at=inner), TrackedDict(there=TrackedDict(at=inner))
    inner["me"] = inner
    line = lines_of(log)[-1]
    found = {root: line.seen_from(root).data["after"]["$at"] for root in line.roots}
    assert {uuid_of(one): ["at"], uuid_of(two): ["there", "at"]} == found
    inner["n"] = 1
    checked(log, one)
    checked(log, two)
    inner["one"] = one
    checked(log, one)
    assert 0 == replay(log, root=uuid_of(two))["there"]["at"]["one"]["at"]["n"] - 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_follows_changes_of_this_process_has_no_copies_either(kind: str) -> None:
    """What is applied when a change is made refers to what is there."""
    root, copy = TrackedDict(n=0), {"n": 0}
    root.tracking_add_observer(lambda change: apply_change(copy, change))
    root["made"] = KINDS[kind](root)
    root["n"] = 1
    root["made"] = TrackedList([root["made"], root])
    root["n"] = 2
    assert same_graph(root, copy)


def test_an_earlier_change_of_a_root_that_is_gone_has_its_line() -> None:
    """Where something was in it is not known any more."""
    inner, root = TrackedDict(), TrackedDict()
    root["a"] = inner
    inner["me"] = inner
    change = root.last_change()
    inner["n"] = 1
    assert {"$at": ["a"]} == change.to_dict()["after"]
    root.clear()
    del root
    gc.collect()
    assert {"$ref": ""} == change.to_dict()["after"]["me"]


def test_a_secret_is_withheld_from_what_a_root_without_a_path_gets() -> None:
    """The value that stands beside a reference loses its secrets, too."""
    line = {"path": ["a"], "after": {"$at": ["b"], "also": [], "else": {"user": "ann", "password": "x"}}}
    Withheld().take_out(line)
    assert {"user": "ann", "password": {"$redacted": True}} == line["after"]["else"]  # type: ignore[index]


def test_threads_do_not_mix_up_places(log: Path) -> None:
    """A line says where a container was, whatever others do meanwhile."""
    root = TrackedDict(n=0)

    def work(name: str) -> None:
        for n in range(60):
            root[name] = TrackedDict(up=root, n=n)
            root[name]["again"] = root[name]

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    checked(log, root)
    assert 0 == verified(log)


def test_a_reference_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    """A line that refers to nothing does not fit, and changes nothing."""
    data: dict[str, Any] = {"a": 1}
    line = {"v": 2, "seq": 1, "root": "r", "action": "add", "method": "__setitem__", "type": "TrackedDict"}
    with pytest.raises(ReplicaError, match="there is nothing at /b"):
        apply_change(data, {**line, "path": ["x"], "after": {"$at": ["b"]}})
    assert {"a": 1} == data
