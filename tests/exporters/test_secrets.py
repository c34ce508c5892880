"""No text of an exporter or a configuration holds a secret."""

from __future__ import annotations

import json
import logging
import pathlib
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from builds import needs_msgspec
from hypothesis import given
from hypothesis import strategies as st
from server import ScriptedServer, reply

from pydatatracker import ConfigurationError, TrackedDict, load_observers_from_json
from pydatatracker.exporters import (
    Delivery,
    Exporter,
    HttpExporter,
    Item,
    KafkaExporter,
    OpenTelemetryExporter,
    S3Exporter,
    SinkRejected,
    SqlExporter,
)
from pydatatracker.exporters.secrets import clean, secrets_in

SECRET = "S3cr3t-of-ann"
HEADERS = [
    {"Authorization": f"Bearer {SECRET}"},
    {"Cookie": f"sid={SECRET}; a=b"},
    {"X-Api-Key": SECRET},
    {"X-Whatever": SECRET},
]
Make = Callable[[], Any]


# what each kind of exporter needs; all but http are of the group peers
NEEDS = {
    "http": "urllib3",
    "otel": "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry": "opentelemetry.exporter.otlp.proto.http",
    "sql": "sqlalchemy",
    "kafka": "confluent_kafka",
    "s3": "obstore",
}


def needs(kind: str) -> None:
    """Skip a test whose exporter cannot be made here."""
    pytest.importorskip(NEEDS[kind], reason=f"what the exporter of kind {kind} needs is not installed")
    if kind == "sql":
        pytest.importorskip("psycopg", reason="psycopg, the driver of PostgreSQL, is not installed")


def everything(error: BaseException) -> str:
    """Return all text that a program may show of an error."""
    parts = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(error.args)]
    return "\n".join(parts)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("http://ann:pw@h/path", {"ann:pw", "pw", "YW5uOnB3"}),
        ("ann:pw@h", {"pw"}),
        ("http://h/?token=abc&x=def#ghi", {"token=abc&x=def#ghi", "abc", "def"}),
        ("http://h:80/path", set()),
        ("h:80", set()),
        ("mail@h", set()),
        ("text", set()),
    ],
)
def test_what_is_secret_in_a_url(option: str, expected: set[str]) -> None:
    """User, password and query are secret; host, port and path are not."""
    found = set(secrets_in(option))
    assert expected <= found
    assert not found & {"h", "80", "h:80", "http", "/path", "path", "text", "mail", "mail@h", option}
    assert bool(expected) == bool(found)


CONSTRUCTORS: list[tuple[str, Make]] = [
    ("http, scheme", lambda: HttpExporter(f"htp://ann:{SECRET}@h")),
    ("http, no slashes", lambda: HttpExporter(f"http:ann:{SECRET}@h")),
    ("http, address", lambda: HttpExporter(f"http://ann:{SECRET}@[::1/a", body="x")),
    ("http, option", lambda: HttpExporter(f"http://ann:{SECRET}@h", method2=SECRET)),
    ("http, query", lambda: HttpExporter(f"ftp://h/?token={SECRET}")),
    ("http, full width", lambda: HttpExporter(f"http://ann:{SECRET}@h\u2100/", max_items=0)),
    ("otel, scheme", lambda: OpenTelemetryExporter(f"htp://ann:{SECRET}@h")),
    ("otel, headers", lambda: OpenTelemetryExporter("http://h", headers={"Authorization": SECRET}, max_items=0)),
    ("sql, no url", lambda: SqlExporter(f"postgresql//ann:{SECRET}@h/db")),
    ("sql, dialect", lambda: SqlExporter(f"postgrexql://ann:{SECRET}@h/db")),
    ("sql, port", lambda: SqlExporter(f"postgresql+psycopg://ann:{SECRET}@h:port/db")),
    ("sql, option", lambda: SqlExporter(f"postgresql+psycopg://ann:{SECRET}@h/db?password={SECRET}", max_items=0)),
    ("kafka, value", lambda: KafkaExporter("t", config={"bootstrap.servers": "h:1", "sasl.password": [SECRET]})),
    ("kafka, option", lambda: KafkaExporter("t", config={"bootstrap.servers": "h:1", "sasl.passwort": SECRET})),
    ("kafka, mechanism", lambda: KafkaExporter("t", config={
        "bootstrap.servers": "h:1", "sasl.password": SECRET, "sasl.username": "a", "sasl.mechanism": "x",
        "security.protocol": "SASL_SSL",
    })),
    ("s3, endpoint", lambda: S3Exporter("b", endpoint=f"htp://ann:{SECRET}@h", config={"secret_access_key": SECRET})),
    ("s3, option", lambda: S3Exporter("b", config={"secret_access_key": SECRET, "tokn": SECRET, "session_token": SECRET})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), CONSTRUCTORS, ids=[name for name, _ in CONSTRUCTORS])
