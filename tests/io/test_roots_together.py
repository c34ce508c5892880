"""What the log of a process has of several roots that hold each other."""

from __future__ import annotations

import gc
import json
import random
from pathlib import Path
from typing import Any

import pytest
from command import run
from graphs import Thing, change, reached_from
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pydatatracker import ReplicaError, TrackedDict, TrackedList, TrackedSet, _core, process, replay
from pydatatracker.io import files, read_changes, schema
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import encode


def first_difference(root: Any, rebuilt: Any) -> Any:
    """Return the first path that does not lead to the same, or None."""
    todo, met = [((), root, rebuilt)], set()
    for path, one, other in todo:
        if (id(one), id(other)) in met:
            continue
        met.add((id(one), id(other)))
        if _core.tracker(one) is None:
            if one != other:
                return path, one, other
            continue
        held = _core.plain(one)
        if isinstance(held, dict) and isinstance(other, dict) and held.keys() == other.keys():
            todo += [((*path, key), held[key], other[key]) for key in held]
        elif isinstance(held, list) and isinstance(other, list) and len(held) == len(other):
            todo += [((*path, n), item, other[n]) for n, item in enumerate(held)]
        elif not isinstance(held, set) or held != other:
            return path, held, other
    return None


def is_root(container: Any) -> bool:
    """Return whether no link that closes no cycle leads to a container."""
    return any(len(steps) == 1 for steps in _core.places(container))


class Program:
    """Random changes of roots that are stored in each other."""

    def __init__(self, random_: random.Random, roots: int) -> None:
        self.random = random_
        self.kept = random_.choice((0, 1000))
        self.roots = [TrackedDict(name=n, tracking_max_changes=self.kept) for n in range(roots)]
        self.all: list[Any] = list(self.roots)

    def value(self) -> Any:
        if self.random.random() < 0.3:
            return self.random.randrange(100)
        if len(self.all) < 4 or self.random.random() < 0.4:
            kind = self.random.choice((TrackedDict, TrackedList, TrackedSet, Thing))
            return kind() if kind is Thing else kind(tracking_max_changes=self.kept)
        return self.random.choice([each for each in self.all if not isinstance(each, TrackedSet)])

    def step(self) -> None:
        here = self.random.choice(self.all)
        change(here, self.value, self.random, any(here is root for root in self.roots))
        self.all = reached_from(*self.roots)
        gc.collect()  # what holds nothing of this any more is no root of it


@pytest.mark.parametrize("copied", [2, 100])
@given(st.integers(0, 1_000_000), st.integers(2, 5), st.integers(5, 50))
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_every_root_of_a_log_is_rebuilt(tmp_path: Path, copied: int, seed: int, roots: int, count: int) -> None:
    """After each step each root is the data, whatever links hold it."""
    before = _core.copy_at_most(copied)
    path = tmp_path / f"{_core.newest_seq()}.jsonl"
    gc.freeze()  # what the other tests left takes long to look at
    process.start(path)
    try:
        program = Program(random.Random(seed), roots)
        for root in program.roots:
            root["first"] = 1
        for _ in range(count):
            program.step()
            logged = {root for line in read_changes(path, strict=True) for root in line.roots}
            for root in filter(is_root, program.all):
                if root.tracking_uuid in logged:
                    assert first_difference(root, replay(path, root=root.tracking_uuid)) is None
    finally:
        process.stop()
        gc.unfreeze()
        _core.copy_at_most(before)


def test_what_refers_to_a_large_root_does_not_copy_it(log: Path) -> None:
    """Each agent refers to its model before that has it: the log is linear."""
    sizes = []
    for count in (200, 400):
        model = TrackedDict(agents=TrackedList(), n=0)
        start = log.stat().st_size if log.exists() else 0
        for _ in range(count):
            agent = TrackedDict()
            agent["model"] = model
            agent["n"] = 0
            model["agents"].append(agent)
        sizes.append((log.stat().st_size - start) / count)
        model["n"] = count
        assert first_difference(model, replay(log, root=model.tracking_uuid)) is None
    assert sizes[1] < 1.05 * sizes[0]
    assert run("verify", log, cwd=log.parent).returncode == 0


def lines_of(path: Path) -> list[Any]:
    """Return the lines of a log."""
    return list(read_changes(path, strict=True))


def checked(path: Path, *roots: Any) -> None:
    """Assert that a log, and the commands that read it, have each root."""
    for root in roots:
        rebuilt = replay(path, root=root.tracking_uuid)
        assert first_difference(root, rebuilt) is None
        shown = run("at", path, "now", "--root", root.tracking_uuid, cwd=path.parent)
        assert json.loads(shown.stdout) == encode(rebuilt, limit=None)
    done = run("verify", path, cwd=path.parent)
    assert (0, True) == (done.returncode, "complete and in order" in done.stdout)


