"""SQLite, S3 and Kafka, each against a real peer on the loopback interface: up, down and back."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import subprocess
import sys
import threading
from typing import Any

import pytest
from peers import CREDENTIALS, Bucket, brokers, bucket, consumed, free_port

from pydatatracker import TrackedDict, TrackedList, replay, track, tracking_actor
from pydatatracker.exporters import KafkaExporter, S3Exporter, SqliteExporter

__all__ = ["brokers", "bucket"]


def fill(d: Any, exporter: Any, count: int) -> None:
    d.tracking_add_observer(exporter)
    for n in range(count):
        d["n"] = n


# ---- SQLite


@pytest.mark.parametrize("background", [True, False])
def test_sqlite_can_be_asked(tmp_path: pathlib.Path, background: bool) -> None:
    """Every change is a row; the lines replay to the value."""
    x = track({"cfg": {"port": 80}})
    with SqliteExporter(tmp_path / "db" / "changes.db", background=background) as exporter:
        x.tracking_add_observer(exporter)
        with tracking_actor("eve"):
            x["cfg"]["port"] = 8080
        del x["cfg"]["port"]
        x["new"] = (1, b"x")
    connection = sqlite3.connect(tmp_path / "db" / "changes.db")
    rows = connection.execute("SELECT action, pointer, actor, before, after FROM changes ORDER BY seq").fetchall()
    assert ("update", "/cfg/port", "eve", "80", "8080") == rows[1]
    assert ("remove", "/cfg/port", "", "8080", None) == rows[2]
    lines = [row[0] for row in connection.execute("SELECT line FROM changes ORDER BY seq")]
    assert {"cfg": {}, "new": (1, b"x")} == replay(lines)
    assert "wal" == connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()


def test_sqlite_waits_for_who_holds_the_file(tmp_path: pathlib.Path) -> None:
    """Another process' write lock: the batch is tried again, and nothing is there twice."""
    path = tmp_path / "changes.db"
    d = TrackedDict()
    exporter = SqliteExporter(path, timeout=0.01, retry_first=0.001, batch_items=10)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    fill(d, exporter, 50)
    assert not exporter.flush(0.2)
    holder.execute("ROLLBACK")
    assert exporter.flush(30)
    exporter.close()
    assert list(range(50)) == [json.loads(row[0]) for row in holder.execute("SELECT after FROM changes ORDER BY seq")]
    assert exporter.stats().retried > 0
    holder.close()


def test_sqlite_from_several_processes(tmp_path: pathlib.Path) -> None:
    """Each one's rows are there."""
    path = tmp_path / "changes.db"
    program = (
        "import sys; from pydatatracker import TrackedDict; from pydatatracker.exporters import SqliteExporter\n"
        "d = TrackedDict(); d.tracking_add_observer(SqliteExporter(sys.argv[1], timeout=30))\n"
        "for n in range(200): d[sys.argv[2]] = n\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abc"]
    assert [0, 0, 0] == [process.wait(60) for process in running]
    connection = sqlite3.connect(path)
    counts = dict(connection.execute("SELECT pointer, count(*) FROM changes GROUP BY 1").fetchall())
    assert {"/a": 200, "/b": 200, "/c": 200} == counts
    connection.close()


# ---- S3


def test_s3_listing_gives_the_order_and_a_repetition_makes_no_object(bucket: Bucket) -> None:
    """One object a batch; the same batch sent twice is there once."""
    from pydatatracker.exporters.base import item_of
    from pydatatracker.exporters.s3 import S3Sink

    d = TrackedDict()
    with S3Exporter(
        "audit", prefix="a/", endpoint=bucket.endpoint, config=dict(CREDENTIALS), batch_items=10
    ) as exporter:
        fill(d, exporter, 55)
        assert exporter.flush(60), exporter.stats()
    assert list(range(55)) == [line["after"] for line in bucket.lines()]
    sink = S3Sink("audit", prefix="a/", endpoint=bucket.endpoint, **CREDENTIALS)
    last = d.last_change()
    assert last is not None
    before = len(bucket.lines())
    for _ in range(3):
        sink.send([item_of(last)])
    assert before + 1 == len(bucket.lines())


