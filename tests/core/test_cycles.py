"""Containers that hold each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, _core


class Model(TrackedAttr):
    """A model that has its agents."""

    def __init__(self) -> None:
        self.agents = TrackedList()
        self.steps = 0


class Agent(TrackedAttr):
    """An agent that refers to its model."""

    def __init__(self, model: Model | None) -> None:
        self.model = model
        self.wealth = 1


def roots_of(container: Any) -> set[str]:
    """Return the ids of the roots of a container."""
    return {steps[0][1].uuid for steps in _core.places(container)}


@pytest.mark.parametrize("order", ["refers first", "is held first"])
@pytest.mark.parametrize("count", [1, 2, 60])
def test_a_model_stays_a_root_when_its_agents_refer_to_it(count: int, order: str) -> None:
    """The oldest container of a cycle is on top, so one root has all changes."""
    model = Model()
    agents: list[Any] = []
    for _ in range(count):
        agents.append(Agent(model if order == "refers first" else None))
        model.agents.append(agents[-1])
        agents[-1].model = model
    model.steps = 1
    assert {model.tracking_uuid} == roots_of(model)
    for n, agent in enumerate(agents):
        agent.wealth = n
        assert {model.tracking_uuid} == roots_of(agent)
        assert ("agents", n, "wealth") == model.last_change().path
        agent._check()
    model._check()


def test_a_model_stays_a_root_when_an_agent_leaves() -> None:
    """What was below it and still refers to it is not its parent."""
    model = Model()
    agents: list[Any] = [Agent(model) for _ in range(3)]
    model.agents.extend(agents)
    gone = model.agents.pop(1)
    model.steps = 1
    assert {model.tracking_uuid} == roots_of(model)
    assert ("steps",) == model.last_change().path
    model.agents.append(gone)
    assert {model.tracking_uuid} == roots_of(gone)
    model.agents.remove(gone)
    gone.model = None
    model.steps = 2
    assert {model.tracking_uuid} == roots_of(model) == roots_of(agents[0])
    assert ("wealth",) == (setattr(gone, "wealth", 5), gone.last_change().path)[1]
    for each in (model, *agents):
        each._check()


def test_the_oldest_stays_on_top_of_a_younger_one() -> None:
    """A container that is put below what it holds itself stays the root."""
    top, inner = TrackedDict(), TrackedDict()
    top["in"] = inner
    inner["up"] = top
    inner["x"] = 1
    assert [("in", "x")] == [change.path for change in top.tracking_changes()[-1:]]
    assert {top.tracking_uuid} == roots_of(inner)


def test_who_observes_a_container_hears_of_what_it_holds() -> None:
    """An observed container stays above what it holds.

    Also if that is older and refers back.
    """
    inner = TrackedDict()
    top = TrackedDict(inner=inner)
    heard: list[Any] = []
    top.tracking_add_observer(lambda change: heard.append(change.path))
    inner["up"] = top
    inner["row"] = TrackedList([1])
    top["x"] = inner
    inner["row"].append(2)
    assert [("inner", "up"), ("inner", "row"), ("x",)] == heard[:3]
    assert [("inner", "row")] == [path[:2] for path in heard[3:]]
    top._check()
    inner._check()


def reachable(container: Any) -> set[int]:
    """Return the ids of all containers in a container, its own included."""
    found: dict[int, Any] = {}
    todo = [container]
    while todo:
        each = todo.pop()
        if id(each) not in found:
            found[id(each)] = each
            todo.extend(_core.children(each))
    return set(found)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 6), st.booleans()), max_size=30))
def test_every_holder_is_on_a_path_unless_it_is_below(steps: list[tuple[int, int, int, bool]]) -> None:
    """Only links that close a cycle, or did, have no path."""
    kinds = (TrackedDict, TrackedList, lambda: Agent(None))
    containers: list[Any] = [kinds[n % 3]() for n in range(7)]
    were_in_cycles: set[int] = set()
    for which, key, other, stores in steps:
        target = containers[which]
        stored = containers[other] if stores else 0
        if isinstance(target, TrackedDict):
            target[key] = stored
        elif isinstance(target, TrackedList):
            target[key : key + 1] = [stored]
        else:
            setattr(target, "abcd"[key], stored)
        were_in_cycles |= {id(e) for e in containers if any(id(e) in reachable(child) for child in _core.children(e))}
        for n, each in enumerate(containers):
            each._check()
            above = {id(steps[-2][1].container) for steps in _core.places(each) if len(steps) > 1}
            holders = {id(one) for one in containers if any(child is each for child in _core.children(one))}
            assert above <= holders
            was_below = {id(one) for one in containers[n + 1 :]} if id(each) in were_in_cycles else set()
            assert holders - above <= reachable(each) | was_below
