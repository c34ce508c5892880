"""Every exporter with a real peer that is down, slow, or cuts connections.

A proxy stands between them. Every accepted change arrives, in order once repeats are dropped, the counts add up,
and a change never waits while there is room in the queue.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peers import CREDENTIALS, Bucket, Server, brokers, bucket, consumed, server
from postgres import Postgres, postgres
from proxy import Proxy

from pydatatracker import TrackedDict
from pydatatracker.exporters import HttpExporter, KafkaExporter, S3Exporter, SqlExporter

__all__ = ["brokers", "bucket", "postgres", "server"]

FAST: dict[str, Any] = {
    "retry_first": 0.01,
    "retry_most": 0.05,
    "batch_items": 7,
    "batch_age": 0.01,
    "exit_timeout": 60.0,
}


class Peer:
    """A real peer behind a proxy: how to export to it, and what arrived.

    Repeats are included in what arrived.
    """

    def __init__(self, port: int, make: Callable[[int], Any], received: Callable[[], list[tuple[str, Any]]]) -> None:
        self.proxy = Proxy(port)
        self.make = make
        self.received = received

    def first_seen(self) -> list[Any]:
        """Return the values that arrived, in order of first arrival."""
        seen: dict[str, Any] = {}
        for uuid, value in self.received():
            seen.setdefault(uuid, value)
        return list(seen.values())


def over_http(server: Server) -> Peer:
    """Export NDJSON to a server."""
    return Peer(
        server.port,
        lambda port: HttpExporter(f"http://127.0.0.1:{port}/", timeout=5.0, **FAST),
        lambda: [(line["uuid"], line["after"]) for line in server.changes()],
    )


def over_s3(bucket: Bucket, prefix: str) -> Peer:
    """Export objects to moto."""
    return Peer(
        bucket.port,
        lambda port: S3Exporter(
            "audit", prefix=prefix, endpoint=f"http://127.0.0.1:{port}", config=dict(CREDENTIALS), **FAST
        ),
        lambda: [(line["uuid"], line["after"]) for line in bucket.lines(prefix)],
    )


def over_sql(postgres: Postgres) -> Peer:
    """Export rows to PostgreSQL."""
    import sqlalchemy

    def received() -> list[tuple[str, Any]]:
        engine = sqlalchemy.create_engine(postgres.url)
        with engine.connect() as connection:
            found = [
                tuple(row) for row in connection.execute(sqlalchemy.text("select id, after from changes order by seq"))
            ]
        engine.dispose()
        return found

    return Peer(
        postgres.port,
        lambda port: SqlExporter(postgres.url.replace(str(postgres.port), str(port)) + "?connect_timeout=5", **FAST),
        received,
    )


@pytest.fixture(params=["http", "s3", "sql"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Start each of the peers in turn."""
    if request.param == "http":
        found = over_http(request.getfixturevalue("server"))
    elif request.param == "s3":
        found = over_s3(request.getfixturevalue("bucket"), f"{request.node.name}/")
    else:
        pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
        pytest.importorskip("psycopg", reason="no driver for PostgreSQL")
        found = over_sql(request.getfixturevalue("postgres"))
    yield found
    found.proxy.close()


def add(d: TrackedDict, first: int, last: int) -> None:
    """Make changes whose value is their number."""
    for n in range(first, last):
        d["k"] = n


def all_there(peer: Peer, exporter: Any, count: int) -> None:
    """Close, and check that everything arrived, in order, with no drops."""
    assert exporter.close(60), exporter.stats()
    assert list(range(count)) == peer.first_seen()
    stats = exporter.stats()
    assert (count, count, 0, 0, 0) == (stats.accepted, stats.sent, stats.dropped, stats.rejected, stats.queued)


def test_down_from_the_start(peer: Peer) -> None:
    """Queued changes are sent when the peer comes up."""
    d = TrackedDict()
    exporter = peer.make(peer.proxy.port)
    d.tracking_add_observer(exporter)
    add(d, 0, 50)
    while exporter.stats().retried < 2:
        assert not exporter.flush(0.05)
    peer.proxy.up()
    all_there(peer, exporter, 50)


def test_down_in_the_middle_and_back(peer: Peer) -> None:
    """A batch that was in flight when the peer went down is sent again."""
    d = TrackedDict()
    peer.proxy.up()
    exporter = peer.make(peer.proxy.port)
    d.tracking_add_observer(exporter)
    add(d, 0, 30)
    for turn in (1, 2):
        while exporter.stats().sent == 0:
            exporter.flush(0.01)
        before = exporter.stats().retried
        peer.proxy.down()
        add(d, 30 * turn, 30 * turn + 30)
        while exporter.stats().retried == before:
            assert not exporter.flush(0.05)
        peer.proxy.up()
    all_there(peer, exporter, 90)
    assert exporter.stats().last_error is not None


def test_connections_that_are_cut(peer: Peer) -> None:
    """A batch is sent again after its connection was cut.

    It is cut in the request, before the answer, or in the answer. A repeat has the same ids.
    """
    d = TrackedDict()
    peer.proxy.cuts = [1, 20, 300, -1, -10, 900, -40, 2000]
    peer.proxy.up()
    exporter = peer.make(peer.proxy.port)
    d.tracking_add_observer(exporter)
    add(d, 0, 60)
    all_there(peer, exporter, 60)
    assert peer.proxy.accepted > 4


def test_slow(peer: Peer) -> None:
    """While a peer is slow, changes wait in the queue."""
    d = TrackedDict()
    peer.proxy.delay = 0.05
    peer.proxy.up()
    exporter = peer.make(peer.proxy.port)
    d.tracking_add_observer(exporter)
    add(d, 0, 60)
    assert exporter.stats().queued > 0
    all_there(peer, exporter, 60)


def test_kafka_that_comes_up_late(brokers: str) -> None:
    """Changes made before a broker answers arrive, in order."""
    proxy = Proxy(int(brokers.split(",")[0].rpartition(":")[2]))
    d = TrackedDict()
    exporter = KafkaExporter(
        "late", config={"bootstrap.servers": f"127.0.0.1:{proxy.port}", "log_level": 0}, timeout=1.0, **FAST
    )
    d.tracking_add_observer(exporter)
    add(d, 0, 30)
    while exporter.stats().retried == 0:
        assert not exporter.flush(0.05)
    proxy.up()
    assert exporter.close(60), exporter.stats()
    seen: dict[str, Any] = {}
    for message in consumed(brokers, "late", 30):
        line = json.loads(message.value())
        seen.setdefault(line["uuid"], line["after"])
    assert list(range(30)) == list(seen.values())
    assert (30, 0) == (exporter.stats().sent, exporter.stats().dropped)
    proxy.close()
