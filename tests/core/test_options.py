"""Options: equal for every kind, checked, and inherited by children."""

from __future__ import annotations

import ast
import pathlib
import pickle
import re
import weakref
from typing import Any

import pytest

import pydatatracker
from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core, track


class Thing(TrackedAttr):
    pass


KINDS = [TrackedDict, TrackedList, TrackedSet, Thing]


def change(container: Any, n: int) -> None:
    if isinstance(container, dict):
        container["a"] = n
    elif isinstance(container, list):
        container.append(n)
    elif isinstance(container, set):
        container.add(n)
    else:
        container.a = n


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_names_the_nearest_one(kind: Any) -> None:
    """An unknown option is a TypeError that names the nearest one."""
    with pytest.raises(TypeError, match="tracking_max_change'.*tracking_max_changes"):
        kind(tracking_max_change=5)
    with pytest.raises(TypeError, match="tracking_auto_convert"):
        kind(tracking_autoconvert=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"tracking_max_changes": -1},
        {"tracking_max_changes": 1.5},
        {"tracking_max_changes": True},
        {"tracking_auto_convert": 1},
        {"tracking_capture_snapshots": "yes"},
        {"tracking_capture_stack": -1},
        {"tracking_capture_stack": "x"},
        {"tracking_keep_values": None},
        {"tracking_observer_errors": "ignore"},
        {"tracking_name": 5},
    ],
)
def test_a_wrong_value_is_refused(kind: Any, options: Any) -> None:
    """A wrong value is a TypeError that names the option."""
    with pytest.raises(TypeError, match=next(iter(options))):
        kind(**options)


@pytest.mark.parametrize("kind", KINDS)
def test_name_and_uuid(kind: Any) -> None:
    """A name is kept; the id is 32 hex digits and unique."""
    one, two = kind(tracking_name="one"), kind()
    assert (one.tracking_name, two.tracking_name) == ("one", None)
    assert len(one.tracking_uuid) == len(two.tracking_uuid) == 32
    assert one.tracking_uuid == one.tracking_uuid != two.tracking_uuid


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("limit", "kept", "dropped"), [(0, 0, 10), (1, 1, 9), (7, 7, 3), (10, 10, 0), (None, 10, 0)])
def test_the_ring_has_a_limit(kind: Any, limit: Any, kept: int, dropped: int) -> None:
    """tracking_max_changes limits the ring: 0 keeps none, None all.

    What was dropped is counted.
    """
    container = kind(tracking_max_changes=limit)
    for n in range(10):
        change(container, n)
    changes = [c for c in container.tracking_changes() if c.action != "init"]
    assert [c.after for c in changes] == list(range(10 - kept, 10))
    assert container.tracking_dropped == dropped
    assert (len(container.tracking_changes()) == kept + 1) == (dropped == 0)
    container._check()


def test_the_default_ring_holds_4096_changes() -> None:
    """The ring keeps 4096 changes by default; most_recent returns the newest."""
    items = TrackedList()
    for n in range(5000):
        items.append(n)
    assert len(items.tracking_changes()) == 4096
    assert items.tracking_dropped == 904
    assert [c.after for c in items.tracking_changes(2)] == [4998, 4999]
    assert items.tracking_changes(most_recent=0) == []
    assert [c.action for c in TrackedList([1]).tracking_changes(5)] == ["init"]


def test_children_inherit_options() -> None:
    """A child inherits the options that it does not set, at any depth."""
    doc = track({"a": {"b": []}}, tracking_capture_stack=True, tracking_keep_values=True)
    doc["a"]["b"].append({"x": 1})
    assert type(doc["a"]["b"][0]) is TrackedDict
    doc["a"]["b"][0]["x"] = 2
    assert doc.last_change().stack[-1].name == "test_children_inherit_options"
    own = TrackedDict(tracking_capture_stack=False)
    doc["own"] = own
    own["x"] = 1
    assert list(doc.last_change().stack) == []


def test_options_are_not_items_and_other_keywords_are() -> None:
    """The constructor takes options; update stores any keyword as an item."""
    d = TrackedDict({"tracking_name": 1}, a=2, tracking_name="n")
    assert d == {"tracking_name": 1, "a": 2}
    d.update(tracking_max_changes=3)
    assert d["tracking_max_changes"] == 3
    with pytest.raises(TypeError, match="keyword"):
        TrackedList(a=1)
    with pytest.raises(TypeError):
        TrackedSet(a=1)
    with pytest.raises(TypeError):
        d.__init__(tracking_max_changes=3)


