"""An OTLP/HTTP receiver of logs on the loopback interface: it decodes what it takes, and answers as a test says."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import threading
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse


def value_of(value: Any) -> Any:
    """The Python value of an AnyValue."""
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


class Collector:
    """Takes requests as ``answers`` says, an entry a request, then 200 for ever.

    An entry is (status, headers, body); "reset": the connection is reset before an answer, nothing taken; "lost": it is
    taken, and then reset; an Event: it waits for that, then takes it.
    """

    def __init__(self, port: int = 0) -> None:
        self.records: list[Record] = []
        self.batches: list[int] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: list[Any] = []
        self.connections = 0
        self.open: set[socket.socket] = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()
                outer.open.add(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = outer.answers.pop(0) if outer.answers else (200, {}, b"")
                outer.requests.append((self.path, dict(self.headers)))
                if isinstance(answer, threading.Event):
                    assert answer.wait(30)
                    answer = (200, {}, b"")
                if answer == "lost" or (answer != "reset" and answer[0] == 200):
                    outer.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                if isinstance(answer, str):
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, data = answer
                with contextlib.suppress(OSError):  # a client that did not wait
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:  # a redirect that was followed
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.port: int = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def take(self, body: bytes) -> None:
        """Decode a request."""
        found = []
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            resource = {pair.key: value_of(pair.value) for pair in of_resource.resource.attributes}
            for scope in of_resource.scope_logs:
                found += [Record(record, scope, resource) for record in scope.log_records]
        self.records += found
        self.batches.append(len(found))

    def stop(self) -> None:
        """Stop listening, and cut the connections."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def afters(self) -> list[str]:
        """What the changes stored, as JSON text, in the order of arrival."""
        return [record["after"] for record in self.records]


def partial(rejected: int, message: str) -> bytes:
    """The body of an answer that took a part."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = rejected
    answer.partial_success.error_message = message
    return answer.SerializeToString()
