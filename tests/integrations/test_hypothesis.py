"""The strategies: valid calls, small examples, the same ones every time."""

from __future__ import annotations

import collections
import copy
import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from pydatatracker import (
    ChangeLogEntry,
    Replica,
    TrackedAttr,
    TrackedCounter,
    TrackedDeque,
    TrackedOrderedDict,
    TrackedSet,
    track,
)
from pydatatracker.history.walk import plain_copy
from pydatatracker.integrations.hypothesis import Mutation, Session, changes, json_values, mutations, sessions, values
from pydatatracker.io import parse, to_line

few = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x: Any = 1
        self.tags: Any = {"a": [1]}


@few
@given(sessions(undo=True, actors=("ann", "bob")))
def test_a_session_can_be_run_again(session: Session) -> None:
    """A session runs on tracked data without errors, and the same every time.

    Nothing that it holds is changed by that.
    """
    before = copy.deepcopy(session)
    first = session.run(tracking_name="x")
    seen: list[ChangeLogEntry] = []
    second = session.run(seen.append)
    assert plain_copy(first) == plain_copy(second)
    assert len(first.tracking_changes()) - 1 == len(seen)
    assert before == session
    assert {change.actor for change in seen} <= {"", "ann", "bob"}
    assert second.tracking_verify() is None


@few
@given(sessions(value=values()))
def test_a_replica_follows_every_session(session: Session) -> None:
    """An observer's promise is tested in three lines: a replica follows.

    Also with values that JSON does not have.
    """
    replica = Replica(plain_copy(session.begin()))
    result = session.run(lambda change: replica.apply(json.dumps(change.to_dict())))
    assert plain_copy(result) == replica.value


CONTAINERS: list[Any] = [
    {"a": [1, {"b": {2}}]},
    [1, [2]],
    collections.deque([1]),
    track({"a": [1, {"b": {2}}]}),
    TrackedSet({1}),
    TrackedOrderedDict(a=1),
    TrackedCounter("aab"),
    TrackedDeque([1, 2], maxlen=2),
    Point(),
    track({"empty": []}),
]


@few
@given(st.data())
@pytest.mark.parametrize("container", CONTAINERS, ids=lambda x: type(x).__name__)
def test_a_mutation_is_valid(container: Any, data: st.DataObject) -> None:
    """A mutation of any container can be applied, and names no other one."""
    copied = copy.deepcopy(container)
    mutation = data.draw(mutations(copied))
    assert plain_copy(container) == plain_copy(copied)
    mutation.apply(copied)


def test_mutations_of_something_else() -> None:
    """What cannot be changed is a TypeError."""
    for x in (1, "text", (1,), None):
        with pytest.raises(TypeError, match=r"mutations\(\) takes a dict"):
            mutations(x)


@few
@given(changes(value=values()), changes(read=True))
def test_changes(live: ChangeLogEntry, read: ChangeLogEntry) -> None:
    """Changes have all that changes have, and can be written and read."""
    for change in (live, read):
        assert change.action in ("add", "update", "remove")
        assert change.pointer == parse(to_line(change)).pointer
        assert change.pointer == ChangeLogEntry.from_dict(change.to_dict()).pointer
        assert change.root
        assert repr(change)


@few
@given(json_values())
def test_json_values(value: Any) -> None:
    """JSON values survive `json`."""
    assert value == json.loads(json.dumps(value))


SMALLEST = {
    "any change": (lambda s, c: bool(c), 1),
    "a removal": (lambda s, c: any(each.action == "remove" for each in c), 2),
    "two levels": (lambda s, c: any(len(each.path) > 1 for each in c), 2),
    "three changes of one path": (
        lambda s, c: max(collections.Counter(e.pointer for e in c).values(), default=0) >= 3,
        3,
    ),
    "an actor": (lambda s, c: any(each.actor for each in c), 1),
}


@pytest.mark.parametrize("name", SMALLEST)
def test_a_failing_session_shrinks(name: str) -> None:
    """The smallest session with a property has few calls and small values.

    It is the same one every time.
    """
    condition, steps = SMALLEST[name]

    def holds(session: Session) -> bool:
        seen: list[Any] = []
        session.run(seen.append)
        return bool(condition(session, seen))

    quick = settings(
        max_examples=300, deadline=None, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink]
    )
    strategy = sessions(actors=("ann",))
    found = find(strategy, holds, settings=quick)
    assert steps == len(found.steps)
    assert len(repr(found)) < 120 + 90 * steps
    assert repr(found) == repr(find(strategy, holds, settings=quick))


def test_a_session_is_written_as_it_is_made() -> None:
    """The repr of a session, as Hypothesis prints it, is code that makes it."""
    session = Session(
        {"a": [1]}, (Mutation(("a",), "append", (2,), "ann"), Mutation((), "__setitem__", ("b", {"c": 1})))
    )
    assert session == eval(repr(session))
    assert {"a": [1, 2], "b": {"c": 1}} == session.run()


def test_one_actor_is_not_a_name_for_each_letter() -> None:
    """A str as `actors` is refused, with what to write."""
    with pytest.raises(TypeError, match=r"not a str: actors=\('ann',\)"):
        sessions(actors="ann")
