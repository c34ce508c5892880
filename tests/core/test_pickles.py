"""Pickles and copies of errors, lines, handles and users' classes."""

from __future__ import annotations

import concurrent.futures
import copy
import copyreg
import multiprocessing
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raising import every_error, make, raise_it

from pydatatracker import (
    MISSING,
    TrackedAttr,
    TrackedChangeError,
    TrackedDict,
    TrackedList,
    TrackedSet,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.exporters import JsonLinesExporter, Stats
from pydatatracker.io import ChangeWriter, LogLine, read_changes
from pydatatracker.observers import ChangeCollector, json_file_observer
from pydatatracker.observers.async_ import changes
from pydatatracker.testing import assert_unmodified, expect_changes
from pydatatracker.values.standins import REDACTED, Cut, RedactedDict, RedactedList, Ref, Repr

WAYS: list[Any] = [copy.copy, copy.deepcopy] + [
    (lambda protocol: lambda value: pickle.loads(pickle.dumps(value, protocol)))(n)
    for n in range(pickle.HIGHEST_PROTOCOL + 1)
]
way = pytest.mark.parametrize("way", WAYS)


# ---- errors


def facts_of(error: BaseException) -> Any:
    return type(error), str(error), error.args, {k: repr(v) for k, v in error.__dict__.items()}


@way
@pytest.mark.parametrize("name", sorted(every_error()))
def test_every_error_goes_through_pickle_and_copy(name: str, way: Any) -> None:
    """Every public error keeps its type, text, attributes and notes."""
    error = make(name)
    assert facts_of(error) == facts_of(way(error))


def caught() -> dict[str, BaseException]:
    """Return errors as the library raises them, with all that they hold."""
    data = TrackedDict(a=1, tracking_capture_stack=5)
    found: dict[str, BaseException] = {}

    def note(act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:
            found[type(error).__name__] = error

    def unmodified() -> None:
        with assert_unmodified(data):
            data["a"] = 2

    def expected() -> None:
        with expect_changes(data, {"/a": (1, 2)}):
            data["b"] = {"c": {1, 2}}

    def conflict() -> None:
        with tracking_transaction():
            data["a"] = 3
            dict.__setitem__(data, "a", 4)
            raise ValueError

    def refused() -> None:
        with data.tracking_break("/**", do="raise"):
            data["a"] = 5

    for act in (unmodified, conflict, refused, lambda: data.tracking_apply_patch([{"op": "remove", "path": "/x"}])):
        note(act)
    found["expect_changes"] = found.pop("ModifiedError")
    note(expected)
    return found


@way
def test_errors_go_through_as_they_are_raised(way: Any) -> None:
    """Errors keep their changes and stacks by every protocol."""
    for error in caught().values():
        error.__dict__["own"] = {"kept": True}
        gone = way(error)
        assert facts_of(error) == facts_of(gone)
        assert [str(change) for change in getattr(error, "changes", ())] == [
            str(change) for change in getattr(gone, "changes", ())
        ]
        assert [stack.format() for stack in getattr(error, "stacks", ())] == [
            stack.format() for stack in getattr(gone, "stacks", ())
        ]


@way
def test_what_the_library_returns_goes_through(tmp_path: Path, way: Any) -> None:
    """Changes, differences, states and stand-ins go through every protocol."""
    data = TrackedDict(a=1, l=TrackedList([{1: 2}]), s=TrackedSet([1]), tracking_capture_stack=5, tracking_name="n")
    with tracking_actor("eve", reason=1):
        data["a"] = 2
        data["l"].append(frozenset({1}))
    net = data.tracking_net_changes()
    dict.__setitem__(data, "a", 9)
    returned = [
        *data.tracking_changes(), *net, data.tracking_verify(), data.tracking_state_at(0), data.tracking_patch(),
        data, data["l"], MISSING, REDACTED, RedactedDict(a=REDACTED), RedactedList([REDACTED]), tracking_actor("a"),
        Cut(9, "str", "a"), Ref("/a"), Repr("x", "y"), Stats(*range(8), None), *read_changes_of(data, tmp_path), ChangeCollector(),
    ]  # fmt: skip
    for each in returned:
        gone = way(each)
        if isinstance(each, ChangeLogEntry):
            assert each.to_dict() == gone.to_dict()
        else:
            assert shown(each) == shown(gone)


def shown(value: Any) -> str:
    """Return the text of a value without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def read_changes_of(data: TrackedDict[str, Any], folder: Path) -> list[Any]:
    with ChangeWriter(folder / "log.jsonl") as writer:
        for change in data.tracking_changes():
            writer.write(change)
    return list(read_changes(folder / "log.jsonl"))


def test_every_error_comes_out_of_a_process_pool() -> None:
    """An error raised in a worker is raised in the caller, with attributes."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        for name in sorted(every_error()):
            error = pool.submit(raise_it, name).exception(timeout=60)
            expected = make(name)
            assert type(error) is type(expected)
            assert str(error) == str(expected)
            assert expected.__dict__.keys() == error.__dict__.keys()


def newest(data: TrackedDict) -> Any:
    data["a"] = 1
    return data.last_change()


class Refused(TrackedChangeError):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}", newest(TrackedDict()))
        self.one = one


@way
def test_a_subclass_of_an_error_needs_nothing(way: Any) -> None:
    """A user's error class with other arguments goes through as well."""
    error = Refused(1, 2)
    copied = way(error)
    assert facts_of(error) == facts_of(copied)
    assert (1, "1 and 2") == (copied.one, str(copied))


# ---- other public objects


def lines(folder: Path) -> list[LogLine]:
    path = folder / "changes.jsonl"
    data = TrackedDict()
    with ChangeWriter(path) as writer:
        data.tracking_add_observer(writer.write)
        data["a"] = (1, {2})
    others = '{"extra":{"action":"add","location":"a"}}\n{"v":1,"action":"gap","gap":[3,4]}\n'
    path.write_text(path.read_text() + others)
    return list(read_changes(path))


@way
def test_a_line_of_a_log_goes_through(tmp_path: Path, way: Any) -> None:
    """A line keeps its bytes, its position and everything read from it."""
    for line in lines(tmp_path):
        copied = way(line)
        assert type(line) is type(copied)
        for name in [name for name in dir(line) if not name.startswith("_") and name != "head"]:
            if not callable(getattr(line, name)):
                assert getattr(line, name) == getattr(copied, name), name


@way
def test_an_actor_goes_through_while_its_block_is_open(way: Any) -> None:
    """A copy of an actor has the same actor and context, and no open block."""
    data = TrackedDict()
    with tracking_actor("ann", reason="test") as actor, way(actor):
        data["a"] = 1
    assert ("ann", {"reason": "test"}) == (data.last_change().actor, dict(data.last_change().context))


HANDLES: dict[str, Callable[[Path], Any]] = {
    "ChangeWriter": ChangeWriter,
    "ChangeReader": lambda path: read_changes(path),
    "JsonFileObserver": lambda path: json_file_observer(path),
    "JsonLinesExporter": JsonLinesExporter,
    "tracking_transaction": lambda path: tracking_transaction(),
    "Break": lambda path: TrackedDict().tracking_break("/a", do="log"),
    "assert_unmodified": lambda path: assert_unmodified(TrackedDict()),
    "changes": lambda path: changes(TrackedDict()),
}


@way
@pytest.mark.parametrize("name", HANDLES)
def test_a_handle_refuses(tmp_path: Path, name: str, way: Any) -> None:
    """What is open here says that it cannot be copied or pickled."""
    path = tmp_path / "changes.jsonl"
    path.touch()
    handle = HANDLES[name](path)
    with pytest.raises(TypeError, match=f"cannot copy or pickle a {name}, which is in use"):
        way(handle)
    if hasattr(handle, "close"):
        handle.close()


class Reopened(ChangeWriter):
    def __reduce__(self) -> Any:
        return Reopened, (self.name,)


def test_a_subclass_of_a_handle_may_know_how(tmp_path: Path) -> None:
    """A user's handle class that defines how it is pickled is pickled so."""
    with Reopened(tmp_path / "a.jsonl") as writer, pickle.loads(pickle.dumps(writer)) as copied:
        assert writer.name == copied.name
        assert writer.fileno() != copied.fileno()


# ---- what a user's class defines


class Plain:
    """The same definitions on plain subclasses of the builtins."""


def family(base: type) -> dict[str, type]:
    """Return subclasses, one per way to define copying."""

    class NewArguments(base):  # type: ignore[misc,valid-type]
        def __new__(cls, need: Any) -> Any:
            return super().__new__(cls)

        def __init__(self, need: Any) -> None:
            super().__init__()
            self.need = need

        def __getnewargs__(self) -> Any:
            return (self.need,)

    class NewKeywords(base):  # type: ignore[misc,valid-type]
        def __new__(cls, *, need: Any) -> Any:
            return super().__new__(cls)

        def __init__(self, *, need: Any) -> None:
            super().__init__()
            self.need = need

        def __getnewargs_ex__(self) -> Any:
            return (), {"need": self.need}

    class Reduce(base):  # type: ignore[misc,valid-type]
        def __reduce__(self) -> Any:
            return _made_by_reduce, (type(self), "reduce"), {"note": self.note}

    class ReduceEx(base):  # type: ignore[misc,valid-type]
        def __reduce_ex__(self, protocol: Any) -> Any:
            return _made_by_reduce, (type(self), "reduce_ex"), {"note": self.note}

    class State(base):  # type: ignore[misc,valid-type]
        def __getstate__(self) -> Any:
            return [self.note, "state"]

        def __setstate__(self, state: Any) -> None:
            self.note = state

    class NoState(base):  # type: ignore[misc,valid-type]
        def __getstate__(self) -> Any:
            return None

    class Copy(base):  # type: ignore[misc,valid-type]
        def __copy__(self) -> Any:
            return "copied"

        def __deepcopy__(self, memo: Any) -> Any:
            return "copied deeply"

    class Registered(base):  # type: ignore[misc,valid-type]
        pass

    copyreg.pickle(Registered, _by_copyreg)
    found = {name: cls for name, cls in locals().items() if isinstance(cls, type) and name != "base"}
    for name, cls in found.items():
        cls.__qualname__ = f"{base.__name__}_{name}"
        globals()[cls.__qualname__] = cls
    return found


def _made_by_reduce(cls: type, how: str) -> Any:
    made = cls.__new__(cls)
    made.how = how
    return made


def _by_copyreg(value: Any) -> Any:
    return _made_by_reduce, (type(value), "copyreg"), {"note": value.note}


PAIRS = {
    base.__name__: (family(base), family(tracked))
    for base, tracked in [(dict, TrackedDict), (list, TrackedList), (set, TrackedSet), (Plain, TrackedAttr)]
}
# which ways do not know __getnewargs__ or __getnewargs_ex__ on a subclass of the builtin
UNKNOWN_TO: dict[str, dict[str, list[Any]]] = {
    "dict": {"NewKeywords": WAYS[2:6]},
    "list": {"NewKeywords": WAYS[2:6]},
    "set": {"NewArguments": WAYS, "NewKeywords": WAYS},
    "Plain": {"NewArguments": WAYS[2:4], "NewKeywords": WAYS[2:6]},
}
CASES = [(kind, name) for kind, (plain, _) in PAIRS.items() for name in plain]


def facts(value: Any) -> Any:
    if isinstance(value, str):
        return value
    items = dict(value) if isinstance(value, dict) else sorted(value) if isinstance(value, (list, set)) else None
    return items, dict(value.__dict__), type(value).__name__


@way
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_a_class_defines_is_honoured(kind: str, name: str, way: Any) -> None:
    """A subclass is copied and pickled as one of the builtin would be."""
    if name in UNKNOWN_TO.get(kind, {}) and way in UNKNOWN_TO[kind][name]:
        pytest.skip("the builtin ignores it, or fails")
    results = []
    for cls in (PAIRS[kind][0][name], PAIRS[kind][1][name]):
        made = cls(need="x") if name == "NewKeywords" else cls("x") if name == "NewArguments" else cls()
        made.note = "n"
        if kind == "dict":
            made["a"] = 1
        elif kind == "list":
            made.append(1)
        elif kind == "set":
            made.add(1)
        results.append(way(made))
    plain, tracked = results
    assert facts(plain) == facts(tracked)
    if not isinstance(tracked, str):
        tracked._check()
        tracked.note = "later"


@way
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("name", ["NewArguments", "NewKeywords"])
def test_arguments_of_new_are_kept_by_every_way(kind: str, name: str, way: Any) -> None:
    """A class whose __new__ needs arguments is copied and pickled."""
    cls = PAIRS[kind][1][name]
    made = cls(need=("x",))
    copied = way(made)
    assert (cls, ("x",)) == (type(copied), copied.need)
    copied._check()


class Extended(TrackedDict):
    def __reduce_ex__(self, protocol: Any) -> Any:
        function, args, *rest = super().__reduce_ex__(protocol)
        return _extended, (function, args), *rest


class Reduced(TrackedDict):
    def __reduce__(self) -> Any:
        function, args, *rest = super().__reduce__()
        return _extended, (function, args), *rest


def _extended(function: Any, args: Any) -> Any:
    made = function(*args)
    made.extended = True
    return made


@way
@pytest.mark.parametrize("cls", [Extended, Reduced])
def test_a_class_can_extend_what_ours_returns(cls: Any, way: Any) -> None:
    """A reduce method that calls super() works with pickle and with copy."""
    made = cls(a=TrackedList([1]))
    copied = way(made)
    assert (made, True, cls) == (copied, copied.extended, type(copied))
    copied["a"].append(2)
    assert ("a", 1) == copied.last_change().path


# ---- YAML


class Settings(TrackedDict):
    pass


class Thing(TrackedAttr):
    pass


def tree() -> Any:
    thing = Thing()
    thing.tags = ["x"]
    data = TrackedDict(
        {"a": TrackedList([1, TrackedSet([2])]), "t": (1, 2), "thing": thing, "s": Settings(b=1)},
        tracking_max_changes=7,
        tracking_name="config",
        tracking_redact=["/**/password"],
    )
    data["s"].note = "kept"
    return data


@pytest.mark.parametrize("dumper", ["Dumper", "CDumper"])
def test_yaml_loads_again_what_it_dumped(dumper: str) -> None:
    """yaml.unsafe_load makes again what yaml.dump wrote, and it records."""
    yaml = pytest.importorskip("yaml")
    original = tree()
    text = yaml.dump(original, Dumper=getattr(yaml, dumper))
    loaded = yaml.unsafe_load(text)
    assert type(original) is type(loaded)
    assert {k: v for k, v in original.items() if k != "thing"} == {k: v for k, v in loaded.items() if k != "thing"}
    assert (["x"], TrackedList) == (loaded["thing"].tags, type(loaded["thing"].tags))
    assert ("kept", Settings) == (loaded["s"].note, type(loaded["s"]))
    assert ("config", ["init"]) == (loaded.tracking_name, [c.action for c in loaded.tracking_changes()])
    loaded["a"][1].add(3)
    assert "/a/1/3" == loaded.last_change().pointer
    loaded["s"]["password"] = "s3cr3t"
    assert "s3cr3t" not in str(loaded.last_change().to_dict())
    loaded._check()


@pytest.mark.parametrize("cls", [Extended, Reduced])
def test_yaml_honours_a_reduce_method(cls: Any) -> None:
    """A reduce method of a user's class decides about YAML too."""
    yaml = pytest.importorskip("yaml")
    loaded = yaml.unsafe_load(yaml.dump(cls(a=1)))
    assert ({"a": 1}, True) == (loaded, loaded.extended)
    loaded["a"] = 2
    assert "/a" == loaded.last_change().pointer


def test_safe_yaml_refuses_tracked_data_and_takes_plain_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """yaml.safe_dump refuses tracked data, and writes a plain state of it."""
    yaml = pytest.importorskip("yaml")
    data = TrackedDict(a=TrackedList([1]))
    # as where pydatatracker.integrations.yaml was not imported
    monkeypatch.setattr(yaml.representer.SafeRepresenter, "yaml_multi_representers", {})
    with pytest.raises(yaml.representer.RepresenterError, match="cannot represent an object"):
        yaml.safe_dump(data)
    assert {"a": [1]} == yaml.safe_load(yaml.safe_dump(data.tracking_state_at(data.last_change())))