def test_class_keywords_of_attributes() -> None:
    """Class keywords set options for all instances; __init__ overrides them."""

    class Account(TrackedAttr, tracking_max_changes=2, tracking_auto_convert=False):
        pass

    class Sub(Account, tracking_capture_stack=1):
        pass

    account = Account()
    for n in range(5):
        account.n = n
    account.rows = []
    assert (len(account.tracking_changes()), type(account.rows)) == (2, list)
    sub = Sub(tracking_max_changes=3)
    for n in range(5):
        sub.n = n
    assert (len(sub.tracking_changes()), len(sub.last_change().stack)) == (3, 1)
    with pytest.raises(TypeError, match="tracking_max_changes"):

        class Wrong(TrackedAttr, tracking_max_change=2):
            pass

    with pytest.raises(TypeError):

        class Named(TrackedAttr, tracking_name="x"):
            pass


def test_keep_values_false_keeps_text() -> None:
    """Without kept values, before and after are texts; small scalars stay.

    The container itself is unchanged.
    """

    class Big:
        pass

    d = TrackedDict(tracking_keep_values=False)
    big = Big()
    ref = weakref.ref(big)
    d["a"] = big
    d["a"] = [1, 2]
    d["a"] = 5
    del big
    assert ref() is None
    assert [str(c.after) for c in d.tracking_changes()[1:]] == ["<Big>", "[1, 2]", "5"]
    assert d.last_change().after == 5
    assert d.last_change().extra["value"] == "5"


def test_type_checkers_know_every_option() -> None:
    """The types of the constructors name every option, with the same type.

    TrackedDict has to repeat them beside ``**kwargs``: Python's typing allows one ``**`` alone.
    """
    root = pathlib.Path(pydatatracker.__file__).parent
    stub = ast.parse((root / "_core.pyi").read_text("utf-8"))
    table = next(each for each in stub.body if isinstance(each, ast.ClassDef) and each.name == "TrackingOptions")
    types = {each.target.id: ast.unparse(each.annotation) for each in table.body if isinstance(each, ast.AnnAssign)}
    assert sorted(_core.OPTION_NAMES) == sorted(types)
    repeated = [
        {arg.arg: (ast.unparse(arg.annotation), ast.unparse(default)) for arg, default in zip(*lists, strict=True)}
        for each in ast.walk(ast.parse((root / "containers" / "__init__.py").read_text("utf-8")))
        if isinstance(each, ast.FunctionDef) and each.name == "__init__" and len(each.args.kwonlyargs) > 1
        for lists in [(each.args.kwonlyargs, each.args.kw_defaults)]
    ]
    assert 3 == len(repeated)
    assert repeated[0] == repeated[1] == repeated[2]
    assert types == {name: annotation for name, (annotation, _) in repeated[0].items()}
    said = {name: ast.literal_eval(default) for name, (_, default) in repeated[0].items()}
    plain, given = (_core.describe(each)[4] for each in (TrackedDict(), TrackedDict(**said)))
    fields = [field for _, field, _, _ in _core.OPTIONS]
    assert len(_core.OPTION_NAMES) - 2 == len(fields)  # the name and tracking_redact are not in that table
    assert [getattr(plain, name) for name in fields] == [getattr(given, name) for name in fields]
    assert plain.redact is given.redact is None


def test_the_reference_has_a_row_for_every_option() -> None:
    """One row for each name in the core's table of options."""
    reference = pathlib.Path(__file__).parents[2] / "docs" / "reference.md"
    rows = re.findall(r"^\| `(tracking_\w+)` \|", reference.read_text("utf-8"), re.MULTILINE)
    assert sorted(_core.OPTION_NAMES) == sorted(row for row in rows if row in _core.OPTION_NAMES)


def test_options_come_back_by_name_as_they_were_given() -> None:
    """A pickle of options has the keyword arguments that were given."""
    options = {
        "tracking_auto_convert": True,
        "tracking_capture_snapshots": True,
        "tracking_capture_stack": 3,
        "tracking_max_changes": None,
        "tracking_keep_values": False,
        "tracking_observer_errors": "raise",
        "tracking_remember_last": True,
        "tracking_follow": True,
        "tracking_untracked": "warn",
    }
    own = _core.own_options(TrackedDict(**options))
    assert own is not None
    assert options == own.__reduce__()[1][1]
    assert pickle.loads(pickle.dumps(own)) == own
    assert set(options) == set(_core.OPTION_NAMES) - {"tracking_name", "tracking_redact"}
    few = _core.own_options(TrackedList(tracking_max_changes=7))
    assert few is not None
    assert {"tracking_max_changes": 7} == few.__reduce__()[1][1]