def test_s3_parquet(bucket: Bucket, tmp_path: pathlib.Path) -> None:
    """Objects that DuckDB reads as the table of changes, in the order of their names."""
    pytest.importorskip("duckdb", reason="the extra query is not installed")
    from obstore.store import S3Store

    from pydatatracker.query import connect

    d = TrackedDict()
    options: dict[str, Any] = {"endpoint": bucket.endpoint, "config": dict(CREDENTIALS), "batch_items": 10}
    with S3Exporter("audit", prefix="parquet/", body="parquet", **options) as exporter:
        fill(d, exporter, 25)
        assert exporter.flush(60), exporter.stats()
    store = S3Store("audit", endpoint=bucket.endpoint, client_options={"allow_http": True}, **CREDENTIALS)  # type: ignore[arg-type]
    keys = sorted(meta["path"] for page in store.list(prefix="parquet/") for meta in page)
    for n, key in enumerate(keys):
        (tmp_path / f"{n:03}.parquet").write_bytes(bytes(store.get(key).bytes()))
    with connect(sorted(tmp_path.glob("*.parquet"))) as table:
        assert [(str(n),) for n in range(25)] == table.execute("select after from changes order by seq").fetchall()
    with pytest.raises(ValueError, match="needs format='native'"):
        S3Exporter("audit", body="parquet", format="debezium", **options)


def test_s3_down_and_back() -> None:
    """Nothing accepted is lost, order holds."""
    pytest.importorskip("obstore", reason="the extra s3 is not installed")
    pytest.importorskip("moto", reason="moto, the S3 peer, is not installed")
    bucket = Bucket()
    d = TrackedDict()
    exporter = S3Exporter(
        "audit", endpoint=bucket.endpoint, config=dict(CREDENTIALS), batch_items=5, retry_first=0.01, retry_most=0.2
    )
    bucket.down()
    fill(d, exporter, 20)
    assert not exporter.flush(0.5)
    bucket.up()
    import urllib3

    urllib3.PoolManager(retries=False).request("PUT", f"{bucket.endpoint}/audit")  # moto forgets
    assert exporter.flush(60), exporter.stats()
    exporter.close()
    assert list(range(20)) == [line["after"] for line in bucket.lines()]
    bucket.down()


def test_s3_client_of_ones_own() -> None:
    """put_object(Bucket=, Key=, Body=), once a change, then and there."""
    calls: list[Any] = []

    class Client:
        def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
            calls.append((Bucket, Key, json.loads(Body)["after"]))

    d = TrackedDict()
    fill(d, S3Exporter(Client(), bucket="audit", prefix="p/"), 3)
    assert [("audit", 0), ("audit", 1), ("audit", 2)] == [(bucket, after) for bucket, _, after in calls]
    keys = [key for _, key, _ in calls]
    assert sorted(keys) == keys
    assert all(key.startswith("p/") for key in keys)


# ---- Kafka


def test_kafka_keeps_the_order_of_each_tree(brokers: str) -> None:
    """The key is the root: all of it in one partition, in order; headers carry the id and the trace."""
    one, two = TrackedDict(), TrackedList()
    with KafkaExporter(
        "audit",
        config={"bootstrap.servers": brokers},
        batch_items=7,
        headers=lambda item: {"traceparent": f"00-{item.seq:032x}-{1:016x}-01"},
    ) as exporter:
        two.tracking_add_observer(exporter)
        fill(one, exporter, 40)
        for n in range(40):
            two.append(n)
        assert exporter.flush(60), exporter.stats()
    messages = consumed(brokers, "audit", 80)
    for root in (one, two):
        mine = [message for message in messages if message.key().decode() == root.tracking_uuid]
        assert list(range(40)) == [json.loads(message.value())["after"] for message in mine]
        assert 1 == len({message.partition() for message in mine})
        headers = dict(mine[0].headers())
        assert {"id", "seq", "traceparent"} == set(headers)
    assert 80 == exporter.stats().sent


def test_kafka_down_does_not_stop_the_program() -> None:
    """No broker there: puts return, the error is told, close ends in its time."""
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
    for _ in range(40):  # librdkafka looks for messages that timed out once a second
        assert not exporter.flush(0.5)
        if exporter.stats().last_error is not None:
            break
    assert "SinkUnavailable" in str(exporter.stats().last_error)
    assert not exporter.close(0.1)
    assert 20 == exporter.stats().dropped


def test_kafka_client_of_ones_own() -> None:
    """produce where it has that, else send; once a change."""
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
    """A sentence at once, and no thread."""
    with pytest.raises(error):
        make()
