"""`track` warns of who else holds a part of the data, and of nothing else."""

from __future__ import annotations

import asyncio
import sys
import types
import warnings
from collections import OrderedDict, deque
from typing import Any

import pytest

from pydatatracker import TrackedDict, track, tracked
from pydatatracker.containers import aliases


@pytest.fixture(autouse=True)
def every_statement_is_new() -> None:
    """Have statements of earlier tests looked at again."""
    aliases._asked.clear()


class Holder:
    """An object with attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slotted:
    """An object without a dict."""

    __slots__ = ("held",)


def by_attribute(part: Any) -> Any:
    return Holder(rows=part)


def by_slot(part: Any) -> Any:
    holder = Slotted()
    holder.held = part
    return holder


def by_list(part: Any) -> Any:
    return Holder(stack=[part])


def by_dict(part: Any) -> Any:
    return Holder(index={"first": part})


def by_default(part: Any) -> Any:
    def function(rows: Any = part) -> Any:
        return rows

    return function


def by_module(part: Any) -> Any:
    module = types.ModuleType("settings_of_a_test")
    module.ROWS = part  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    return module


HOLDERS = {
    by_attribute: "a Holder object as .rows",
    by_slot: "a Slotted object",
    by_list: "a list, a Holder object as .stack",
    by_dict: "a dict as 'first', a Holder object as .index",
    by_default: "a tuple, the function by_default.<locals>.function",
    by_module: "settings_of_a_test.ROWS",
}


@pytest.mark.parametrize("made", [lambda: [1], lambda: {"a": 1}, lambda: {1}, lambda: deque([1]), OrderedDict])
@pytest.mark.parametrize("by", HOLDERS, ids=lambda by: by.__name__)
def test_a_part_that_something_else_holds_is_warned_of(by: Any, made: Any) -> None:
    """The warning names the path, what holds it, and `watch`."""
    data = {"a": [0, {"b": made()}]}
    holder = by(data["a"][1]["b"])  # type: ignore[index]
    with pytest.warns(UserWarning, match=r"at /a/1/b is also held by ") as caught:
        track(data)
    sys.modules.pop("settings_of_a_test", None)
    text = str(caught[0].message)
    assert HOLDERS[by] in text
    assert "use watch(x)" in text
    assert caught[0].filename == __file__
    assert holder is not None


def test_a_tuple_in_the_data_itself_holds_it_too() -> None:
    """A tuple is not converted, so what it holds is not the tracked twin."""
    part = [1]
    data = {"list": part, "tuple": (part,)}
    del part
    with pytest.warns(UserWarning, match="the list at /list is also held by a tuple"):
        track(data)


def test_variables_are_not_warned_of() -> None:
    """Of functions, closures, generators, modules in execution, calls."""

    def convert(data: Any, part: Any) -> Any:
        return track(data)

    def made() -> tuple[Any, Any]:
        part: list[int] = []
        return {"a": [part]}, part

    def generator() -> Any:
        data, part = made()
        yield track(data)
        yield part

    async def coroutine() -> Any:
        data, part = made()
        await asyncio.sleep(0)
        return track(data), part

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, part = made()
        track(data)
        convert(data, part)
        convert(*made())
        (lambda: (track(data), part))()
        assert [track(data) for _ in [part]]
        walk = generator()
        next(walk)
        asyncio.run(coroutine())
        for _ in part, data:
            track(data)
        space: dict[str, Any] = {"track": track}
        exec("part = []\ndata = {'a': part}\nt = track(data)\nclass C:\n    p = []\n    t = track([p])", space)


def test_what_tools_of_tests_keep_is_not_warned_of() -> None:
    """Hypothesis and pytest keep the arguments of a test."""
    keeps = type("Keeps", (Holder,), {"__module__": "hypothesis.internal"})
    data = {"a": [1]}
    keeper = keeps(key=data["a"], more=(data["a"],))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        track(data)
    aliases._asked.clear()
    holder = Holder(rows=data["a"])
    with pytest.warns(UserWarning, match="a Holder object as .rows"):
        track(data)
    assert holder
    assert keeper


def test_the_argument_itself_is_not_warned_of() -> None:
    """Its holder is about to replace it."""
    holder = Holder(rows={"a": [1]}, again=None)
    holder.again = holder.rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        holder.rows = track(holder.rows)
    assert type(holder.rows) is TrackedDict


def test_a_part_in_several_places_of_the_data_is_not_warned_of() -> None:
    """All of them get the same twin."""

    def data() -> Any:
        part = [1]
        made = {"a": part, "b": [part, {"c": part}], "d": deque([part]), "e": OrderedDict(f=part)}
        made["itself"] = made  # type: ignore[assignment]
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = track(data())
    assert made["a"] is made["b"][0] is made["b"][1]["c"] is made["d"][0] is made["e"]["f"]


def test_a_statement_is_looked_at_once() -> None:
    """The look at all objects is not repeated in a loop."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            data = {"a": [1]}
            holder = Holder(rows=data["a"])
            track(data)
    assert len(caught) == 1
    assert holder


@pytest.mark.parametrize("cls", [type("Sub", (dict,), {}), type("Sub", (list,), {}), type("Sub", (deque,), {})])
def test_a_subclass_is_a_case_for_watch(cls: type) -> None:
    """The error says so."""
    with pytest.raises(TypeError, match=r"Sub is a subclass of (dict|list|deque); use watch\(x\)"):
        track(cls())


def test_a_class_that_cannot_be_tracked_is_a_case_for_watch() -> None:
    """As with pydantic, whose metaclass refuses the base."""

    class Meta(type):
        def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any) -> Any:
            if len(bases) > 1:
                raise TypeError("only one base")
            return super().__new__(cls, name, bases, space)

    class Model(metaclass=Meta):
        pass

    with pytest.raises(TypeError, match=r"\(only one base\); use watch\(Model\)"):
        tracked(Model)


def test_a_graph_of_networkx_is_warned_of() -> None:
    """The in-edges and out-edges of a DiGraph share the data of each edge."""
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph()
    graph.add_edge("a", "b", weight=1)
    with pytest.warns(UserWarning, match=r"the dict at /a/b is also held by a dict as 'a'.*use watch"):
        graph._adj = track(graph._adj)