def entangled() -> tuple[Any, Any, Any]:
    """Return two roots, of which one is in a cycle, and what both hold."""
    one, two = TrackedDict(n=0), TrackedDict(n=0)
    one["n"] = two["n"] = 1
    inner = TrackedDict()
    one["inner"] = inner
    inner["top"] = one
    two["inner"] = inner
    return one, two, inner


def test_what_only_a_closing_link_leads_to_changes_in_both_roots(log: Path) -> None:
    """Its change is one line, of the root that it is below."""
    one, two, _ = entangled()
    one["n"] = 2
    last = lines_of(log)[-1]
    assert (one.tracking_uuid, ()) == (last.root, last.also)
    assert 2 == replay(log, root=two.tracking_uuid)["inner"]["top"]["n"]
    checked(log, one, two)


def test_the_state_at_each_point_of_a_log(log: Path) -> None:
    """It is that of then, and the difference between two is what was changed."""
    one, two, _ = entangled()
    seqs = []
    for n in range(5):
        one["n"] = n
        seqs.append(_core.newest_seq())
    for n, seq in enumerate(seqs):
        assert n == replay(log, seq, root=two.tracking_uuid)["inner"]["top"]["n"]
        shown = run("at", log, str(seq), "--root", two.tracking_uuid, cwd=log.parent)
        assert f'"n": {n}' in shown.stdout
    compared = run("diff", log, f"{seqs[0]}..{seqs[3]}", "--root", two.tracking_uuid, cwd=log.parent)
    assert "/inner/top/n: 0 -> 3" in compared.stdout.replace("→", "->")


def test_a_link_that_turns_takes_nothing_along(log: Path) -> None:
    """Who was below one root is below the other, and both have it."""
    one, two, inner = entangled()
    del one["inner"]  # now it is below the second root alone, and so is the first one
    one["n"] = 3
    inner["m"] = 4
    checked(log, *filter(is_root, (one, two)))
    two["one"] = one
    one["back"] = two
    one["n"] = 5
    two["n"] = 6
    checked(log, *filter(is_root, (one, two)))


@pytest.mark.parametrize("kept", [0, 100])
def test_a_root_that_was_in_another_tree_has_what_happened_there(log: Path, kept: int) -> None:
    """Also if nothing changed in it since it is a root again."""
    moved = TrackedDict(n=0, tracking_max_changes=kept)
    moved["n"] = 1
    other = TrackedDict(items=TrackedList(), tracking_max_changes=kept)
    other["items"].append(moved)
    moved["n"] = 2
    moved["held"] = TrackedDict(a=1)
    other["items"].clear()
    checked(log, moved, other)
    moved["held"]["a"] = 2
    checked(log, moved, other)


def test_what_no_other_root_can_reach_has_no_ids(log: Path) -> None:
    """The changes of a tree without cycles are written without."""
    root = TrackedDict(a=TrackedDict(b=[1]))
    root["a"]["c"] = TrackedList([{}])
    root["a"]["c"].append(TrackedDict(x=1))
    root["d"] = root["a"]
    mine = [line for line in lines_of(log) if line.root == root.tracking_uuid and line.action != "init"]
    assert {()} == {line.ids for line in mine}


def test_the_lines_are_what_the_schema_says(log: Path) -> None:
    """Each has the ids of what it has, by the pointers to it."""
    one, two, _ = entangled()
    one["more"] = [two, TrackedList([TrackedDict()])]
    one.update(x=TrackedDict(), y=TrackedList([TrackedDict(one=one)]))
    two["list"] = TrackedList()
    two["list"].extend([TrackedDict(), 1, TrackedDict(two=two)])
    named = 0
    for line in lines_of(log):
        Draft202012Validator(schema()).validate(line.data)
        for pointer, name in line.data.get("ids", {}).items():
            held: Any = line.data
            for step in pointer.split("/")[1:]:
                held = held[int(step)] if isinstance(held, list) else held[step]
            assert isinstance(held, (dict, list)), pointer
            assert name != line.root or line.action != "init"
            named += 1
    assert named > 10


def tuple_keys(d: Any) -> Any:
    """Make a cycle below a key that is a tuple."""
    x, y = TrackedDict(), TrackedDict()
    d[1, "a"] = x
    x["b"] = y
    y["up"] = x
    x.pop("b")
    return x


