"""A change below several containers of an exporter is delivered once."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builds import needs_watch
from forking import in_child
from in_threads import THREADS, run
from peers import CREDENTIALS, Server, brokers, bucket, consumed, server
from postgres import Postgres, postgres

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, _core, exporters, replay, track, watch
from pydatatracker.exporters import Delivery, Exporter
from pydatatracker.history.steps import copied
from pydatatracker.io import parse

__all__ = ["brokers", "bucket", "postgres", "server"]  # the fixtures

Lines = Callable[[], list[dict[str, Any]]]


class Sink:
    """A sink of a user's own."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def send(self, items: list[Any]) -> None:
        self.lines += [item.line for item in items]

    def close(self) -> None:
        """Do nothing."""


def loaded(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return lines as dicts."""
    return [json.loads(line) for line in lines]


# ---- one function per way to deliver: it returns the exporter, and what returns the lines that arrived


def jsonlines(tmp_path: Path, compact: bool, **options: Any) -> tuple[Exporter, Lines]:
    path = tmp_path / "x.jsonl"
    made = exporters.JsonLinesExporter(path, compact=compact, **options)
    return made, lambda: loaded(path.read_bytes().splitlines()) if path.exists() else []


def buffered(tmp_path: Path, compact: bool) -> tuple[Exporter, Lines]:
    return jsonlines(tmp_path, compact, buffered=True)


def own_sink(compact: bool) -> tuple[Exporter, Lines]:
    sink = Sink()
    return Exporter(Delivery(sink, name="own"), compact=compact), lambda: loaded(sink.lines)


def http(server: Server, compact: bool) -> tuple[Exporter, Lines]:
    return exporters.HttpExporter(server.url, compact=compact), server.changes


def http_client(compact: bool) -> tuple[Exporter, Lines]:
    sent: list[Any] = []
    return exporters.HttpExporter(lambda url, json: sent.append(json), "http://localhost/audit"), lambda: sent


def s3(request: Any, compact: bool) -> tuple[Exporter, Lines]:
    bucket, prefix = request.getfixturevalue("bucket"), f"{os.urandom(8).hex()}/"
    options: dict[str, Any] = {"prefix": prefix, "endpoint": bucket.endpoint, "config": dict(CREDENTIALS)}
    return exporters.S3Exporter("audit", compact=compact, **options), lambda: bucket.lines(prefix)


def s3_client(compact: bool) -> tuple[Exporter, Lines]:
    class Client:
        def __init__(self) -> None:
            self.objects: dict[str, bytes] = {}

        def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
            self.objects[Key] = Body

    client = Client()
    return exporters.S3Exporter(client, bucket="b", compact=compact), lambda: loaded(list(client.objects.values()))


in_children: list[Exporter] = []  # for each change that a forked child delivers: its exporter


def kafka(request: Any, compact: bool) -> tuple[Exporter, Lines]:
    servers, topic = request.getfixturevalue("brokers"), f"t{os.urandom(8).hex()}"
    exporter = exporters.KafkaExporter(topic, config={"bootstrap.servers": servers}, compact=compact)

    def lines() -> list[dict[str, Any]]:
        messages = consumed(servers, topic, exporter.stats().sent + in_children.count(exporter))
        return sorted(loaded([message.value() for message in messages]), key=_order)

    return exporter, lines


def kafka_client(compact: bool) -> tuple[Exporter, Lines]:
    class Producer:
        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def produce(self, topic: str, value: bytes) -> None:
            self.sent.append(value)

    producer = Producer()
    return exporters.KafkaExporter(producer, topic="t", compact=compact), lambda: loaded(producer.sent)


def sqlite(tmp_path: Path, compact: bool, **options: Any) -> tuple[Exporter, Lines]:
    path = tmp_path / "x.db"

    def lines() -> list[dict[str, Any]]:
        connection = sqlite3.connect(path)
        found = [json.loads(line) for (line,) in connection.execute("SELECT line FROM changes ORDER BY seq")]
        connection.close()
        return sorted(found, key=_order)

    return exporters.SqliteExporter(path, compact=compact, **options), lines


def sqlite_direct(tmp_path: Path, compact: bool) -> tuple[Exporter, Lines]:
    return sqlite(tmp_path, compact, background=False)


def sql(tmp_path: Path, compact: bool, url: str = "") -> tuple[Exporter, Lines]:
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="the extra sql is not installed")
    url = url or f"sqlite:///{tmp_path}/y.db"

    def lines() -> list[dict[str, Any]]:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            found = [row[0] for row in connection.execute(sqlalchemy.text("SELECT line FROM changes ORDER BY seq"))]
        engine.dispose()
        return sorted([json.loads(each) if isinstance(each, str) else each for each in found], key=_order)

    return exporters.SqlExporter(url, compact=compact), lines


def postgresql(request: Any, tmp_path: Path, compact: bool) -> tuple[Exporter, Lines]:
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL")
    return sql(tmp_path, compact, request.getfixturevalue("postgres").url)


def otel(request: Any, compact: bool) -> tuple[Exporter, Lines]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")
    from collector import Collector

    collector = Collector()
    request.addfinalizer(collector.stop)
    exporter = exporters.OpenTelemetryExporter(collector.url, compact=compact)
    return exporter, lambda: [from_attributes(record.attributes) for record in collector.records]


def otel_provider(compact: bool) -> tuple[Exporter, Lines]:
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    provider, memory = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    exporter = exporters.OpenTelemetryExporter(logger_provider=provider, compact=compact)
    return exporter, lambda: [from_attributes(each.log_record.attributes) for each in memory.get_finished_logs()]


def from_attributes(attributes: Any) -> dict[str, Any]:
    """Return the line of an OpenTelemetry record, as far as a replay needs it."""
    mine = {name.removeprefix("pydatatracker."): value for name, value in attributes.items()}
    values = ("path", "paths", "also", "before", "after", "splice", "order", "changes")
    mine.update({name: json.loads(mine[name]) for name in values if name in mine})
    return {**mine, "v": 2 if "also" in mine else 1, "uuid": mine["log.record.uid"], "tracked_item_uuid": "x"}


def _order(line: dict[str, Any]) -> tuple[int, bool]:
    return line["seq"], line["action"] != "init"


KINDS: dict[str, Any] = {
    each.__name__: each
    for each in (jsonlines, buffered, own_sink, http, http_client, s3, s3_client, kafka, kafka_client, sqlite,
                 sqlite_direct, sql, postgresql, otel, otel_provider)
}  # fmt: skip
Make = Callable[..., tuple[Any, Lines]]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Iterator[Make]:
    """Return what makes an exporter by its name in KINDS, and closes it."""
    made: list[Any] = []

    def build(name: str, compact: bool = False) -> tuple[Any, Lines]:
        function = KINDS[name]
        given = {"request": request, "tmp_path": tmp_path, "server": server}
        wanted = {key: value for key, value in given.items() if key in function.__code__.co_varnames}
        wanted = {key: value for key, value in wanted.items() if key in function.__annotations__}
        exporter, lines = function(**wanted, compact=compact)
        made.append(exporter)
        return exporter, lines

    yield build
    for exporter in made:
        exporter.close(10)


class Holder(TrackedAttr):
    """An object that refers to something."""

    def __init__(self, held: Any) -> None:
        self.held = held


def uuid_of(container: Any) -> str:
    """Return the id of a container."""
    tracker = _core.tracker(container)
    assert tracker is not None
    return tracker.uuid


def changes_in(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines that are not a first state."""
    return [line for line in lines if line["action"] != "init"]


def roots_in(line: dict[str, Any]) -> set[str]:
    """Return the ids of all roots of a line."""
    return set(parse(json.dumps(line).encode()).roots)


def test_every_exporter_is_tried_here() -> None:
    """A new exporter of the package has a row in KINDS."""
    public = {name for name in exporters.__all__ if name.endswith("Exporter") and name != "Exporter"}
    source = Path(__file__).read_text(encoding="utf-8")
    assert not {name for name in public if f"exporters.{name}(" not in source}
    assert Exporter.tracking_once


@pytest.mark.parametrize("compact", [False, True], ids=["whole", "compact"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_change_is_delivered_once(make: Make, kind: str, compact: bool) -> None:
    """One line per change names every root, and each root replays."""
    exporter, lines = make(kind, compact)
    hub = TrackedDict({"rows": TrackedList(), "text": "a"})
    roots: list[Any] = [Holder(hub), TrackedDict(a=hub, b=hub), TrackedList([0, hub]), TrackedDict()]
    for root in roots:
        root.tracking_add_observer(exporter)
    made = _core.newest_seq()
    hub["x"] = 1
    hub["rows"].append(track({"deep": [2]}))
    hub["rows"][0]["deep"].append(3)
    hub.update(x=2, y=None)
    roots[3]["only"] = 1
    del hub["text"]
    assert exporter.flush(60), exporter.stats()
    found = lines()
    changes = changes_in(found)
    assert list(range(made + 1, _core.newest_seq() + 1)) == [line["seq"] for line in changes]
    shared = {uuid_of(root) for root in roots[:3]}
    assert [shared, shared, shared, shared, {uuid_of(roots[3])}, shared] == [roots_in(line) for line in changes]
    assert [2, 2, 2, 2, 1, 2] == [line["v"] for line in changes]
    for root in roots:
        assert copied(root, {}) == replay(found, root=uuid_of(root))


@needs_watch
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_change_of_watched_data_is_delivered_once(make: Make, kind: str) -> None:
    """The same for data that is watched, and held by tracked data."""
    exporter, lines = make(kind)
    shared: dict[str, Any] = {"port": 80}
    one, two = {"cfg": shared}, {"other": {"cfg": shared}}
    with watch(one) as first, watch(two) as second:
        for w in (first, second):
            w.tracking_add_observer(exporter)
        shared["port"] = 81
        shared["new"] = 1
        two["alone"] = 2
        assert exporter.flush(60), exporter.stats()
        expected = {first.tracking_uuid, second.tracking_uuid}
        changes = changes_in(lines())
        assert [expected, expected, {second.tracking_uuid}] == [roots_in(line) for line in changes]
        for w, state in ((first, one), (second, two)):
            assert state == replay(lines(), root=w.tracking_uuid)


@pytest.mark.parametrize("kind", list(KINDS))
def test_threads_deliver_a_change_once(make: Make, kind: str) -> None:
    """Each change of several threads is delivered once, with all roots."""
    exporter, lines = make(kind)
    hubs = [TrackedDict() for _ in range(THREADS)]
    roots = [TrackedDict({str(n): hub for n, hub in enumerate(hubs)}) for _ in range(3)]
    for root in roots:
        root.tracking_add_observer(exporter)
    made = _core.newest_seq()

    def change(number: int) -> None:
        for n in range(12):
            hubs[number]["n"] = n

    assert [] == run(change)
    assert exporter.flush(60), exporter.stats()
    found = changes_in(lines())
    assert list(range(made + 1, made + 12 * THREADS + 1)) == sorted(line["seq"] for line in found)
    assert {frozenset(uuid_of(root) for root in roots)} == {frozenset(roots_in(line)) for line in found}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "s3"])  # obstore does not work in a forked child
def test_a_forked_child_delivers_a_change_once(make: Make, kind: str) -> None:
    """The child's exporter goes on as the parent's: one line per change."""
    exporter, lines = make(kind)
    hub = TrackedDict()
    roots = [TrackedDict(a=hub), TrackedDict(b=hub)]
    for root in roots:
        root.tracking_add_observer(exporter)
    hub["n"] = 0
    assert exporter.flush(60), exporter.stats()
    before = len(changes_in(lines()))
    own = ("own_sink", "http_client", "s3_client", "kafka_client", "otel_provider")  # what arrives is in the process

    def check() -> None:
        hub["n"] = 1
        assert exporter.flush(60), exporter.stats()
        if kind in own:
            assert before + 1 == len(changes_in(lines()))

    in_child(check, 60)
    in_children.append(exporter)
    if kind not in own:
        found = changes_in(lines())
        assert 2 == len(found)
        assert [set(map(uuid_of, roots))] * 2 == [roots_in(line) for line in found]


# ---- however the exporter was added


def test_an_exporter_that_was_added_twice_gets_a_change_once(make: Make) -> None:
    """To one container, to one and another below it, with other filters."""
    exporter, lines = make("own_sink")
    root = track({"cfg": {"port": 80}})
    cfg = root["cfg"]
    root.tracking_add_observer(exporter)
    root.tracking_add_observer(exporter, path="/cfg/**")
    cfg.tracking_add_observer(exporter, actions="update")
    cfg["port"] = 81
    cfg["new"] = 1
    root["x"] = 1
    exporter.flush(30)
    both = {uuid_of(root), uuid_of(cfg)}
    assert [both, {uuid_of(root)}, {uuid_of(root)}] == [roots_in(line) for line in changes_in(lines())]
    for container in (root, cfg):
        container.tracking_remove_observer(exporter)
    cfg["port"] = 82
    exporter.flush(30)
    assert 3 == len(changes_in(lines()))


def test_filters_say_which_roots_are_named(make: Make) -> None:
    """A line names the roots whose filters let the change pass."""
    exporter, lines = make("own_sink")
    hub = TrackedDict()
    roots = [TrackedDict(a=hub), TrackedDict(a=hub), TrackedDict(a=hub)]
    roots[0].tracking_add_observer(exporter)
    roots[1].tracking_add_observer(exporter, actions="remove")
    roots[2].tracking_add_observer(exporter, path="/a/y")
    hub["x"] = 1
    hub["y"] = 1
    del hub["x"]
    exporter.flush(30)
    expected = [{0}, {0, 2}, {0, 1}]
    ids = {uuid_of(root): n for n, root in enumerate(roots)}
    assert expected == [{ids[each] for each in roots_in(line)} for line in changes_in(lines())]


def test_weak_exporters_get_a_change_once() -> None:
    """An exporter that is held weakly is called once, and a dead one never."""
    called = []

    class Once:
        tracking_once = True

        def __call__(self, change: Any) -> None:
            called.append(change)

    hub = TrackedDict()
    roots = [TrackedDict(a=hub) for _ in range(3)]
    once: Any = Once()
    for root in roots:
        root.tracking_add_observer(once, weak=True)
    hub["x"] = 1
    assert [3] == [1 + len(change.also) for change in called]
    gone = weakref.ref(once)
    called.clear()
    del once
    gc.collect()
    assert gone() is None
    again = Once()
    roots[0].tracking_add_observer(again)
    hub["x"] = 2
    assert [()] == [change.also for change in called]


def test_an_exporter_that_an_observer_adds_meanwhile_is_no_error() -> None:
    """Of the change at hand it may get a line, and of the next one it does."""
    seen: list[Any] = []
    exporter = exporters.HttpExporter(lambda url, json: seen.append(json), "http://localhost/audit")
    other = exporters.HttpExporter(lambda url, json: None, "http://localhost/audit")
    hub = TrackedDict()
    roots = [TrackedDict(a=hub), TrackedDict(b=hub)]

    def add(change: Any) -> None:
        if not seen:
            for root in roots:
                root.tracking_add_observer(exporter)

    hub.tracking_add_observer(add)
    for root in roots:
        root.tracking_add_observer(other)
    hub["x"] = 1
    before = _core.newest_seq()
    hub["x"] = 2
    (line,) = [line for line in changes_in(seen) if line["seq"] > before]
    assert {uuid_of(root) for root in roots} == roots_in(line)


# ---- what a receiver makes of it


@pytest.mark.parametrize("format", ["native", "cloudevents", "debezium", "json-patch"])
def test_every_format_says_where_else_a_change_is(format: str) -> None:
    """A format names all roots in one message, or each root has its own."""
    sent: list[tuple[str, Any]] = []

    class Producer:
        def produce(self, topic: str, value: bytes) -> None:
            sent.append((topic, json.loads(value)))

    hub = TrackedDict()
    roots = [TrackedDict(a=hub), TrackedList([hub])]
    exporter = exporters.KafkaExporter(Producer(), topic="t", format=format)
    for root in roots:
        root.tracking_add_observer(exporter)
    sent.clear()
    hub["x"] = 1
    messages = [message for _, message in sent]
    first, second = map(uuid_of, roots)
    if format == "json-patch":
        assert [["/a/x"], ["/0/x"]] == sorted(([row["path"] for row in each] for each in messages), reverse=True)
        return
    (message,) = messages
    if format == "debezium":
        assert {first, second} == {message["source"]["name"], *(root for root, _ in message["source"]["also"])}
        return
    line = message["data"] if format == "cloudevents" else message
    assert {first, second} == roots_in(line)
    assert line["root"] in message.get("source", line["root"])


def test_the_rows_of_a_root_can_be_selected(make: Make, tmp_path: Path) -> None:
    """The query of docs/exporters.md finds all changes of a root in SQLite."""
    exporter, _ = make("sqlite")
    hub = TrackedDict()
    roots = [TrackedDict(a=hub), TrackedList([hub]), TrackedDict()]
    for root in roots:
        root.tracking_add_observer(exporter)
    hub["x"] = 1
    roots[2]["y"] = 1
    assert exporter.flush(30), exporter.stats()
    connection = sqlite3.connect(tmp_path / "x.db")
    query = (
        "SELECT pointer FROM changes WHERE action <> 'init' AND (root = :root OR EXISTS (SELECT 1 FROM"
        " json_each(line, '$.also') AS a WHERE json_extract(a.value, '$[0]') = :root))"
    )
    found = [connection.execute(query, {"root": uuid_of(root)}).fetchall() for root in roots]
    connection.close()
    assert found[0] == found[1]
    assert [1, 1] == [len(each) for each in found[1:]]
    assert [("/y",)] == found[2]


def test_the_rows_of_a_root_can_be_selected_in_postgresql(make: Make, postgres: Postgres) -> None:
    """So does that for PostgreSQL."""
    exporter, _ = make("postgresql")
    import sqlalchemy

    hub = TrackedDict()
    roots = [TrackedDict(a=hub), TrackedList([hub]), TrackedDict()]
    for root in roots:
        root.tracking_add_observer(exporter)
    hub["x"] = 1
    roots[2]["y"] = 1
    assert exporter.flush(30), exporter.stats()
    engine = sqlalchemy.create_engine(postgres.url)
    query = (
        "SELECT pointer FROM changes WHERE action <> 'init' AND"
        " (root = :root OR line->'also' @> jsonb_build_array(jsonb_build_array(CAST(:root AS text))))"
    )
    with engine.connect() as connection:
        found = [connection.execute(sqlalchemy.text(query), {"root": uuid_of(root)}).fetchall() for root in roots]
    engine.dispose()
    assert found[0] == found[1]
    assert [1, 1] == [len(each) for each in found[1:]]


def test_attributes_of_opentelemetry_are_bounded(make: Make) -> None:
    """Rows of `also` that do not fit are counted; what is there is JSON."""
    exporter, lines = make("otel_provider")
    hub = TrackedDict()
    roots = [TrackedDict(a=hub) for _ in range(200)]
    for root in roots:
        root.tracking_add_observer(exporter)
    hub["x"] = 1
    (line,) = changes_in(lines())
    assert 199 == len(line["also"]) + line["also_cut"]
    assert len(json.dumps(line["also"], separators=(",", ":"))) <= 4096
    assert len(line["also"]) > 50
