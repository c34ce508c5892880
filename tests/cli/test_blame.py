"""``blame`` and ``history`` of a log agree with its live container."""

from __future__ import annotations

import collections
import copy
import itertools
import json
import pathlib
from typing import Any

import pytest
from gardening import STEPS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rebuilding import Run, by_three, compare_blame, fail, fresh, logged, say, two

from pydatatracker import track
from pydatatracker.cli.replay.logs import Logs
from pydatatracker.cli.replay.rebuilt import Rebuilt
from pydatatracker.cli.replay.roots import Roots
from pydatatracker.cli.root_option import open_roots
from pydatatracker.history.walk import plain_copy
from pydatatracker.observers import json_file_observer
from pydatatracker.values.pointer import to_pointer

__all__ = ["say", "two"]  # the fixtures


# overwriting the oldest record of a full ring frees a container
FREED_WHILE_FULL = [
    *((0, 0, 0, 2), (0, 5, 0, 0), (0, 5, 0, 0), (1, 0, 5, 0), (7, 6, 0, 2), (23, 9, 0, 9), (0, 5, 5, 7)),
    *((17, 0, 0, 0), (20, 0, 0, 0), (6, 3, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    *((0, 3, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 1, 0, 0)),
]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9)), max_size=20))
def test_blame_and_history_of_a_log_are_those_of_its_container(steps: Any) -> None:
    """Blame and history of every path are those of the live container."""
    path = fresh()
    x = by_three(path, steps)
    with Logs([path], fail) as logs, Roots(logs, fail) as roots:
        key = next(iter(roots.by_root))
        compare_blame(x, Rebuilt(roots, key), Rebuilt(roots, key, remember=True))


@settings(max_examples=60, deadline=None)
@given(STEPS)
@example([(2, 3, 7, 0), (2, 3, 4, 0)])  # the keys 1 and "1" in one dict
@example([(9, 3, 6, 0), (28, 3, 9, 0), (14, 0, 0, 8)])  # a tuple with a quote as a key
@example(FREED_WHILE_FULL)
def test_the_last_changes_alone_blame_as_all_of_them_do(steps: Any) -> None:
    """``blame --all`` gives the same with and without older changes.

    The quick way keeps only the last changes. Containers may move, and keys may be tuples.
    """
    path = fresh()
    logged(steps, path)
    with Logs([path], fail) as logs, Roots(logs, fail) as roots:
        for key in roots.by_root:
            both = Rebuilt(roots, key), Rebuilt(roots, key, remember=True)
            whole, short = ({place: line.seq for place, line in each.blame(None)} for each in both)
            assert whole == short
            for place in whole:
                try:
                    both[1].value.tracking_blame(place)
                except ValueError:  # it is the text of several keys: the command names them and ends
                    continue
                assert [whole[place]] == [line.seq for _, line in both[1].blame(place)]


def test_history_and_blame_of_one_path(two: pathlib.Path, say: Run) -> None:
    """History of a path has all its changes, oldest first, as text or JSON.

    A path that was never changed is reported, and is not an error.
    """
    status, out, _ = say("history", two, "/x", "--root", "#1", "--json")
    assert (0, ["ann", None]) == (status, [json.loads(line).get("actor") or None for line in out.splitlines()])
    assert "5" in say("blame", two, "/x", "--root", "#1")[1]
    status, out, err = say("blame", two, "/nothing")
    assert (0, "", True) == (status, out, "/nothing" in err)
    assert 2 == say("blame", two, "x")[0]
    assert 2 == say("blame", two)[0]


def test_the_root_itself_is_blamed_however_long_ago(tmp_path: pathlib.Path, say: Run) -> None:
    """The last change of the root is found behind many changes below it."""
    path = tmp_path / "log.jsonl"
    x = track({"a": {"n": 0}})
    with json_file_observer(str(path)) as observer:
        x.tracking_add_observer(observer)
        x["b"] = "here"
        for n in range(50):
            x["a"]["n"] = n
        x.tracking_remove_observer(observer)
    status, out, err = say("blame", path, "")
    assert (0, True, "") == (status, "here" in out, err)


