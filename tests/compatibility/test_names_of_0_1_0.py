"""Names of 0.1.0 exist, and work or name their replacement once.

They are the names that its README, docs and tests import.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pathlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from command import run

import pydatatracker
from pydatatracker import (
    ChangeCollector,
    ChangeLogEntry,
    ConfigurationError,
    TrackedAttr,
    TrackedDict,
    TrackedList,
    load_observers_from_json,
    tracking_actor,
)
from pydatatracker.observers import FilteredObserver, async_queue_observer, filtered_observer

IMPORTED = [
    ("pydatatracker", "ChangeCollector ChangeLogEntry TrackedAttr TrackedDict TrackedList tracking_actor __version__"),
    ("pydatatracker.config", "load_observers_from_json"),
    ("pydatatracker.exporters", "HttpExporter JsonLinesExporter KafkaExporter S3Exporter"),
    (
        "pydatatracker.observers",
        "FilteredObserver async_queue_observer filtered_observer json_file_observer logging_observer telemetry_observer",
    ),
]
MOVED = [
    ("types._trackbase", "TrackBase", "TrackingMixin"),
    ("types.actor", "tracking_actor", "tracking_actor"),
    ("types.trackedattributes", "TrackedAttr", "TrackedAttr"),
    ("types.trackeddict", "TrackedDict", "TrackedDict"),
    ("types.trackedlist", "TrackedList", "TrackedList"),
    ("utils.changelog", "ChangeLogEntry", "ChangeLogEntry"),
]


@pytest.mark.parametrize(("module", "names"), IMPORTED)
def test_names_that_were_imported_are_there(module: str, names: str) -> None:
    """Names of 0.1.0 that stayed can be imported without a warning."""
    found = importlib.import_module(module)
    assert [] == [name for name in names.split() if not hasattr(found, name)]


@pytest.mark.parametrize("module", ["exporters", "observers", "config"])
def test_modules_are_attributes_of_the_package(module: str) -> None:
    """`import pydatatracker` is enough to use `pydatatracker.exporters`.

    The same holds for observers and config.
    """
    code = f"import pydatatracker; print(pydatatracker.{module}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pydatatracker.{module}" == done.stdout.strip()


@pytest.mark.parametrize(("module", "name", "new"), MOVED)
def test_a_name_that_moved_says_once_where_it_is(module: str, name: str, new: str) -> None:
    """The first import of a moved name warns, at the line that imports it.

    The second import is silent. The object is the new one.
    """
    code = f"from pydatatracker.{module} import {name}\n" * 2 + f"assert {name}.__name__ == {new!r}\n"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert 1 == done.stderr.count("DeprecationWarning")
    assert done.stderr.startswith("<string>:1: DeprecationWarning: ")
    assert f"pydatatracker.{module}.{name} is now pydatatracker" in done.stderr


def test_a_name_that_never_was_is_an_import_error() -> None:
    """The stand-ins for old modules have the old names and nothing else."""
    from pydatatracker.types import actor
    from pydatatracker.utils import changelog

    for module in (actor, changelog, importlib.import_module("pydatatracker.types")):
        assert not hasattr(module, "tracked_actor")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pydatatracker.types.nothing")


def test_old_modules_cost_nothing_until_they_are_used() -> None:
    """Importing the package does not import a stand-in."""
    code = "import sys, pydatatracker; print([name for name in sys.modules if name.startswith('pydatatracker.types')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_the_private_flag_of_locks_says_what_to_use() -> None:
    """`_tracking_locked` warns and has the value of `tracking_locked`."""

    class Settings(TrackedAttr):
        pass

    for container in (TrackedDict(), TrackedList(), Settings()):
        container.lock()
        with pytest.warns(DeprecationWarning, match="_tracking_locked is now tracking_locked"):
            assert container._tracking_locked is True
        container.unlock()
        assert container.tracking_locked is False


# ---- FilteredObserver


def edit(d: TrackedDict) -> None:
    """Add, update and remove items, some of them in nested containers."""
    d["port"] = 80
    d["host"] = "a"
    d["port"] = 8080
    d["profile"] = {"score": 1}
    d["profile"]["score"] = 2
    d["ports"] = [1, 2]
    d["ports"].append(3)
    d.update(port=1, size=2)
    del d["host"]
    d.lock()
    d.unlock()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"actions": {"update"}, "locations": {"port"}}, ["update port"]),
        ({"locations": ["port"]}, ["add port", "update port"]),
        ({"locations": "host"}, ["add host", "remove host"]),
        ({"locations": ("profile:score", "ports|2")}, ["update profile:score", "add ports|2"]),
        ({"actions": "lock"}, ["lock None"]),
        ({"actions": ["remove"]}, ["remove host"]),
        ({"locations": ()}, []),
        ({"actions": ()}, []),
    ],
)
@pytest.mark.parametrize("make", [FilteredObserver, filtered_observer])
def test_actions_and_locations_have_to_match(
    make: Callable[..., Any], options: dict[str, Any], expected: list[str]
) -> None:
    """A filter needs both the action and `extra["location"]` to match.

    The location of a nested change is one string, as `profile:score`.
    """
    d, found = TrackedDict(tracking_auto_convert=True), ChangeCollector()
    observer = make(found, **options)
    d.tracking_add_observer(observer)
    edit(d)
    assert expected == [f"{change.action} {change.extra.get('location')}" for change in found]
    d.tracking_remove_observer(observer)
    edit(d)
    assert len(expected) == len(found)


def test_without_filters_everything_passes() -> None:
    """A filter without options passes every change."""
    d, found = TrackedDict(tracking_auto_convert=True), ChangeCollector()
    d.tracking_add_observer(FilteredObserver(found))
    edit(d)
    assert d.tracking_changes()[1:] == found.as_list()


def test_locations_of_a_list_are_numbers() -> None:
    """An index of a list matches as a number, also for a negative index."""
    items, found = TrackedList([1, 2, 3]), ChangeCollector()
    items.tracking_add_observer(FilteredObserver(found, locations={2}))
    items[1] = 5
    items[-1] = 6
    assert [6] == [change.after for change in found]


def test_a_filtered_observer_has_its_old_attributes() -> None:
    """A FilteredObserver has the attributes of 0.1.0."""
    found = ChangeCollector()
    observer = FilteredObserver(found, actions=["add"], locations=["a"])
    assert (found, ["add"], ["a"]) == (observer.observer, observer.actions, observer.locations)


def test_a_filter_that_can_never_match_is_an_error() -> None:
    """An unknown action and an observer that is not callable are refused.

    The action `copy` of 0.1.0 is unknown, too.
    """
    with pytest.raises(ValueError, match="unknown action 'copy'; the actions are init, add"):
        FilteredObserver(print, actions={"copy"})
    with pytest.raises(TypeError, match="must be callable"):
        FilteredObserver(3)  # type: ignore[arg-type]


# ---- load_observers_from_json


def load(data: Any, folder: pathlib.Path) -> Any:
    """Load observers from a file with this data."""
    path = folder / "observers.json"
    path.write_text(json.dumps(data))
    return load_observers_from_json(path)


def test_the_observer_of_a_filter_may_be_beside_its_options(tmp_path: pathlib.Path) -> None:
    """The observer of a filter may stand beside its options, as in 0.1.0."""
    log = tmp_path / "log.jsonl"
    entry = {
        "type": "filtered",
        "observer": {"type": "json_file", "options": {"path": str(log)}},
        "options": {"actions": ["add"], "locations": ["b", 1]},
    }
    d = TrackedDict()
    with load([{"type": "change_collector", "options": {"capacity": 5}}, entry], tmp_path) as observers:
        for observer in observers:
            d.tracking_add_observer(observer)
        d["a"] = d["b"] = 1
        d["b"] = 2
    assert ["/a", "/b", "/b"] == [change.pointer for change in observers[0]]
    assert ["/b"] == [json.loads(line)["pointer"] for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"observer": {"type": "telemetry"}, "options": {"observer": {"type": "telemetry"}}}, "is given twice"),
        ({"observer": {"type": "htp"}}, "entry 1 (filtered), observer (htp): unknown type"),
        ({"observer": {"type": "telemetry"}, "filter": 1}, "unknown field 'filter'"),
        ({"observer": {"type": "telemetry"}, "options": {"locations": [1.5]}}, "options.locations: "),
        ({"type": "json_file", "observer": {"type": "telemetry"}}, "unknown field 'observer'"),
    ],
)
def test_mistakes_in_a_filter_are_named(entry: dict[str, Any], said: str, tmp_path: pathlib.Path) -> None:
    """Errors in a filter are reported, wherever its observer stands."""
    with pytest.raises(ConfigurationError) as caught:
        load([{"type": "filtered", **entry}], tmp_path)
    assert any(said in problem for problem in caught.value.problems), caught.value.problems


# ---- async_queue_observer


class Kept:
    """An object with its own put()."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put(self, item: Any) -> None:
        """Keep item."""
        self.items.append(item)


