"""Data that is deeper than the stack, and graphs, as text and as data."""

from __future__ import annotations

import collections
from typing import Any

import pytest
from builds import FREE_THREADED
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import TrackedDict, _core, track, watch
from pydatatracker.values.text import text

DEEP = 100_000


def chain(depth: int) -> dict[str, Any]:
    """Return dicts in each other."""
    root: dict[str, Any] = {}
    at = root
    for _ in range(depth):
        at["k"] = at = {}
    return root


LEAVES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.frozensets(st.integers(), max_size=2))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(max_size=2), st.tuples(st.integers())), inner, max_size=3),
        st.lists(inner, max_size=3).map(track),
        st.dictionaries(st.text(max_size=2), inner, max_size=3).map(collections.OrderedDict),
    ),
)


@given(VALUES, st.integers(-5, 60))
def test_the_start_of_a_repr(value: Any, room: int) -> None:
    """It is all of repr(), or a start of it that is long enough."""
    whole = repr(value)
    start = _core.start_of_repr(value, room)
    assert whole.startswith(start)
    assert len(start) >= min(room, len(whole))
    assert whole == _core.start_of_repr(value, len(whole) + 1)


class Back:
    """Shows what it is in, but not twice."""

    def __init__(self, within: Any) -> None:
        self.within, self.busy = within, False

    def __repr__(self) -> str:
        if self.busy:
            return "again"
        self.busy = True
        try:
            return f"Back({self.within!r})"
        finally:
            self.busy = False


def test_what_holds_itself_is_shown_as_repr_does() -> None:
    """Also where a __repr__ leads back to a container that is being shown."""
    loop: list[Any] = []
    loop += [loop, (loop,), {"loop": loop}, Back(loop)]
    pair: Any = ([], {})
    pair[0].append(pair)
    pair[1]["pair"] = pair
    tracked = TrackedDict()
    tracked["me"] = tracked
    for value in (loop, pair, tracked, Back(pair)):
        assert repr(value) == _core.start_of_repr(value, 10_000) == text(value)


def test_a_container_that_its_repr_changes() -> None:
    """What is left is shown."""

    class Emptying:
        def __repr__(self) -> str:
            many.clear()
            return "gone"

    many: Any = [Emptying(), 1, 2]
    assert "[gone]" == _core.start_of_repr(many, 100)
    many = {Emptying(): 1, 2: 3}
    if FREE_THREADED:  # a copy is shown, because others could change the dict meanwhile
        assert "{gone: 1, 2: 3}" == _core.start_of_repr(many, 100)
        return
    assert "{gone: 1}" == _core.start_of_repr(many, 100)


def test_the_text_of_a_graph_is_bounded() -> None:
    """Of 40 nodes that all refer to each other, nobody can visit each path."""
    nodes: list[Any] = [{"n": n} for n in range(40)]
    for node in nodes:
        node["all"] = list(nodes)
    made = text(nodes[0])
    assert 100_003 == len(made)
    assert made.startswith("{'n': 0, 'all': [{...}, {'n': 1, 'all': [{...}, {...}, {'n': 2,")


def test_an_error_of_a_repr_is_named() -> None:
    """Whatever it is in, and what is too deep has one, too."""

    class Broken:
        def __repr__(self) -> str:
            raise LookupError

    assert "<list: repr raised LookupError>" == text([(1, {"a": Broken()})])
    assert "<dict: repr raised RecursionError>" == text(chain(DEEP))


def test_track_refuses_what_is_deeper_than_the_stack() -> None:
    """With a RecursionError, and nothing is tracked."""
    with pytest.raises(RecursionError):
        track(chain(DEEP))


@pytest.mark.skipif(_core.can_watch() != 0, reason="watch() needs CPython 3.12 or newer with the GIL")
def test_undo_refuses_what_is_deeper_than_the_stack() -> None:
    """Objects that are gone are made again one in the other."""
    data: dict[str, Any] = {"a": 1}
    with watch(data) as w:
        data["deep"] = chain(DEEP)
        del data["deep"]
        with pytest.raises(RecursionError, match="while objects were made again"):
            w.tracking_undo()
        assert {"a": 1} == data
        data["a"] = 2
        w.tracking_undo()
        assert {"a": 1} == data