def in_a_tuple(d: Any) -> Any:
    """Store what refers back in a tuple."""
    d["v"] = TrackedDict()
    d["v"]["up"] = d
    d["t"] = (d["v"],)
    del d["t"]
    return d["v"]


def in_plain_data(d: Any) -> Any:
    """Change a container in data that is not tracked: it is a root."""
    x = TrackedDict()
    d["t"] = (1, {"k": [x]})
    x["n"] = 1
    d["t"] = [x]
    x["n"] = 2
    return x


def in_a_frozenset(d: Any) -> Any:
    """Store an object in a set, whose elements have no place."""
    x = Thing()
    d["f"] = frozenset([x])
    return x


def in_a_set(d: Any) -> Any:
    """Store objects in a set, as a whole and one by one, and as keys."""
    x, y = Thing(), Thing()
    x.n = 1
    d["s"] = TrackedSet([x, 1])
    d["s"].add(y)
    d["s"] |= {2, "a"}
    x.n = 2
    y.up = d
    d["s"].discard(x)
    d["keys"] = TrackedDict({x: 1, y: [2]})
    d["keys"][x] = y
    x.n = 3
    d["s"].clear()
    return x, y


def a_dead_root(d: Any) -> Any:
    """End a root with the record of its removal, which is replaced."""
    a = TrackedDict(tracking_max_changes=1)
    shared = TrackedDict(tracking_max_changes=1)
    shared["n"] = 0
    a["a"], a["b"] = (TrackedDict(tracking_max_changes=1) for _ in range(2))
    a["a"]["s"] = a["b"]["s"] = shared
    a.pop("a")
    shared["n"] = 1
    return a


@pytest.mark.parametrize("program", [tuple_keys, in_a_tuple, in_plain_data, in_a_frozenset, in_a_set, a_dead_root])
def test_a_log_fits_itself(log: Path, program: Any) -> None:
    """Each line says what was there as the lines before it do."""
    d = TrackedDict(first=1)
    d["n"] = 1
    kept = program(d)
    d["n"] = 2
    done = run("verify", log, cwd=log.parent)
    assert (0, True) == (done.returncode, "complete and in order" in done.stdout), done.stderr
    assert 2 == replay(log, root=d.tracking_uuid)["n"]
    del kept


def test_roots_that_have_nothing_in_common_do_not_matter(log: Path) -> None:
    """A line that does not fit is reported of the root that it is of."""
    one, two, _ = entangled()
    other = TrackedDict(n=0)
    other["n"] = 1
    text = log.read_text().replace('"before":0,"after":1', '"before":7,"after":1')
    assert text != log.read_text()
    text = "".join(
        line if other.tracking_uuid in line else old
        for line, old in zip(text.splitlines(True), log.read_text().splitlines(True), strict=True)
    )
    for root in (one, two):
        assert first_difference(root, replay(text, root=root.tracking_uuid)) is None
    with pytest.raises(ReplicaError, match="does not fit"):
        replay(text, root=other.tracking_uuid)


def test_any_form_of_a_log_is_followed(log: Path) -> None:
    """Text, bytes, dicts and lines."""
    _, two, _ = entangled()
    raw = log.read_bytes().splitlines()
    for lines in (raw, [line.decode() for line in raw], [json.loads(line) for line in raw], lines_of(log)):
        assert first_difference(two, replay(sorted(lines, key=in_order), root=two.tracking_uuid)) is None


def in_order(line: Any) -> Any:
    """Return the place of a line in the order of a log."""
    data = line.data if hasattr(line, "data") else line if isinstance(line, dict) else json.loads(line)
    return data["seq"], 1 if data["action"] != "init" else 2 if data["method"] == "again" else 0


def test_what_changed_while_no_log_saw_it_is_what_the_line_says(tmp_path: Path) -> None:
    """The log of an observer has nothing of what is outside for a time."""
    path = tmp_path / "log.jsonl"
    root = TrackedDict(n=0)
    root.tracking_add_observer(json_file_observer(path))
    root["inner"] = TrackedDict(top=root)
    inner = root.pop("inner")
    inner["n"] = 1
    inner["list"] = TrackedList([1])
    root["again"] = inner
    inner["list"].append(2)
    assert first_difference(root, replay(path)) is None


def test_a_log_that_begins_anew_is_complete(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file was moved away, the roots begin again."""
    monkeypatch.setattr(files, "_LOOK", 0.0)  # look before each line
    one, two, _ = entangled()
    one["n"] = 2
    log.rename(log.with_suffix(".old"))
    two["n"] = 3
    one["n"] = 4
    checked(log, one, two)