class Awaited(Kept):
    """An object whose put() is a coroutine function."""

    async def put(self, item: Any) -> None:  # type: ignore[override]
        """Keep item after one turn of the loop."""
        await asyncio.sleep(0)
        self.items.append(item)


def test_anything_with_put_is_a_queue() -> None:
    """Any object with put() can be a queue, and gets each change as a dict."""
    d, queue = TrackedDict(), Kept()
    d.tracking_add_observer(async_queue_observer(queue))
    d["a"] = 1
    assert ["/a"] == [item["pointer"] for item in queue.items]


def test_a_put_that_is_awaited_runs_in_the_loop_in_order() -> None:
    """An awaited put() runs for one change at a time, in order.

    Values are those at the moment of the change.
    """

    async def main() -> None:
        d, queue = TrackedDict(), Awaited()
        observer = async_queue_observer(queue)
        d.tracking_add_observer(observer)
        value = [1]
        d["a"] = value
        value.append(2)
        for n in range(20):
            d["n"] = n
        assert [] == queue.items
        while len(queue.items) < 21:
            await asyncio.sleep(0)
        assert [1] == queue.items[0]["after"]
        assert [*range(20)] == [item["after"] for item in queue.items[1:]]
        assert 0 == observer.dropped

    asyncio.run(main())


