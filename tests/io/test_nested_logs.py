"""Logs of a container that sits below another one, and names in logs."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command import run

from pydatatracker import ReplicaError, TrackedAttr, TrackedDict, TrackedList, TrackedSet, replay, track
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import ChangeWriter, read_changes, schema
from pydatatracker.observers import json_file_observer


def by_observer(path: Path, compact: bool) -> tuple[Any, Any]:
    writer = json_file_observer(path, compact=compact)
    return writer, writer


def by_exporter(path: Path, compact: bool) -> tuple[Any, Any]:
    exporter = JsonLinesExporter(path, compact=compact)
    return exporter, exporter


def by_writer(path: Path, compact: bool) -> tuple[Any, Any]:
    writer = ChangeWriter(path, compact=compact)
    return writer, writer.write


WRITERS: list[Callable[[Path, bool], tuple[Any, Any]]] = [by_observer, by_exporter, by_writer]
writers = pytest.mark.parametrize("make", WRITERS)
compactly = pytest.mark.parametrize("compact", [True, False])


class Thing(TrackedAttr):
    def __init__(self) -> None:
        self.rows = [1]
        self.more = 2


def change_dict(data: Any) -> None:
    data["rows"] = [1, 2]
    data["rows"].append(3)
    data.update(a=1, b=(2,))
    data["rows"].sort(reverse=True)
    data.pop("a")


def change_list(data: Any) -> None:
    data.extend([1, [2], 3])
    data[-2].append(4)
    data.reverse()
    data[0:1] = []


def change_set(data: Any) -> None:
    data |= {1, 2, "x"}
    data.discard(1)


def change_thing(data: Any) -> None:
    data.rows.append(5)
    data.more = 7


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "dict": (lambda: TrackedDict(x=1, tracking_auto_convert=True), change_dict),
    "empty dict": (lambda: TrackedDict(tracking_auto_convert=True), change_dict),
    "list": (lambda: TrackedList([0], tracking_auto_convert=True), change_list),
    "empty list": (lambda: TrackedList(tracking_auto_convert=True), change_list),
    "set": (lambda: TrackedSet([0]), change_set),
    "empty set": (lambda: TrackedSet(), change_set),
    "object": (Thing, change_thing),
}


def plain(data: Any) -> Any:
    if isinstance(data, TrackedAttr):
        return {"rows": list(data.rows), "more": data.more}
    return data


@writers
@compactly
@pytest.mark.parametrize("above", ["dict", "list"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_log_of_a_nested_container_is_complete(
    tmp_path: Path, kind: str, above: str, compact: bool, make: Any
) -> None:
    """The log has one root, the observed container, and it replays."""
    path = tmp_path / "nested.jsonl"
    made, change = KINDS[kind]
    inner = made()
    outer: Any = TrackedDict(above=TrackedDict(inner=inner)) if above == "dict" else TrackedList([TrackedList([inner])])
    handle, observer = make(path, compact)
    with handle:
        inner.tracking_add_observer(observer)
        change(inner)
        outer.clear()  # it is the root of its own tree now
        if kind in ("dict", "empty dict"):
            inner["after"] = 1
    lines = list(read_changes(path))
    assert {inner.tracking_uuid} == {line.root for line in lines}
    validator = jsonschema.Draft202012Validator(schema())
    for line in lines:
        validator.validate(line.data)
    assert plain(inner) == replay(path) == replay(path, root=inner.tracking_uuid)
    if make is not by_observer or not compact or above != "dict":
        return  # the commands read the same lines
    assert 0 == run("verify", path, cwd=tmp_path).returncode
    shown = run("blame", path, "--all", cwd=tmp_path).stdout
    assert "#2" not in shown
    assert shown


def test_observers_at_two_heights_write_two_logs(tmp_path: Path) -> None:
    """A change is relative to each container that observes it."""
    path = tmp_path / "both.jsonl"
    data = track({"a": {"b": {"n": 1}}})
    with json_file_observer(path) as log:
        for each in (data, data["a"]["b"]):
            each.tracking_add_observer(log)
        data["a"]["b"]["n"] = 2
    assert {"a": {"b": {"n": 2}}} == replay(path, root=data.tracking_uuid)
    assert {"n": 2} == replay(path, root=data["a"]["b"].tracking_uuid)


# ---- names


@compactly
def test_a_name_is_in_the_log(tmp_path: Path, compact: bool) -> None:
    """The init has the name of its root; others unless they are compact."""
    path = tmp_path / "names.jsonl"
    data = TrackedDict(a=1, tracking_name="settings")
    with json_file_observer(path, compact=compact) as log:
        data.tracking_add_observer(log)
        data["b"] = 2
        data["c"] = [1]
    assert ["settings", *[("" if compact else "settings")] * 2] == [line.name for line in read_changes(path)]
    change = data.last_change()
    assert ("settings", "settings") == (change.name, type(change).from_dict(change.to_dict()).name)
    assert "name" not in TrackedDict(a=1).tracking_changes()[0].to_dict()


def log_of(path: Path, names: list[str | None]) -> list[Any]:
    made = [TrackedDict(n=number, tracking_name=name) for number, name in enumerate(names)]
    with json_file_observer(path, compact=True) as log:
        for each in made:
            each.tracking_add_observer(log)
        for number, each in enumerate(made):
            each[f"k{number}"] = number
    return made


def test_commands_show_a_name_that_is_unique(tmp_path: Path) -> None:
    """`show` prints @name/path, which --root and pointers accept."""
    path = tmp_path / "names.jsonl"
    log_of(path, ["first", "users", "users", "a/b", None])
    shown = run("show", path, cwd=tmp_path).stdout
    found = [line.split(" add ")[1].split()[0].strip() for line in shown.splitlines() if " add " in line]
    assert ["/k0", "@users/k1", "#3/k2", "#4/k3", "#5/k4"] == found
    for label, number in [("@users", 1), ("#3", 2), ("#4", 3), ("#5", 4), ("first", 0)]:
        done = run("at", path, "999999999999", "--root", label, cwd=tmp_path)
        assert {"n": number, f"k{number}": number} == json.loads(done.stdout), label
    assert "k1" in run("blame", path, "@users/k1", cwd=tmp_path).stdout


def test_an_id_that_show_prints_chooses_one_container(tmp_path: Path) -> None:
    """Every label that `show` prints with a filter names one container."""
    path = tmp_path / "ids.jsonl"
    made = log_of(path, [None] * 20)
    shown = run("show", path, "--path", "/k*", cwd=tmp_path).stdout
    labels = [line.split(" add ")[1].split()[0].strip() for line in shown.splitlines()]
    assert 20 == len({label.split("/")[0] for label in labels if label[0] == "@"}) + (labels[0][0] != "@")
    for label in labels[1:3] + labels[-2:]:
        name, _, key = label.partition("/")
        number = int(key[1:])
        state = json.loads(run("at", path, "999999999999", "--root", name, cwd=tmp_path).stdout)
        assert {"n": number, key: number} == state
        assert 1 == len(run("blame", path, label, cwd=tmp_path).stdout.splitlines())
    for end in (made[7].tracking_uuid, made[7].tracking_uuid[16:]):
        assert 7 == json.loads(run("at", path, "999999999999", "--root", end, cwd=tmp_path).stdout)["n"]


# ---- points and roots that replay does not know


def test_replay_says_what_it_expects(tmp_path: Path) -> None:
    """A root that is not there and a time as text are explained."""
    path = tmp_path / "a.jsonl"
    (made,) = log_of(path, ["settings"])
    with pytest.raises(ReplicaError, match="has no container '#1': root= takes the id of a container") as caught:
        replay(path, root="#1")
    assert made.tracking_uuid in str(caught.value)
    with pytest.raises(TypeError, match="at= takes a seq or a datetime, not '2026-01-01'"):
        replay(path, at="2026-01-01")  # type: ignore[arg-type]
    with pytest.raises(ReplicaError, match="the log has no changes up to"):
        replay(path, at=datetime.datetime(2001, 1, 1))