@pytest.mark.parametrize("kind", [dict, collections.OrderedDict, collections.defaultdict])
@pytest.mark.parametrize("whole", [False, True])
def test_what_an_undo_brings_back_is_followed(kind: Any, whole: bool, tmp_path: pathlib.Path) -> None:
    """Blame below a key that was removed and brought back is the container's.

    The key returns to its place between others, also with others that one call removed.
    """
    path = tmp_path / "log.jsonl"
    made = kind()
    made.update({"l": {"m": [1]}, "k": [[2]], "z": 1})
    x = track(made)
    with json_file_observer(str(path)) as observer:
        observer(x.tracking_changes()[0])
        x.tracking_add_observer(observer)
        if whole:
            x.clear()
        else:
            del x["l"], x["k"]
        x.tracking_undo(1 if whole else 2)
        x["l"]["m"].append(2)
        x["l"]["n"] = 5
        x["k"][0].append(3)
        x.tracking_remove_observer(observer)
    with Logs([str(path)], fail) as logs, Roots(logs, fail) as roots:
        key = next(iter(roots.by_root))
        compare_blame(x, Rebuilt(roots, key), Rebuilt(roots, key, remember=True))
        assert "/k/0/1" in x.tracking_blame()


KEYS = ["a", "b", "c"]
NESTED = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=2))


def has(state: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(state, dict) or key not in state:
            return False
        state = state[key]
    return True


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), NESTED, max_size=2),
    st.lists(st.tuples(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3), st.none() | NESTED), max_size=14),
)
def test_blame_names_a_change_before_or_after_which_the_path_existed(start: Any, steps: Any) -> None:
    """Of every path: the last change at or above it, if the path was there.

    A path that never existed has no answer, below a container or below a value that has no parts; neither has its
    history. So the log, its last changes alone, and a container that remembers them.
    """
    path = fresh()
    start = {**start, "z": 0}  # an empty one has no line
    states: list[Any] = [None, copy.deepcopy(start)]
    x = track(copy.deepcopy(start), tracking_max_changes=None)
    written: list[tuple[str, ...]] = [()]
    with json_file_observer(path) as observer:
        x.tracking_add_observer(observer)
        for keys, value in steps:
            held = x
            for key in keys[:-1]:
                held = held.get(key) if isinstance(held, dict) else None
            if not isinstance(held, dict) or (value is None and keys[-1] not in held):
                continue
            if value is None:
                del held[keys[-1]]
            else:
                held[keys[-1]] = value
            states.append(plain_copy(x))
            written.append(tuple(keys))
        x.tracking_remove_observer(observer)
    if len(written) == 1:  # the log begins with the first change
        return
    every = [keys for size in (1, 2, 3, 4) for keys in itertools.product(KEYS, repeat=size)]
    with open_roots(path) as roots:
        ((key, lines),) = roots.by_root.items()
        whole, short = Rebuilt(roots, key), Rebuilt(roots, key, remember=True)
        for keys in every:
            there = [has(state, keys) for state in states]
            known = [n for n, at in enumerate(written) if keys[: len(at)] == at and (there[n] or there[n + 1])]
            seqs = [lines[n].seq for n in known]
            pointer = to_pointer(keys)
            assert seqs[-1:] == [line.seq for _, line in whole.blame(pointer)], pointer
            assert len(seqs[-1:]) >= len(list(short.blame(pointer))), pointer
            assert bool(seqs) == bool(list(whole.history(pointer)))
            change = x.tracking_blame(pointer)
            assert seqs[-1:] == ([] if change is None else [change.seq])
            assert bool(seqs) == bool(x.tracking_history(pointer))


def test_a_typo_is_no_path(tmp_path: pathlib.Path, say: Run) -> None:
    """A path that never existed has no change, wherever it is."""
    path = tmp_path / "log.jsonl"
    x = track({"prices": {"tea": 1, "l": [1, 2], "s": {3}}, "gone": {"a": {"b": 1}}})
    with json_file_observer(str(path)) as observer:
        x.tracking_add_observer(observer)
        x["prices"]["tea"] = 2
        x["prices"]["l"].insert(0, 7)
        x["prices"]["s"].add(4)
        del x["gone"]["a"]["b"]
        x["gone"]["a"] = {"c": 1}
        x["gone"] = {}
        x.tracking_remove_observer(observer)
    first = x.tracking_changes()[0].seq
    for pointer in ("/nope", "/prices/nope", "/prices/tea/x", "/prices/l/9", "/prices/l/0/x", "/prices/s/9", "/gone/x"):
        for command in ("blame", "history"):
            status, out, err = say(command, path, pointer)
            assert (0, "", f"pydatatracker: the log has no such change at {pointer}\n") == (status, out, err)
    for pointer, seq in (
        ("/prices/l/0", 2),
        ("/prices/l/1", 0),
        ("/prices/s/4", 3),
        ("/gone/a/b", 4),
        ("/gone/a/c", 6),
    ):
        assert [str(first + seq)] == say("blame", path, pointer)[1].split()[3:4], pointer
