"""A redacting tree shows no secret, whenever it was recorded.

A container is changed first, then comes under redaction. Nothing that is read through it, or through the tree, shows
a value at a redacted path.
"""

from __future__ import annotations

import collections
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, tracking_transaction
from pydatatracker._core import Change
from pydatatracker.history.replica import Replica, replay
from pydatatracker.testing import ModifiedError, assert_unmodified
from tests.support.everywhere import Watching, of_answer, of_changes, of_container

SECRET = "s3cr3t"
OPTIONS = [
    {}, {"tracking_auto_convert": True, "tracking_capture_snapshots": True}, {"tracking_keep_values": False},
    {"tracking_max_changes": 4, "tracking_remember_last": True, "tracking_capture_snapshots": True},
]  # fmt: skip


class Point(NamedTuple):
    password: str
    n: int = 0


class Account(TrackedAttr):
    def __init__(self) -> None:
        self.password = SECRET + "0"


class Queue(collections.deque):  # type: ignore[type-arg]
    """It is not converted, and cannot be looked into."""


def use_dict(c: Any) -> None:
    """Record a secret in each form of a record of a dict."""
    c["password"] = SECRET
    c.update(password=SECRET + "1", other=1)
    c["password"] = SECRET + "2"
    inner: dict[str, Any] = {"password": SECRET + "3"}
    c["inner"] = inner
    inner.clear()
    c["rows"] = [{"password": SECRET}]
    c["point"] = Point(SECRET)
    c["queue"] = Queue([SECRET])
    c["tracked"] = child = TrackedDict(password=SECRET + "4")
    child["password"] = SECRET + "5"
    child.pop("password")
    c.pop("rows")
    c |= {"password": 1}
    c[Point(SECRET)] = 1
    c.update({Point(SECRET + "6"): 2, (Point(SECRET),): 3})
    del c["tracked"]


def use_list(c: Any) -> None:
    """Record a secret in each form of a record of a list."""
    c.append({"password": SECRET})
    c.extend([{"password": SECRET + "1"}, 2])
    c[0:1] = [{"password": SECRET + "2"}, Point(SECRET)]
    c[0].clear()
    c.append(TrackedDict(password=SECRET))
    c[-1]["password"] = SECRET + "3"
    c[-1].clear()
    c.sort(key=repr)
    c.reverse()
    c.pop()
    c.clear()


def use_set(c: Any) -> None:
    """Record a secret in each form of a record of a set."""
    c.add(Point(SECRET))
    c |= {Point(SECRET + "1"), frozenset({Point(SECRET)})}
    c.discard(Point(SECRET))
    c.clear()


def use_object(c: Any) -> None:
    """Record a secret in each form of a record of an object."""
    c.password = SECRET
    c.more = {"password": SECRET + "1"}
    c.more = None
    del c.password


MADE: dict[str, tuple[Callable[..., Any], Callable[[Any], None]]] = {
    "dict": (lambda **options: TrackedDict(start={"password": SECRET}, password=SECRET, **options), use_dict),
    "list": (lambda **options: TrackedList([{"password": SECRET}, Point(SECRET)], **options), use_list),
    "set": (lambda **options: TrackedSet([Point(SECRET + "0")], **options), use_set),
    "object": (lambda **options: Account(), use_object),
}
RULES: dict[str, Any] = {"glob": "/**/password", "function": lambda path: path[-1] == "password"}


def tree(c: Any, rule: Any) -> Any:
    return TrackedDict(c=c, tracking_redact=rule)


def grown(c: Any, rule: Any) -> Any:
    root: Any = TrackedDict(tracking_redact=rule)
    root["a"] = TrackedList()
    root["a"].append(c)
    return root


def moved(c: Any, rule: Any) -> Any:
    TrackedDict(c=c).pop("c")
    return tree(c, rule)


def in_two(c: Any, rule: Any) -> Any:
    TrackedDict(c=c, tracking_redact="/unrelated").pop("c")
    other = TrackedDict(c=c)
    root = tree(c, rule)
    root["other"] = other
    return root


def left(c: Any, rule: Any) -> Any:
    tree(c, rule).pop("c")
    return c


WAYS = {"put into a tree": tree, "deeper": grown, "moved": moved, "in two": in_two, "left again": left}


