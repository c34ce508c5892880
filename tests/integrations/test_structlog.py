"""Actors in structlog events, and changes as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

structlog = pytest.importorskip("structlog")

from tracked import everything, write_all

from pydatatracker import TrackedDict, TrackedList, track, tracking_actor, tracking_transaction
from pydatatracker.integrations.structlog import StructlogObserver, add_tracking


class Output:
    """A logger that keeps what the last processor made."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def info(self, line: str) -> None:
        """Keep it."""
        self.lines.append(json.loads(line))

    warning = info


def bound(output: Output, *processors: Any) -> Any:
    """Return a logger with these processors before JSON."""
    return structlog.wrap_logger(
        output,
        processors=[*processors, add_tracking, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.BoundLogger,
    )


def test_a_processor_adds_what_there_is() -> None:
    """Empty fields are left out, and those of the event stay."""
    output = Output()
    log = bound(output)
    log.info("before")
    with tracking_actor("ann", order=7), tracking_transaction() as block:
        log.info("in it", order="mine")
        log.bind(tracking_actor="mine").info("own")
    assert {"event": "before"} == output.lines[0]
    fields = {"tracking_context": {"order": 7}, "tracking_transaction": block.id}
    assert {"event": "in it", "order": "mine", "tracking_actor": "ann", **fields} == output.lines[1]
    assert {"event": "own", "tracking_actor": "mine", **fields} == output.lines[2]


def test_each_change_is_an_event() -> None:
    """Of every kind of container, as JSON data, with the fields of the change."""
    output = Output()
    containers = everything()
    for container in containers:
        container.tracking_add_observer(StructlogObserver(bound(output), "warning", "changed"))
    with tracking_actor("ann", order=7):
        write_all(containers)
    assert len(containers) + 1 == len(output.lines)
    for line in output.lines:
        assert ("changed", "ann", {"order": 7}) == (line["event"], line["tracking_actor"], line["tracking_context"])
        assert {"seq", "action", "pointer"} <= set(line)


def test_secrets_stay_redacted_and_the_actor_is_that_of_the_change() -> None:
    """Also for a change that is reported after a commit, by nobody."""
    output = Output()
    d = track({"password": "old"}, tracking_redact=["/password"])
    d.tracking_add_observer(StructlogObserver(bound(output)))
    d["password"] = "hunter2"
    (line,) = output.lines
    assert ("/password", {"$redacted": True}) == (line["pointer"], line["after"])
    assert ("", {}, None) == (line["tracking_actor"], line["tracking_context"], line["tracking_transaction"])
    assert "hunter2" not in json.dumps(line)


def test_a_processor_that_changes_data_does_not_log_itself() -> None:
    """Its own changes are recorded, and not logged."""
    output = Output()
    counts: Any = TrackedList()

    def count(logger: Any, method: str, event: Any) -> Any:
        counts.append(event["event"])
        return event

    counts.tracking_add_observer(StructlogObserver(bound(output, count)))
    counts.append("x")
    assert ["x", "change"] == counts
    assert 1 == len(output.lines)
    assert output.lines[0]["seq"] == counts.last_change().context["while_logging"]


def test_the_default_logger_is_that_of_structlog() -> None:
    """Its configuration is read when the first change is logged."""
    d: Any = TrackedDict()
    d.tracking_add_observer(StructlogObserver())
    with structlog.testing.capture_logs() as events:
        d["x"] = 1
    assert [("change", "/x", "info")] == [(event["event"], event["pointer"], event["log_level"]) for event in events]


@pytest.mark.parametrize("cached", [True, False])
def test_changes_of_named_data_reach_the_standard_logging(cached: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Fields of a change collide with none of a log record.

    So they arrive with the processors that hand events over to logging.
    """
    structlog.configure(
        processors=[add_tracking, structlog.stdlib.add_logger_name, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=cached,
    )
    try:
        containers = [*everything(), track({"a": [1]}, tracking_name="stock", tracking_capture_stack=True)]
        for container in containers:
            container.tracking_add_observer(StructlogObserver(structlog.stdlib.get_logger("shop"), "warning"))
        write_all(containers[:-1])
        containers[-1]["a"].append(2)
        containers[-1].update(b=1, c=2)
    finally:
        structlog.reset_defaults()
    assert {"change"} == {record.getMessage() for record in caplog.records}
    assert len(containers) + 2 == len(caplog.records)
    assert (
        [("/a/1", "stock"), ("", "stock")]
        == [
            (record.pointer, record.tracking_name)  # type: ignore[attr-defined]
            for record in caplog.records[-2:]
        ]
    )
