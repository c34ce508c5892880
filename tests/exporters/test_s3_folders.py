"""``S3Exporter(partition=)``: objects in folders of days and hosts."""

from __future__ import annotations

import json
import pathlib
import socket
from typing import Any

import pytest
from command import change
from peers import CREDENTIALS, Bucket, bucket, fill

from pydatatracker import TrackedDict
from pydatatracker.exporters import Item, S3Exporter, SinkUnavailable
from pydatatracker.exporters.folders import Folders
from pydatatracker.exporters.s3 import S3Sink, _key
from pydatatracker.exporters.sealing import ObjectSeals

__all__ = ["bucket"]  # the fixtures

DAY = 86_400 * 10**9
MIDNIGHT = 20_785 * DAY  # 2026-11-28 in UTC


def store_of(bucket: Bucket) -> Any:
    from obstore.store import S3Store

    return S3Store("audit", endpoint=bucket.endpoint, client_options={"allow_http": True}, **CREDENTIALS)  # type: ignore[arg-type]


def keys_below(bucket: Bucket, prefix: str) -> list[str]:
    return sorted(meta["path"] for page in store_of(bucket).list(prefix=prefix) for meta in page)


def items_at(*times: int) -> list[Item]:
    """Return an item for each time."""
    return [
        Item(change(seq=n, time_ns=time, uuid=f"{n:032x}").strip(), n, "root", time, f"{n:032x}")
        for n, time in enumerate(times)
    ]


def test_a_key_begins_with_the_folders_of_its_first_item() -> None:
    """Day in UTC, host escaped, then a name that sorts by time."""
    item = Item(b"{}", 7, "root", MIDNIGHT - 1000, "0123456789abcdef")
    tail = "-00000000000000000007-00000000000000000007-0123456789ab.jsonl"
    for partition, folder in (
        ("day,host", "day=2026-11-27/host=a%2Fb"),
        ("host,day", "host=a%2Fb/day=2026-11-27"),
        ("host", "host=a%2Fb"),
    ):
        key = _key("lake/", [item], ".jsonl", Folders(partition, "a/b"))
        assert f"lake/{folder}/20261127T235959.999999Z{tail}" == key


def test_the_host_is_this_machine_by_default(bucket: Bucket) -> None:
    """Without host= the folder is named after the machine."""
    with S3Exporter(
        "audit", prefix="mine/", endpoint=bucket.endpoint, config=dict(CREDENTIALS), partition="host"
    ) as exporter:
        fill(TrackedDict(), exporter, 1)
        assert exporter.flush(60), exporter.stats()
    (key,) = keys_below(bucket, "mine/")
    assert key.startswith(f"mine/host={socket.gethostname()}/")


@pytest.mark.parametrize("body", ["ndjson", "parquet"])
def test_an_engine_reads_day_and_host(bucket: Bucket, body: Any) -> None:
    """DuckDB has both as columns, for a hostile name of a host, too."""
    pytest.importorskip("duckdb", reason="the extra query is not installed")
    pytest.importorskip("fsspec", reason="the extra s3 is not installed")
    import duckdb

    from pydatatracker.query.s3 import Buckets
    from pydatatracker.query.views import view_statements

    host = "it's /../50% ü*"
    sink = S3Sink(
        "audit", prefix=f"{body}/", endpoint=bucket.endpoint, body=body, folders=Folders("day,host", host), **CREDENTIALS
    )  # fmt: skip
    times = [MIDNIGHT - 2, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1, MIDNIGHT - 1]  # a clock that was set back
    for _ in range(2):  # an answer was lost: it is sent again
        sink.send(items_at(*times))
    assert 3 == len(keys_below(bucket, body))
    with pytest.MonkeyPatch.context() as patch:
        names = {
            "access_key_id": "AWS_ACCESS_KEY_ID",
            "secret_access_key": "AWS_SECRET_ACCESS_KEY",
            "region": "AWS_REGION",
        }
        for name, given in CREDENTIALS.items():
            patch.setenv(names[name], given)
        patch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
        connection = duckdb.connect()
        connection.register_filesystem(Buckets())
        form = "jsonl" if body == "ndjson" else "parquet"
        for statement in view_statements("duckdb", f"s3://audit/{body}", form=form, partitions=("day", "host")):
            connection.execute(statement)
        rows = connection.execute("SELECT seq, day, host FROM changes ORDER BY seq").fetchall()
        connection.close()
    days = ["2026-11-27", "2026-11-27", "2026-11-28", "2026-11-28", "2026-11-27"]
    assert [(n, day, host) for n, day in enumerate(days)] == rows


@pytest.mark.parametrize("seal", [False, True])
def test_a_batch_that_is_stored_in_part_is_completed(bucket: Bucket, seal: bool) -> None:
    """What is stored is not put again, and seals follow each other."""
    prefix = f"part-{seal}/"
    seals = ObjectSeals(None) if seal else None
    sink = S3Sink(
        "audit", prefix=prefix, endpoint=bucket.endpoint, seals=seals, folders=Folders("day", "a"), **CREDENTIALS
    )  # fmt: skip
    real, put = sink._put, []

    def once_down(key: str, items: list[Item]) -> None:
        put.append(key)
        if len(put) == 2:
            raise SinkUnavailable("down")
        real(key, items)

    sink._put = once_down  # type: ignore[method-assign]
    items = items_at(MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY)
    with pytest.raises(SinkUnavailable):
        sink.send(items)
    sink.send(items)
    assert [put[0], put[1], put[1]] == put[:3]
    assert (4, set()) == (len(put), sink._stored)
    found = bucket.lines(prefix)
    changes = [line for line in found if line["action"] != "seal"]
    assert [json.loads(item.line)["seq"] for item in items] == [line["seq"] for line in changes]
    if seal:
        begins = [line for line in found if line.get("kind") == "begin"]
        ends = [line["seal"] for line in found if line.get("kind") == "root"]
        assert 3 == len(begins)
        assert not begins[0].get("follows")
        assert [text.rpartition(":")[2] for text in ends[:2]] == [
            line["follows"].rpartition(":")[2] for line in begins[1:]
        ]


def test_a_client_of_your_own_gets_the_folders(tmp_path: pathlib.Path) -> None:
    """put_object is called with a key below the folders."""
    keys: list[str] = []

    class Client:
        def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
            keys.append(Key)

    fill(TrackedDict(), S3Exporter(Client(), bucket="audit", prefix="p/", partition="host,day", host="web"), 2)
    assert [True, True] == [key.startswith("p/host=web/day=2") for key in keys]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partition": "week"}, "unknown partition 'week'"),
        ({"partition": ""}, "the partition is empty"),
        ({"partition": "day", "host": ""}, "the host is ''"),
        ({"host": "a"}, "it needs partition="),
        ({"partition": "day", "prefix": "lake"}, "write 'lake/', not 'lake'"),
    ],
)
def test_wrong_folders_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(ValueError, match=message):
        S3Exporter("audit", config=dict(CREDENTIALS), **options)
