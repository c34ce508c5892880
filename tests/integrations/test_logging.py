"""Actors in log records, and changes as log records."""

from __future__ import annotations

import json
import logging
import logging.handlers
import pickle
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tracked import everything, write_all

from pydatatracker import TrackedDict, TrackedList, track, tracking_actor, tracking_transaction
from pydatatracker.integrations.logging import LoggingObserver, TrackingFilter


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


@pytest.fixture
def logger() -> Iterator[Any]:
    """Return a logger of this test, with a handler that keeps records."""
    made: Any = logging.Logger("test", logging.DEBUG)
    made.kept = Kept()
    made.addHandler(made.kept)
    return made


def test_a_filter_adds_the_scope_to_each_record(logger: Any) -> None:
    """On a handler or a logger, in blocks, transactions and threads."""
    logger.kept.addFilter(TrackingFilter())
    logger.kept.setFormatter(logging.Formatter("%(tracking_actor)s|%(message)s"))
    logger.info("before")
    with tracking_actor("ann", order=7), tracking_transaction() as block:
        logger.info("in %s", "it")
        thread = threading.Thread(target=logger.info, args=("thread",))
        thread.start()
        thread.join()
    records = logger.kept.records
    assert [
        ("", {}, None), ("ann", {"order": 7}, block.id), ("", {}, None),
    ] == [(r.tracking_actor, r.tracking_context, r.tracking_transaction) for r in records]  # fmt: skip
    assert "ann|in it" == logger.kept.format(records[1])
    assert pickle.loads(pickle.dumps(records[1].__dict__))["tracking_context"] == {"order": 7}


def test_a_record_that_has_the_fields_keeps_them(logger: Any) -> None:
    """As one that came through a queue, from another thread."""
    made: queue.Queue[Any] = queue.Queue()
    handler = logging.handlers.QueueHandler(made)
    handler.addFilter(TrackingFilter())
    logger.addHandler(handler)
    logger.kept.addFilter(TrackingFilter())
    with tracking_actor("ann"):
        logger.info("x")
    record = made.get(timeout=5)
    with tracking_actor("listener"):
        assert TrackingFilter().filter(record)
    assert "ann" == record.tracking_actor


def test_it_filters_by_name_like_every_filter() -> None:
    """An argument is the name of a logger; others are dropped."""
    record = logging.makeLogRecord({"name": "shop.cart"})
    assert TrackingFilter("shop").filter(record)
    assert not TrackingFilter("bank").filter(record)
    assert "" == record.tracking_actor  # type: ignore[attr-defined]


def test_each_change_is_a_record(logger: Any) -> None:
    """Its message is for people, its fields are JSON."""
    containers = everything()
    for container in containers:
        container.tracking_add_observer(LoggingObserver(logger, "warning"))
    with tracking_actor("ann", order=7):
        write_all(containers)
    records = logger.kept.records
    assert len(containers) + 1 == len(records)  # the nested one is seen by its root, too
    assert {("ann", logging.WARNING)} == {(record.tracking_actor, record.levelno) for record in records}
    for record in records:
        assert {"order": 7} == record.tracking_context
        assert {"seq", "action", "pointer"} <= set(record.tracking_change)
        json.dumps(record.tracking_change)
    assert " by ann" in records[0].getMessage()


