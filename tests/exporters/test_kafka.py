"""``KafkaExporter`` against librdkafka's mock cluster."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from peers import brokers, consumed, fill, free_port

from pydatatracker import TrackedDict, TrackedList
from pydatatracker.exporters import Item, KafkaExporter, S3Exporter, SinkUnavailable
from pydatatracker.exporters.kafka import KafkaSink

__all__ = ["brokers"]  # the fixtures


def test_kafka_keeps_the_order_of_each_tree(brokers: str) -> None:
    """All changes of a root go to one partition, in order.

    The key of a message is the root. Headers have the id and the trace.
    """
    one, two = TrackedDict(inner=TrackedDict(n=0)), TrackedList()
    with KafkaExporter(
        "audit",
        config={"bootstrap.servers": brokers},
        batch_items=7,
        headers=lambda item: {"traceparent": f"00-{item.seq:032x}-{1:016x}-01"},
    ) as exporter:
        two.tracking_add_observer(exporter)
        one.tracking_add_observer(exporter)
        for n in range(40):  # by turns at the root and below it
            one["inner"]["n"] = one["n"] = n
            two.append(n)
        assert exporter.flush(60), exporter.stats()
    messages = consumed(brokers, "audit", 121)
    for root, numbers in ((one, [n for n in range(40) for _ in range(2)]), (two, list(range(40)))):
        mine = [message for message in messages if message.key().decode() == root.tracking_uuid]
        found = [json.loads(message.value()) for message in mine]
        assert {root.tracking_uuid} == {line["root"] for line in found}
        assert numbers == [line["after"] for line in found if line["action"] != "init"]
        assert 1 == len({message.partition() for message in mine})
        headers = dict(mine[0].headers())
        assert {"id", "seq", "traceparent"} == set(headers)
    assert 121 == exporter.stats().sent


def test_a_dict_of_headers_is_in_every_message(brokers: str) -> None:
    """It names the host, for example; id and seq stay those of the change."""
    d = TrackedDict()
    headers = {"host": "web-1", "seq": "not mine"}
    with KafkaExporter("hosts", config={"bootstrap.servers": brokers}, headers=headers) as exporter:
        headers["host"] = "changed later"
        fill(d, exporter, 3)
        assert exporter.flush(60), exporter.stats()
    for message in consumed(brokers, "hosts", 3):
        found = dict(message.headers())
        assert {"id", "seq", "host"} == set(found)
        assert (b"web-1", str(json.loads(message.value())["seq"]).encode()) == (found["host"], found["seq"])


def test_a_message_waits_as_long_as_the_timeout_says() -> None:
    """The timeout is in seconds, Kafka's in milliseconds; config wins."""
    pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    for timeout, config, expected in ((1.5, {}, 1500), (10.0, {}, 10_000), (10.0, {"message.timeout.ms": 7}, 7)):
        sink = KafkaSink("t", {"bootstrap.servers": "127.0.0.1:1", **config}, "native", None, timeout)
        assert expected == sink._settings["message.timeout.ms"]
        sink.close()


def test_a_forked_child_makes_a_producer_of_its_own(brokers: str) -> None:
    """The first batch after a fork goes through a new one, which then stays."""
    made = []
    sink = KafkaSink("forked", {"bootstrap.servers": brokers}, "native", None, 30.0)
    real = sink._new
    sink._new = lambda settings: made.append(real(settings)) or made[-1]
    mine = sink._producer
    sink.send([Item(b'{"seq":1}', 1, "root", 1, "id1")])
    assert (mine, []) == (sink._producer, made)
    sink.after_fork()
    for seq in (2, 3):
        sink.send([Item(b'{"seq":%d}' % seq, seq, "root", seq, f"id{seq}")])
    assert [sink._producer] == made
    mine.flush(1.0)
    sink.close()
    assert [1, 2, 3] == [json.loads(message.value())["seq"] for message in consumed(brokers, "forked", 3)]


def test_a_report_that_is_an_error_is_the_reason() -> None:
    """One failed report of several: the batch is sent again, and why is said."""
    pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")

    class Producer:
        def __init__(self) -> None:
            self.made = 0

        def produce(self, topic: str, data: bytes, *, on_delivery: Any, **rest: Any) -> None:
            self.made += 1
            on_delivery("queue torn" if self.made == 2 else None, None)

        def flush(self, timeout: float) -> None: ...
        def purge(self) -> None: ...

    sink = KafkaSink("t", {"bootstrap.servers": "127.0.0.1:1"}, "native", None, 1.0)
    sink._producer = Producer()
    with pytest.raises(SinkUnavailable, match="^queue torn$"):
        sink.send([Item(b'{"seq":%d}' % n, n, "root", n, f"id{n}") for n in range(3)])
    sink.send([Item(b'{"seq":1}', 1, "root", 1, "id1")])


def test_kafka_down_does_not_stop_the_program() -> None:
    """Without a broker the program goes on, and close returns in time.

    The last error is kept, and unsent changes count as dropped.
    """
    pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    d = TrackedDict()
    exporter = KafkaExporter(
        "audit",
        config={"bootstrap.servers": f"127.0.0.1:{free_port()}", "log_level": 0},
        timeout=0.3,
        retry_first=0.01,
        max_items=1000,
    )
    fill(d, exporter, 20)
    for _ in range(40):  # librdkafka checks for timed-out messages every second
        assert not exporter.flush(0.5)
        if exporter.stats().last_error is not None:
            break
    assert "SinkUnavailable" in str(exporter.stats().last_error)
    assert not exporter.close(0.1)
    assert 20 == exporter.stats().dropped


def test_kafka_custom_client() -> None:
    """A client's produce(), or else its send(), is called once per change."""
    calls: list[Any] = []

    class Sender:
        def send(self, topic: str, value: bytes) -> None:
            calls.append(("send", topic, json.loads(value)["after"]))

    class Producer(Sender):
        def produce(self, topic: str, value: bytes) -> None:
            calls.append(("produce", topic, json.loads(value)["after"]))

    for client in (Sender(), Producer()):
        fill(TrackedDict(), KafkaExporter(client, topic="t"), 1)
    assert [("send", "t", 0), ("produce", "t", 0)] == calls


@pytest.mark.parametrize(
    ("error", "make"),
    [
        (TypeError, lambda: S3Exporter()),
        (TypeError, lambda: S3Exporter(object())),
        (ValueError, lambda: KafkaExporter("topic")),
        (TypeError, lambda: KafkaExporter(object())),
        (TypeError, lambda: KafkaExporter(object(), topic="t")),
        (TypeError, lambda: KafkaExporter(threading, topic="t", batch_items=1)),
    ],
)
def test_bad_arguments(error: type[Exception], make: Any) -> None:
    """Wrong arguments are refused at once, and no thread starts."""
    with pytest.raises(error):
        make()
