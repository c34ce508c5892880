"""HttpExporter with a real server: up, down, slow, refusing, resetting."""

from __future__ import annotations

import datetime
import email.utils
import json
import pathlib
from typing import Any

import pytest
from peers import Server, server

from pydatatracker import TrackedDict
from pydatatracker.exporters.http import HttpExporter, check_answer
from pydatatracker.exporters.sink import SinkRejected, SinkUnavailable

pytest.importorskip("urllib3", reason="the extra http is not installed")
__all__ = ["server"]


@pytest.mark.parametrize(
    "options", [{}, {"body": "array"}, {"compress": True}, {"body": "array", "compress": True, "compact": True}]
)
def test_batches_arrive_in_order_over_one_connection(server: Server, options: Any) -> None:
    """Batches arrive in order over one connection, in every encoding."""
    d = TrackedDict()
    with HttpExporter(server.url, headers={"Authorization": "Bearer x"}, batch_items=10, **options) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(55):
            d["n"] = n
        assert exporter.flush(30)
    assert list(range(55)) == [change["after"] for change in server.changes()]
    assert 1 == server.connections
    path, headers, _ = server.requests[0]
    assert ("/audit", "Bearer x") == (path, headers["Authorization"])
    assert ("application/json" if "body" in options else "application/x-ndjson") == headers["Content-Type"]
    assert 55 == exporter.stats().sent


@pytest.mark.parametrize("answer", [(429, {"Retry-After": "0"}), (503, {}), (500, {}), (408, {}), "reset"])
def test_temporary_errors_are_retried(server: Server, answer: Any) -> None:
    """Temporary errors are retried; counts match and order holds."""
    server.answers = [answer, answer]
    d = TrackedDict()
    with HttpExporter(server.url, retry_first=0.001, batch_items=5) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(12):
            d["n"] = n
    assert list(range(12)) == [change["after"] for change in server.changes()]
    assert 2 == exporter.stats().retried


def test_retry_after_is_honoured_as_a_date_too(server: Server) -> None:
    """Retry-After may be seconds or a date; a past one means now (RFC 9110)."""
    past = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1), usegmt=True)
    server.answers = [(503, {"Retry-After": past}), (503, {"Retry-After": "nonsense"})]
    d = TrackedDict()
    with HttpExporter(server.url, retry_first=0.001) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        assert exporter.flush(30)
    assert 1 == len(server.changes())


def test_a_body_is_lines_or_an_array(server: Server) -> None:
    """ndjson: one line per change, each ended; array: one JSON array."""
    for body in ("ndjson", "array"):
        d = TrackedDict()
        with HttpExporter(server.url, body=body, batch_items=3, batch_age=60.0) as exporter:
            d.tracking_add_observer(exporter)
            for n in range(3):
                d["n"] = n
    lines, array = (data for _, _, data in server.requests)
    assert [0, 1, 2] == [json.loads(line)["after"] for line in lines.splitlines()]
    assert lines.endswith(b"\n")
    assert [0, 1, 2] == [change["after"] for change in json.loads(array)]


