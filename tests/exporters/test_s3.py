"""``S3Exporter`` against a real S3 server on the loopback interface."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from peers import CREDENTIALS, Bucket, bucket, fill

from pydatatracker import TrackedDict
from pydatatracker.exporters import Item, S3Exporter
from pydatatracker.exporters.s3 import _key

__all__ = ["bucket"]  # the fixtures


def test_s3_listing_gives_the_order_and_a_repetition_makes_no_object(bucket: Bucket) -> None:
    """Each batch is one object, even if it is sent twice.

    Sorted by name, the objects are in the order of the changes.
    """
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
    """DuckDB reads the Parquet objects as one table, in the order of names."""
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


@pytest.mark.parametrize("given", [{}, {"bucket": ""}, {"bucket": 5}, {"bucket": b"b"}, {"client": object()}])
def test_a_bucket_has_to_be_named(given: Any) -> None:
    """Without the name of a bucket the error says how it is given."""
    with pytest.raises(TypeError, match=r"needs a bucket: S3Exporter\('audit-log'\)"):
        S3Exporter(**given)
    with pytest.raises(TypeError, match="needs a bucket"):
        S3Exporter("")


def test_a_key_sorts_by_time_and_is_that_of_its_items() -> None:
    """UTC time, both seqs with twenty digits, twelve characters of the id."""
    first, last = Item(b"{}", 7, "root", 1_795_750_000_123_456_789, "0123456789abcdef"), Item(b"{}", 12, "root", 9, "f")
    expected = "log/2026/11/27/032640.123457Z-00000000000000000007-00000000000000000012-0123456789ab.jsonl"
    assert expected == _key("log/", [first, last], ".jsonl")


def test_s3_down_and_back() -> None:
    """Nothing accepted is lost while S3 is down, and order holds."""
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

    urllib3.PoolManager(retries=False).request("PUT", f"{bucket.endpoint}/audit")  # a restarted moto is empty
    assert exporter.flush(60), exporter.stats()
    exporter.close()
    assert list(range(20)) == [line["after"] for line in bucket.lines()]
    bucket.down()


def test_s3_custom_client() -> None:
    """A client's put_object is called synchronously, once per change."""
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
