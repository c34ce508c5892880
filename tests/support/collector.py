"""An OTLP/HTTP receiver of logs that answers as a test says."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import threading
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from server import ScriptedServer, reply, reset


def value_of(value: Any) -> Any:
    """Return the Python value of an AnyValue."""
    return getattr(value, value.WhichOneof("value"))


class Record:
    """One log record as it arrived."""

    def __init__(self, record: Any, scope: Any, resource: dict[str, Any]) -> None:
        self.event = record.event_name
        self.time_ns = record.time_unix_nano
        self.observed_ns = record.observed_time_unix_nano
        self.trace_id = record.trace_id.hex()
        self.span_id = record.span_id.hex()
        self.flags = record.flags
        self.severity = record.severity_text
        self.body = value_of(record.body)
        self.attributes = {pair.key: value_of(pair.value) for pair in record.attributes}
        self.scope = scope.scope.name
        self.resource = resource

    def __getitem__(self, name: str) -> Any:
        return self.attributes[f"pydatatracker.{name}"]


class Collector(ScriptedServer):
    """A receiver that answers as ``answers`` says, one entry per request.

    After the last entry it always answers 200. An entry is (status, headers, body); or "reset", which resets the
    connection before an answer and keeps nothing; or "lost", which keeps the records and then resets the
    connection; or an Event, for which it waits before it keeps them.
    """

    def __init__(self, port: int = 0) -> None:
        self.records: list[Record] = []
        self.batches: list[int] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        super().__init__(port)

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        answer = self.answers.pop(0) if self.answers else (200, {}, b"")
        self.requests.append((request.path, dict(request.headers)))
        if isinstance(answer, threading.Event):
            assert answer.wait(30)
            answer = (200, {}, b"")
        if answer == "lost" or (answer != "reset" and answer[0] == 200):
            self.take(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
        if isinstance(answer, str):
            reset(request)
            return
        status, headers, data = answer
        with contextlib.suppress(OSError):  # the client did not wait
            reply(request, status, {**headers, "Content-Type": "application/x-protobuf"}, data)

    def take(self, body: bytes) -> None:
        """Decode a request."""
        found = []
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            resource = {pair.key: value_of(pair.value) for pair in of_resource.resource.attributes}
            for scope in of_resource.scope_logs:
                found += [Record(record, scope, resource) for record in scope.log_records]
        self.records += found
        self.batches.append(len(found))

    def afters(self) -> list[str]:
        """Return the stored values as JSON text, in order of arrival."""
        return [record["after"] for record in self.records]


def partial(rejected: int, message: str) -> bytes:
    """Return the body of an answer that accepted only a part."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = rejected
    answer.partial_success.error_message = message
    return answer.SerializeToString()