# ---- the examples of its README and docs, in our words


def test_who_changed_it() -> None:
    """Actor, snapshots, stacks and changes_since work as in 0.1.0.

    An actor needs no stack; snapshots and stacks are optional; changes_since accepts a change or a time.
    """
    d = TrackedDict(tracking_capture_snapshots=True, tracking_capture_stack=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with tracking_actor("importer"):
            d["status"] = "ready"
    first = d.last_change()
    assert first is not None
    d["status"] = "done"
    assert "importer" == first.actor
    assert ("{}", "{'status': 'ready'}") == (first.extra["data_pre_change"], first.extra["data_post_change"])
    assert first.stack
    assert d.tracking_changes()[1:] == d.changes_since(first) == d.changes_since(first.created_time)
    assert pydatatracker.__version__ != "0.1.0"


@pytest.mark.parametrize("arguments", [(), ("0f3c" * 8,)])
def test_a_change_is_made_by_a_container(arguments: tuple[str, ...]) -> None:
    """Making a change by hand is an error that says what to do instead.

    It was possible in 0.1.0. Now a change is read from the container that recorded it.
    """
    with pytest.raises(TypeError, match=r"made by a container; to read one, use ChangeLogEntry.from_dict\(data\)"):
        ChangeLogEntry(*arguments, action="add")


# ---- the statements of docs/migrating.md


def recorded(code: str, **options: Any) -> list[str]:
    """Return "action location" of each change that code makes to `d`.

    The dict `d` has the keys a, child and l.
    """
    d = TrackedDict({"a": 1, "child": {}, "l": [1]}, tracking_auto_convert=True, **options)
    exec(code, {"d": d})
    return [f"{change.action} {change.extra.get('location')}" for change in d.tracking_changes()[1:]]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("d.pop('a')", ["remove a"]),
        ("del d['a']", ["remove a"]),
        ("d.setdefault('b', 1)", ["add b"]),
        ("d.setdefault('a', 1)", []),
        ("d.update({'b': 1})", ["add None"]),
        ("d.pop('b', None)", []),
        ("d.copy()", []),
        ("d['child']['x'] = 1", ["add child:x"]),
        ("d['m'] = [1]", ["add m"]),
        ("d['l'].extend([3, 4])", ["add l"]),
        ("d.lock(); d.unlock()", ["lock None", "unlock None"]),
        ("d |= {'b': 1}", ["add None"]),
        ("d['l'][0:1] = []", ["remove l"]),
    ],
)
def test_what_is_recorded(code: str, expected: list[str]) -> None:
    """Each statement that changes data is one change, named for its effect."""
    assert expected == recorded(code)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("d.pop('b')", KeyError),
        ("d.copy(untracked=True)", TypeError),
        ("d['l'].append(item=1)", TypeError),
        ("d['l'].sort(None)", TypeError),
        ("d.changes_since(None)", TypeError),
        ("d.lock(); d['child']['x'] = 1", RuntimeError),
        ("d.last_change().actor = 'x'", AttributeError),
        ("d.tracking_remove_observer(print)", ValueError),
        ("type(d)(tracking_parent=None)", TypeError),
    ],
)
def test_what_is_refused(code: str, error: type[Exception]) -> None:
    """Calls that the builtin refuses, or that can no longer work, raise."""
    with pytest.raises(error):
        recorded(code)


