"""Real peers on the loopback interface: HTTP, S3 (moto), Kafka.

Kafka is librdkafka's mock cluster.
"""

from __future__ import annotations

import gzip
import http.server
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from server import ScriptedServer, reply, reset

CREDENTIALS = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Bucket:
    """A moto server with one bucket, which a test starts and stops."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.up()
        import urllib3

        self.http = urllib3.PoolManager(retries=False)
        assert 200 == self.http.request("PUT", f"{self.endpoint}/audit").status

    def up(self) -> None:
        program = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("moto did not start")

    def down(self) -> None:
        self.process.kill()
        self.process.wait()

    def lines(self, prefix: str | None = None) -> list[dict[str, Any]]:
        from obstore.store import S3Store

        store = S3Store("audit", endpoint=self.endpoint, client_options={"allow_http": True}, **CREDENTIALS)  # type: ignore[arg-type]
        keys = sorted(meta["path"] for page in store.list(prefix=prefix) for meta in page)
        found = []
        for key in keys:
            raw = bytes(store.get(key).bytes())
            text = gzip.decompress(raw) if key.endswith(".gz") else raw
            found += [json.loads(line) for line in text.splitlines()]
        return found


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    pytest.importorskip("obstore", reason="the extra s3 is not installed")
    pytest.importorskip("moto", reason="moto, the S3 peer, is not installed")
    found = Bucket()
    yield found
    found.down()


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    cluster = kafka.Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "mock"})
    yield ",".join(str(broker).split("/")[0] for broker in cluster.list_topics(timeout=30).brokers.values())
    cluster.flush(1)


def consumed(brokers: str, topic: str, count: int) -> list[Any]:
    import confluent_kafka as kafka

    consumer = kafka.Consumer({"bootstrap.servers": brokers, "group.id": "t", "auto.offset.reset": "earliest"})
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([kafka.TopicPartition(topic, n, kafka.OFFSET_BEGINNING) for n in partitions])
    found: list[Any] = []
    end = time.monotonic() + 30
    while len(found) < count and time.monotonic() < end:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append(message)
    consumer.close()
    return found


class Server(ScriptedServer):
    """A server that answers as the test says.

    An entry of ``answers`` is (status, headers), or "reset", which resets the connection. After the last entry it
    always answers 204.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(port)
        self.url += "/audit"

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        answer = self.answers.pop(0) if self.answers else (204, {})
        if answer == "reset":
            reset(request)
            return
        status, headers = answer
        if status < 300:
            self.requests.append((request.path, dict(request.headers), body))
        reply(request, status, headers)

    def changes(self) -> list[dict[str, Any]]:
        found = []
        for _, headers, body in self.requests:
            if headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            text = body.decode()
            found += json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def fill(d: Any, exporter: Any, count: int) -> None:
    """Add an exporter to a dict, and store a value count times."""
    d.tracking_add_observer(exporter)
    for n in range(count):
        d["n"] = n