def test_a_redirection_is_not_followed(server: Server) -> None:
    """Each batch is one request; 3xx is an answer like 4xx."""
    server.answers = [(302, {"Location": server.url + "/elsewhere"})]
    d = TrackedDict()
    with HttpExporter(server.url, retry_first=0.001) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        assert exporter.flush(30)
    assert ([], 1, 0) == (server.requests, exporter.stats().rejected, exporter.stats().retried)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("nonsense", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """Anything else counts as not there."""
    with pytest.raises(SinkUnavailable) as caught:
        check_answer("http://h/", 503, b"", value)
    assert seconds == caught.value.retry_after


def test_retry_after_with_a_date_to_come() -> None:
    """The seconds are counted from now."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    with pytest.raises(SinkUnavailable) as caught:
        check_answer("http://h/", 429, b"", email.utils.format_datetime(moment, usegmt=True))
    assert 3590 < (caught.value.retry_after or 0) <= 3600


@pytest.mark.parametrize("status", range(100, 600, 7))
def test_every_status_is_taken_retried_or_refused(status: int) -> None:
    """2xx is taken; 408, 425, 429 and 5xx are retried; the rest is refused."""
    for code in (status, 199, 200, 299, 300, 408, 425, 429, 499, 500):
        if 200 <= code < 300:
            check_answer("http://h/", code, b"x", None)
        else:
            temporary = code in (408, 425, 429) or code >= 500
            with pytest.raises(SinkUnavailable if temporary else SinkRejected) as caught:
                check_answer("http://h/", code, b"x" * 1000, None)
            assert f"http://h/ answered {code} {'x' * 200}" == str(caught.value)


def test_other_4xx_go_to_the_dead_letters(server: Server, tmp_path: pathlib.Path, caplog: Any) -> None:
    """Other 4xx answers send the batch to the dead letters at once.

    Later batches are sent.
    """
    server.answers = [(400, {})]
    dead = tmp_path / "dead.jsonl"
    d = TrackedDict()
    with HttpExporter(server.url, dead_letter=dead) as exporter:
        d.tracking_add_observer(exporter)
        d["bad"] = 1
        assert exporter.flush(30)
        d["good"] = 2
    assert ["/bad"] == [json.loads(line)["pointer"] for line in dead.read_text().splitlines()]
    assert ["/good"] == [change["pointer"] for change in server.changes()]
    assert (1, 0) == (exporter.stats().rejected, exporter.stats().retried)
    assert "answered 400" in caplog.text


def test_a_server_that_is_down_and_comes_back() -> None:
    """The program goes on while the server is down; everything arrives."""
    first = Server()
    port = first.port
    d = TrackedDict()
    exporter = HttpExporter(first.url, retry_first=0.01, retry_most=0.1, batch_items=7)
    d.tracking_add_observer(exporter)
    d["n"] = -1
    assert exporter.flush(30)
    first.stop()
    for n in range(100):
        d["n"] = n
    assert not exporter.flush(0.2)
    second = Server(port)
    assert exporter.flush(60)
    exporter.close()
    second.stop()
    assert list(range(100)) == [change["after"] for change in second.changes()]


def test_a_custom_client_is_called_synchronously(caplog: pytest.LogCaptureFixture) -> None:
    """A client's post() is called synchronously, once per change.

    Its errors are counted and logged, never raised.
    """
    calls: list[Any] = []

    def post(url: str, json: Any, timeout: int) -> None:
        calls.append((url, json["after"], timeout))
        if json["after"] == 2:
            raise ConnectionError("gone")

    d = TrackedDict()
    exporter = HttpExporter(post, "http://x/", timeout=5)
    d.tracking_add_observer(exporter)
    d["a"] = 1
    assert [("http://x/", 1, 5)] == calls
    d["a"] = 2
    assert "ConnectionError: gone" in caplog.text
    assert (1, 1) == (exporter.stats().sent, exporter.stats().dropped)


def test_the_runtime_with_a_custom_client() -> None:
    """background=True calls the client from a thread, with retries."""
    calls: list[int] = []

    def post(url: str, json: Any) -> None:
        calls.append(json["after"])
        if len(calls) == 1:
            raise ConnectionError

    d = TrackedDict()
    with HttpExporter(post, "http://x/", background=True, retry_first=0.001) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
    assert [1, 1] == calls


@pytest.mark.parametrize(
    ("error", "args", "kwargs"),
    [
        (ValueError, ("ftp://x",), {}),
        (TypeError, (5,), {}),
        (TypeError, (print,), {}),
        (ValueError, ("http://x",), {"body": "xml"}),
        (ValueError, ("http://x",), {"on_full": "explode"}),
    ],
)
def test_bad_arguments(error: type[Exception], args: Any, kwargs: Any) -> None:
    """Wrong arguments are refused at once."""
    with pytest.raises(error):
        HttpExporter(*args, **kwargs)