def test_errors_of_constructors_have_none(name: str, make: Make) -> None:
    """Whatever is wrong in the arguments, the error does not hold the secret."""
    needs(name.partition(",")[0])
    try:
        exporter = make()
    except Exception as error:
        said = everything(error)
    else:
        said = f"{exporter!r} {exporter._delivery.name}"
        exporter.close(0)
    assert SECRET not in said


class Server(ScriptedServer):
    """Answers with what it was sent, as some proxies do."""

    def answer(self, request: Any, body: bytes) -> None:
        said = f"{request.path} {dict(request.headers)}".encode()
        reply(request, self.answers.pop(0) if self.answers else 200, {}, said)


def send_errors(exporter: Any, caplog: pytest.LogCaptureFixture) -> str:
    """Return all text of an exporter whose sink refuses a change."""
    d = TrackedDict()
    d.tracking_add_observer(exporter)
    d["a"] = 1
    exporter.flush(1)
    exporter.close(0.1)
    parts = [str(exporter.stats()), repr(exporter), caplog.text]
    parts += [f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in caplog.records]
    return "\n".join(parts)


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers)))
@pytest.mark.parametrize("kind", [HttpExporter, OpenTelemetryExporter])
def test_what_a_server_repeats_is_cleaned(
    kind: Any, headers: dict[str, str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that repeats the request brings no secret into a message."""
    needs("http" if kind is HttpExporter else "otel")
    server = Server()
    server.answers = [status] * 50
    try:
        url = server.url.replace("//", f"//ann:{SECRET}@") + f"/audit?token={SECRET}"
        said = send_errors(kind(url, headers=headers, retry_first=0.01, retry_most=0.02), caplog)
    finally:
        server.stop()
    assert str(status) in said
    assert SECRET not in said


DOWN: list[tuple[str, Make]] = [
    ("http", lambda: HttpExporter(f"http://ann:{SECRET}@127.0.0.1:9/?token={SECRET}", headers={"Authorization": SECRET})),
    ("http, header", lambda: HttpExporter("http://127.0.0.1:9/", headers={"Authorization": f"{SECRET}\n"})),
    ("otel", lambda: OpenTelemetryExporter(f"http://ann:{SECRET}@127.0.0.1:9/?token={SECRET}")),
    ("sql", lambda: SqlExporter(f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:9/db?connect_timeout=1")),
    ("kafka", lambda: KafkaExporter("t", timeout=0.1, config={
        "bootstrap.servers": "127.0.0.1:9", "sasl.password": SECRET, "sasl.username": "ann", "sasl.mechanism": "PLAIN",
        "security.protocol": "SASL_PLAINTEXT",
    })),
    ("s3", lambda: S3Exporter("b", endpoint=f"http://ann:{SECRET}@127.0.0.1:9", config={
        "access_key_id": SECRET, "secret_access_key": SECRET, "session_token": SECRET, "region": "x",
    })),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), DOWN, ids=[name for name, _ in DOWN])
def test_errors_of_sending_have_none(name: str, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A peer that cannot be reached, and the sink's own error."""
    needs(name.partition(",")[0])
    exporter = make()
    with pytest.raises(Exception) as raised:
        exporter._delivery._sender._sink.send([Item(b'{"v":1,"action":"add","pointer":"/a"}', 1, "r", 1, "i")])
    assert SECRET not in everything(raised.value)
    assert SECRET not in send_errors(exporter, caplog)


@pytest.mark.parametrize("background", [True, False])
def test_a_client_of_the_program_is_cleaned_too(background: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Errors of a client are cleaned by names in them, and by its options."""

    def post(url: str, json: Any, **kw: Any) -> None:
        raise OSError(f"{url} refused {kw} Authorization: Basic {SECRET} password={SECRET} key is {SECRET}")

    url = f"https://ann:{SECRET}@h/"
    exporter = HttpExporter(post, url, background=background, headers={"X-Api-Key": SECRET})
    assert SECRET not in send_errors(exporter, caplog)


def test_a_sink_of_the_program_is_cleaned_too(caplog: pytest.LogCaptureFixture) -> None:
    """A sink's own ``secrets`` are hidden in whatever it raises."""

    class Mine:
        secrets = (SECRET,)

        def send(self, items: list[Item]) -> None:
            raise SinkRejected(f"not for {SECRET}")

        def close(self) -> None:
            raise OSError(SECRET)

    assert SECRET not in send_errors(Exporter(Delivery(Mine(), name="mine")), caplog)


WRONG: list[dict[str, Any]] = [
    {"type": "http", "options": {"url": f"htp://ann:{SECRET}@h"}},
    {"type": "http", "options": {"url": f"http://ann:{SECRET}@h", "headers": {"Authorization": 5}, "body": SECRET[:0]}},
    {"type": "opentelemetry", "options": {"endpoint": f"htp://ann:{SECRET}@h"}},
    {"type": "sql", "options": {"url": f"postgrexql://ann:{SECRET}@h/db"}},
    {"type": "sql", "options": {"url": f"ann:{SECRET}@h/db"}},
    {"type": "kafka", "options": {"topic": "t", "config": {"bootstrap.servers": "h", "sasl.passwort": SECRET}}},
    {"type": "s3", "options": {"bucket": "b", "config": {"secret_access_key": SECRET, "tokn": SECRET}}},
    {"type": "http", "options": {"url": "${URL:-" + f"htp://ann:{SECRET}@h" + "}"}},
]


@needs_msgspec
@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry["type"])
def test_errors_of_a_configuration_have_none(entry: dict[str, Any], tmp_path: pathlib.Path) -> None:
    """Neither its problems, nor its text, nor its traceback."""
    needs(entry["type"])
    path = tmp_path / "observers.json"
    path.write_text(json.dumps([entry]))
    with pytest.raises(ConfigurationError) as raised:
        load_observers_from_json(path)
    assert SECRET not in everything(raised.value)
    assert SECRET not in str(raised.value.problems)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\"\\<>*"), min_size=8).filter(
    lambda text: not text.isalpha()
)