# ---- its logs

LOGS = pathlib.Path(__file__).parents[1] / "fixtures" / "0.1.0"
SHOWN = {
    "json_file_observer": """\
add 2 -> c
add 0 -> z
update 0 ['z'] -> y
remove 3 c ->
remove 1 a ->
update (root)
update (root)
remove (root) ['y', 'b'] ->
""",
    "json_lines_exporter": """\
importer add status -> ready
update status -> done
init profile -> {'score': 1}
update profile:score -> 1
add profile -> {'score': 1}
update profile:score -> 5
init ports -> [80]
update ports|0 [80] -> 80
add ports -> [80]
add ports|1 -> 81
add ports|2,3 -> [82, 83]
update (root) ['done'] -> {'status': 'late', 'size': 3}
update color -> red
update color red ->
remove size 3 ->
update status late ->
lock profile
lock ports
lock (root)
unlock profile
unlock ports
unlock (root)
copy (root)
remove (root) [1, {'score': 5}, [80, 81, 82, 83]] ->
""",
    "kafka_exporter": """\
update name alpha -> beta
lock name
unlock name
""",
    "s3_exporter": """\
File "/app/pydatatracker/utils/changelog.py", line 122, in __init__ add port -> 80
File "/app/pydatatracker/utils/changelog.py", line 122, in __init__ update port -> 8080
""",
}


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_logs_that_0_1_0_wrote_are_shown(name: str, tmp_path: pathlib.Path) -> None:
    """Logs of 0.1.0 are shown, with location and values as text.

    They were written by its exporters and its observer. The actor is shown as the log has it.
    """
    done = run("show", LOGS / f"{name}.jsonl", cwd=tmp_path)
    lines = [" ".join(line.split()[2:]) for line in done.stdout.splitlines()]
    assert (SHOWN[name].splitlines(), "", 0) == (lines, done.stderr, done.returncode)


def test_every_log_of_0_1_0_is_tried() -> None:
    """Every log in the folder is in the table."""
    assert sorted(SHOWN) == sorted(path.stem for path in LOGS.glob("*.jsonl"))