CHANGES = {
    "an item": (lambda d: d.__setitem__("a", 2), {"action": "update", "pointer": "/a", "before": 1, "after": 2}),
    "several": (
        lambda d: d.update(b=1, c=2),
        {"action": "add", "pointer": "", "changes": [["b", {"$missing": True}, 1], ["c", {"$missing": True}, 2]]},
    ),
    "a slice": (lambda d: d["l"].__setitem__(slice(0, 2), [9]), {"pointer": "/l", "splice": [0, [1, 2], [9]]}),
    "an order": (lambda d: d["l"].reverse(), {"pointer": "/l", "order": [2, 1, 0]}),
    "a removal": (lambda d: d.pop("a"), {"action": "remove", "before": 1}),
    "a secret": (
        lambda d: d.__setitem__("password", "hunter2"),
        {"pointer": "/password", "after": {"$redacted": True}},
    ),
    "a lock": (lambda d: d.lock(), {"action": "lock"}),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_the_fields_say_what_changed(change: Any, expected: dict[str, Any], logger: Any) -> None:
    """With both sides, bulk changes and redacted secrets."""
    d = track({"a": 1, "l": [1, 2, 3], "password": "old"}, tracking_redact=["/password"], tracking_capture_stack=True)
    d.tracking_add_observer(LoggingObserver(logger))
    change(d)
    (record,) = logger.kept.records
    assert expected == {key: record.tracking_change.get(key) for key in expected}
    assert "test_logging.py:" in record.tracking_change["culprit"]
    assert "hunter2" not in repr(vars(record)) + record.getMessage()


class Shown:
    def __repr__(self) -> str:
        return "<Shown\nERROR root: forged>"


MESSAGES = {
    "<": (lambda d: d.__setitem__("a", 1), "<admin>", "add /a: 1 by <admin>"),
    "value": (lambda d: d.__setitem__("a", Shown()), "", "add /a: <Shown\\nERROR root: forged>"),
    "key": (lambda d: d.__setitem__("a\nERROR root: b", 1), "", "add /a\\nERROR root: b: 1"),
    "actor": (lambda d: d.__setitem__("a", 1), "ann\r\nERROR root: b", "add /a: 1 by ann\\r\\nERROR root: b"),
    "escape": (lambda d: d.__setitem__("\x1b[31m\ud800", "%s {"), "", "add /\\x1b[31m\\ud800: '%s {'"),
}


@pytest.mark.parametrize(("change", "actor", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_one_whole_line(change: Any, actor: str, expected: str, logger: Any) -> None:
    """Keys, actors and values with line breaks forge no line.

    Nothing of them is cut off. The repr of a change, which other observers log, is one line as well.
    """
    d = track({})
    d.tracking_add_observer(LoggingObserver(logger))
    with tracking_actor(actor):
        change(d)
    (record,) = logger.kept.records
    assert expected == record.getMessage()
    assert repr(d.last_change()).isprintable()


def test_a_logger_adapter_is_refused_with_what_to_do() -> None:
    """An adapter would replace the fields of a change by its own."""
    adapter: Any = logging.LoggerAdapter(logging.getLogger("shop"), {})
    with pytest.raises(TypeError, match="not LoggerAdapter; of a LoggerAdapter, give its logger"):
        LoggingObserver(adapter)


def test_the_name_of_the_container_is_in_the_fields(logger: Any) -> None:
    """The name of the tree is a field; without one there is none."""
    d = track({"nested": {}}, tracking_name="stock")
    nameless = track({})
    for container in (d, nameless):
        container.tracking_add_observer(LoggingObserver(logger))
        container["a"] = 1
    d["nested"]["a"] = 1
    assert ["stock", None, "stock"] == [record.tracking_change.get("name") for record in logger.kept.records]


def test_a_disabled_level_costs_no_text(logger: Any) -> None:
    """Values are not looked at if nothing would be logged."""

    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("looked at")

    logger.setLevel(logging.ERROR)
    d: Any = TrackedDict()
    d.tracking_add_observer(LoggingObserver(logger))
    d["x"] = Loud()
    assert [] == logger.kept.records
    with pytest.raises(ValueError, match="no logging level is called 'loud'"):
        LoggingObserver(logger, "loud")


class Writes(logging.Handler):
    """A handler that changes tracked data for each record."""

    def __init__(self, *data: Any, actor: str | None = None) -> None:
        super().__init__()
        self.data = data
        self.actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record in each container."""
        for each in self.data:
            if self.actor is None:
                each.append(record.getMessage())
            else:
                with tracking_actor(self.actor):
                    each.append(record.getMessage())


@pytest.mark.parametrize("actor", [None, "handler"])
@pytest.mark.parametrize("when", ["commit", "immediate"])
@pytest.mark.parametrize("transaction", [False, True])
def test_a_handler_that_changes_data_does_not_log_itself(
    actor: str | None, when: Any, transaction: bool, logger: Any
) -> None:
    """Its own changes are recorded, and not logged.

    Also if two containers observe each other by two loggers, and if the handler has an actor of its own.
    """
    first: Any = TrackedList()
    second: Any = TrackedList()
    other = logging.Logger("other")
    other.kept = Kept()  # type: ignore[attr-defined]
    other.addHandler(other.kept)  # type: ignore[attr-defined]
    first.tracking_add_observer(LoggingObserver(logger), when=when)
    second.tracking_add_observer(LoggingObserver(other), when=when)
    logger.addHandler(Writes(first, second, actor=actor))
    other.addHandler(Writes(first, second, actor=actor))
    with tracking_actor("ann"):
        if transaction:
            with tracking_transaction():
                first.append("x")
        else:
            first.append("x")
    assert 1 == len(logger.kept.records)
    assert (2, 1) == (len(first), len(second))
    own = second.last_change()
    assert (actor or "ann", first[0]) == (own.actor, "x")
    assert logger.kept.records[0].tracking_change["seq"] == own.context["while_logging"]
    first.append("y")
    assert 2 == len(logger.kept.records)


def test_fields_are_those_of_the_change_not_of_now(logger: Any) -> None:
    """After a commit the actor of the change may be over."""
    logger.kept.addFilter(TrackingFilter())
    d: Any = TrackedDict()
    d.tracking_add_observer(LoggingObserver(logger))
    with tracking_actor("outer"), tracking_transaction() as block, tracking_actor("ann", order=7):
        d["x"] = 1
    d["y"] = 1
    first, second = logger.kept.records
    assert ("ann", {"order": 7}, block.id) == (first.tracking_actor, first.tracking_context, first.tracking_transaction)
    assert ("", {}, None) == (second.tracking_actor, second.tracking_context, second.tracking_transaction)


def test_a_handler_that_fails_does_not_stop_the_change(logger: Any, caplog: Any) -> None:
    """The error is logged as that of an observer, and no actor is left."""

    class Fails(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    logger.addHandler(Fails())
    d: Any = TrackedDict()
    d.tracking_add_observer(LoggingObserver(logger))
    d["x"] = 1
    assert {"x": 1} == d
    assert "observer LoggingObserver failed" in caplog.messages[0]


def test_the_module_does_not_hide_the_standard_library() -> None:
    """`logging` is still that of Python."""
    assert logging is sys.modules["logging"]
