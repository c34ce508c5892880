"""A path names one item, or there is a clear error; never another item.

Keys such as 1 and "1" have the same text, and so the same pointer.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedSet, track
from pydatatracker.history.apply_patch import PatchError
from pydatatracker.observers import json_file_observer
from pydatatracker.testing import ModifiedError, expect_changes
from pydatatracker.values.pointer import key_text, to_pointer


class Text(str):
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


KEYS: list[Any] = [1, -1, True, 1.5, None, (1, 2), datetime.date(2026, 1, 1), b"a", Text("a")]
other_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{type(key).__name__} {key_text(key)}")
order = pytest.mark.parametrize("first", ["str", "other"])


def both(key: Any, first: str) -> TrackedDict[Any, Any]:
    keys = [key, key_text(key)]
    return TrackedDict(dict.fromkeys(keys if first == "other" else keys[::-1], 0))


@order
@other_key
def test_blame_and_history_name_one_key_or_raise(key: Any, first: str) -> None:
    """A pointer of two keys raises; a tuple of keys names each."""
    d = both(key, first)
    text = key_text(key)
    d[text] = 1
    d[key] = 2
    d[text] = 3
    pointer = to_pointer((key,))
    for act in (d.tracking_blame, d.tracking_history):
        with pytest.raises(ValueError, match=r"is the text of 2 keys of the TrackedDict: .*; give the path as a tuple"):
            act(pointer)
    assert [1, 3] == [change.after for change in d.tracking_history((text,))]
    assert [2] == [change.after for change in d.tracking_history((key,))]
    assert 3 == d.tracking_blame((text,)).after
    assert 2 == d.tracking_blame((key,)).after
    assert {pointer: d.last_change()} == d.tracking_blame()
    d[key] = 4
    assert (key,) == d.tracking_blame()[pointer].path
    del d[text]
    assert 4 == d.tracking_blame(pointer).after  # now it names one
    assert [1, 3] == [change.after for change in d.tracking_history((text,))][:2]
    del d[key]
    assert [(key,)] * 3 == [change.path for change in d.tracking_history(pointer)]  # the one that was there last


@other_key
def test_a_path_through_a_key_names_one_item_or_raises(key: Any) -> None:
    """What lies below one of two keys is not what lies below the other."""
    text = key_text(key)
    d = track({key: {"n": 1}, text: {"n": 2}, "l": [{key: 1}]})
    d[key]["n"] = 3
    d[text]["n"] = 4
    with pytest.raises(ValueError, match="is the text of 2 keys"):
        d.tracking_blame(to_pointer((key, "n")))
    assert 3 == d.tracking_blame((key, "n")).after
    assert 4 == d.tracking_blame((text, "n")).after
    d["l"][0][key] = 5
    assert 5 == d.tracking_blame(("l", 0, key)).after
    assert 5 == d.tracking_blame(to_pointer(("l", 0, key))).after
    assert d.tracking_blame(("l", "0", key)) is None
    assert d.tracking_blame(("none", 0)) is None
    assert "init" == d.tracking_blame(("l", 0)).action
    assert d.tracking_blame(([],)) is None


def test_elements_of_a_set_are_named_by_text_or_exactly() -> None:
    """Elements with the same text raise; a tuple names each."""
    s: TrackedSet[Any] = TrackedSet()
    s.add(1)
    s.add("1")
    with pytest.raises(ValueError, match="is the text of 2 keys of the TrackedSet"):
        s.tracking_blame("/1")
    assert 1 == s.tracking_blame((1,)).after
    assert "1" == s.tracking_blame(("1",)).after


@order
@other_key
def test_a_patch_names_a_str_key_or_raises(key: Any, first: str) -> None:
    """A pointer of a patch never reaches a key that is not a str."""
    pointer, text = to_pointer((key,)), key_text(key)
    d = both(key, first)
    d.tracking_apply_patch([{"op": "replace", "path": pointer, "value": 5}])
    assert (5, 0) == (d[text], d[key])
    del d[text]
    for operation in (
        {"op": "replace", "path": pointer, "value": 1},
        {"op": "remove", "path": pointer}, {"op": "test", "path": pointer, "value": 0},
        {"op": "copy", "from": pointer, "path": "/new"}, {"op": "move", "from": pointer, "path": "/new"},
    ):  # fmt: skip
        with pytest.raises(PatchError, match=r"a pointer names str keys only, so replace the TrackedDict as a whole"):
            d.tracking_apply_patch([operation])
        assert {key: 0} == d
    d.tracking_apply_patch([{"op": "add", "path": pointer, "value": 6}])
    assert {key: 0, text: 6} == d


@order
@other_key
def test_a_patch_of_such_keys_leads_to_the_same_state(key: Any, first: str) -> None:
    """What tracking_patch says of two such keys is applied to the right ones."""
    d = both(key, first)
    copied = TrackedDict(d)
    text = key_text(key)
    d[key] = 1
    d[text] = 2
    d[key] = 3
    d.pop(text)
    d[text] = 4
    copied.tracking_apply_patch(d.tracking_patch())
    assert d == copied
    copied.tracking_apply_patch(d.tracking_patch(inverse=True))
    assert both(key, first) == copied
    assert [((key,), 3), ((text,), 4)] == sorted(
        ((net.path, net.after) for net in d.tracking_net_changes()), key=lambda pair: pair[1]
    )
    with pytest.raises(ValueError, match="cannot be a key of a merge patch"):
        d.tracking_merge_patch()


@order
@other_key
def test_an_assertion_names_one_item_or_raises(key: Any, first: str) -> None:
    """expect_changes refuses a path that names two values."""
    d = both(key, first)
    pointer = to_pointer((key,))
    ambiguous = pytest.raises(ValueError, match="names several values: 2 keys have the text")
    with ambiguous, expect_changes(d, {pointer: (0, 1)}):
        d[key] = 1
    with pytest.raises(ModifiedError, match=r": several keys have this text"), expect_changes(d, {}):
        d[key] = 2
    with expect_changes(d, {"": (..., {key: 3, key_text(key): 0})}):
        d[key] = 3


def test_the_commands_say_so(tmp_path: pathlib.Path) -> None:
    """The commands blame and history end with an error that names the keys."""
    log = tmp_path / "a.jsonl"
    d: TrackedDict[Any, Any] = TrackedDict(a=1)
    with json_file_observer(log) as observer:
        d.tracking_add_observer(observer)
        d[1] = "int"
        d["1"] = "str"
    for command in ("blame", "history"):
        run = subprocess.run(
            [sys.executable, "-m", "pydatatracker", command, str(log), "/1"], capture_output=True, text=True, timeout=60
        )
        assert (2, "") == (run.returncode, run.stdout)
        assert "'1' is the text of 2 keys of the TrackedDict: '1', 1; show --path /1 lists" in run.stderr
    run = subprocess.run(
        [sys.executable, "-m", "pydatatracker", "show", str(log), "--path", "/1", "--json"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ["int", "str"] == [json.loads(line)["after"] for line in run.stdout.splitlines()]