def more_of(container: Any) -> list[str]:
    """Return what a container says in ways that `of_container` does not try."""
    parts = [*of_changes([each for each in (container.last_change(),) if each is not None])]
    pointers = {change.pointer for change in container.tracking_changes()} | {"", "/c", "/c/password", "/password"}
    for pointer in sorted(pointers):
        parts += of_changes(container.tracking_history(pointer))
    changes = container.tracking_changes()
    try:
        replica = Replica({})
        for change in changes:
            replica.apply(change)
        parts.append(repr(replica.value))
        parts.append(repr(replay(changes)))
    except (ValueError, TypeError, LookupError) as error:
        parts.append(f"{error} {error!r}")
    return parts


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "snapshots", "no values", "ring"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("kind", MADE)
def test_what_was_recorded_before_the_rules_is_withheld_too(
    kind: str, rule: Any, way: Any, options: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """No way to read a redacting tree, or a part, shows an earlier secret."""
    make, use = MADE[kind]
    c = make(**options)
    use(c)
    held = c.tracking_changes()
    root = way(c, rule)
    watching = Watching(root, tmp_path)
    said = [*of_container(c), *more_of(c), *more_of(root)]
    for entries in (held, list(c.tracking_blame().values())):
        for change in entries:
            said += [json.dumps(change.to_dict()), json.dumps(change.extra), repr(change), change.format_detailed()]
            said.append(repr((change.before, change.after, change.splice, change.changes, change.path, change.tree)))
    said.append(watching.text())  # now, because a change that is held refers to data, which undo restores
    for act in (c.tracking_undo, c.tracking_redo):
        try:
            act()
        except (RuntimeError, LookupError) as error:
            said.append(f"{error} {error!r}")
    said.append(of_answer(lambda: c.tracking_revert(path="/**")))
    said += [*of_container(c), *more_of(c)]
    watching.close()
    said += [log.read_text("utf-8") for log in watching.logs]
    found = [each for each in said if SECRET in each]
    assert not found, found[0]


def test_undo_restores_what_was_recorded_before_the_rules() -> None:
    """The data is the user's: undo restores it, the records hide it."""
    c: Any = TrackedDict()
    c["password"] = SECRET
    c["password"] = 8
    root = tree(c, "/**/password")
    c.tracking_undo()
    assert {"password": SECRET} == c
    assert not any(SECRET in text for text in of_container(root))


def test_a_test_that_fails_shows_no_earlier_secret() -> None:
    """Assertions see the change after the container came under redaction."""
    c: Any = TrackedDict()
    with pytest.raises(ModifiedError) as caught, assert_unmodified(c):
        c["password"] = SECRET
        root = tree(c, "/**/password")
    assert root
    assert "REDACTED" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_transaction_shows_no_earlier_secret() -> None:
    """The list and the observers of a transaction withhold as well."""
    c: Any = TrackedDict()
    seen: list[Any] = []
    c.tracking_add_observer(seen.append)
    with tracking_transaction() as tx:
        c["password"] = SECRET
        root = tree(c, "/**/password")
        assert not any(SECRET in text for text in of_changes(tx.changes))
    assert root
    assert 1 == len(seen)
    assert not any(SECRET in text for text in of_changes([*tx.changes, *seen]))


def test_where_no_rule_reaches_earlier_records_stay_whole() -> None:
    """Values and summaries that no rule names are shown as recorded."""
    c: Any = TrackedDict()
    inner = {"n": 1}
    c["cfg"] = inner
    inner["n"] = 2
    root = TrackedDict(c=c, tracking_redact=["/c/password", "/users/*/password"])
    change: Change = c.tracking_changes()[-1]
    assert {"n": 2} == change.after  # type: ignore[attr-defined]
    assert "{'n': 1}" == change.extra["value"]  # type: ignore[attr-defined]
    assert root


def test_a_summary_made_under_the_rules_is_kept() -> None:
    """A summary of a value, made under the same rules, is shown."""
    root: Any = TrackedDict(users=TrackedList(), tracking_redact="/**/password")
    root["users"].append(TrackedDict())
    user = root["users"][0]
    value = {"n": 1, "password": SECRET}
    user["value"] = value
    value["n"] = 2
    root["users"].insert(0, TrackedDict())  # the path of the user is another one now
    extra = user.last_change().extra
    assert "'n': 1" in extra["value"]
    assert SECRET not in extra["value"]