@given(SECRETS, st.sampled_from(["{}", "x {} y", "{{'a': '{}'}}", "{}{}"]))
def test_what_is_known_is_hidden_everywhere(secret: str, around: str) -> None:
    """A secret of the options is hidden wherever a text has it."""
    known = secrets_in({"headers": {"X-Key": secret}})
    assert secret not in clean(around.replace("{}", secret), known)


PLAIN = [
    "OSError: [Errno 111] Connection refused",
    "the log /var/log/app/changes.jsonl is closed",
    "options.token: expected a string",
    "https://host:8080/audit answered 503 Service Unavailable",
    "unknown format 'cloudevent'; did you mean 'cloudevents'?",
    "S3Exporter('audit-log'): 3 changes were not sent",
]


@pytest.mark.parametrize("text", PLAIN)
def test_a_text_without_secrets_is_untouched(text: str) -> None:
    """What helps to find a mistake stays."""
    assert text == clean(text)


def test_a_logging_handler_that_raises_changes_nothing() -> None:
    """The error of a handler reaches neither the program nor the thread."""

    class Handler(logging.Handler):
        def handle(self, record: logging.LogRecord) -> Any:
            raise RuntimeError("no")

    handler = Handler()
    logging.getLogger("pydatatracker").addHandler(handler)
    try:

        def post(url: str, json: Any) -> None:
            raise OSError("down")

        d = TrackedDict()
        exporter = HttpExporter(post, "http://h")
        d.tracking_add_observer(exporter)
        d["a"] = 1
        assert 1 == exporter.stats().dropped
    finally:
        logging.getLogger("pydatatracker").removeHandler(handler)
