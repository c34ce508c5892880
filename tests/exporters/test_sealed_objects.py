"""Objects with seals, in a real S3 server on the loopback interface."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from peers import CREDENTIALS, Bucket, bucket, fill

from pydatatracker import TrackedDict
from pydatatracker.exporters import S3Exporter
from pydatatracker.exporters.base import item_of
from pydatatracker.exporters.s3 import S3Sink
from pydatatracker.exporters.sealing import ObjectSeals
from pydatatracker.io import read_changes
from pydatatracker.io.seal_check import check_seals

pytest.importorskip("cryptography")

__all__ = ["bucket"]  # the fixtures


def download(bucket: Bucket, prefix: str, folder: pathlib.Path) -> list[pathlib.Path]:
    """Download objects, in the order of their names."""
    from obstore.store import S3Store

    store = S3Store("audit", endpoint=bucket.endpoint, client_options={"allow_http": True}, **CREDENTIALS)  # type: ignore[arg-type]
    files = []
    for n, key in enumerate(sorted(meta["path"] for page in store.list(prefix=prefix) for meta in page)):
        files.append(folder / f"{n:03}.jsonl.gz")
        files[-1].write_bytes(bytes(store.get(key).bytes()))
    return files


def test_each_object_is_sealed_and_names_the_one_before(bucket: Bucket, tmp_path: pathlib.Path) -> None:
    """Each object is right by itself, and one that is missing is noticed."""
    from pydatatracker.io.keys import new_key

    key = new_key(tmp_path / "a.pem", tmp_path / "a.pub.pem")
    options: dict[str, Any] = {"endpoint": bucket.endpoint, "config": dict(CREDENTIALS), "batch_items": 10}
    with S3Exporter("audit", prefix="sealed/", seal=True, seal_key=tmp_path / "a.pem", **options) as exporter:
        fill(TrackedDict(), exporter, 55)
        assert exporter.flush(60), exporter.stats()
    files = download(bucket, "sealed/", tmp_path)
    assert len(files) > 3
    for file in files:
        report = check_seals([file], key=key)
        assert ([], 1) == (report.faults, len(report.roots))
    assert ([], []) == (check_seals(files, key=key).faults, check_seals(files, key=key).notes)
    assert 55 == sum(len(list(read_changes(file))) for file in files)
    (note,) = check_seals(files[:1] + files[2:], key=key).notes
    assert "in none of these files" in note
    (fault,) = check_seals(files[:-1], roots=[check_seals(files).roots[-1].root]).faults
    assert "is missing" in fault.reason


def test_a_batch_that_is_sent_again_is_the_same_object(bucket: Bucket, tmp_path: pathlib.Path) -> None:
    """After a lost answer the object exists, and the next one names it.

    That of another writer is not named.
    """
    d = TrackedDict()
    items = []
    for n in range(3):
        d["n"] = n
        change = d.last_change()
        assert change is not None
        items.append(item_of(change))
    seals = ObjectSeals(None)
    sink = S3Sink("audit", prefix="again/", endpoint=bucket.endpoint, seals=seals, **CREDENTIALS)
    sink.send(items[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seals, "sent", lambda was_there=False: None)  # the answer is lost
        sink.send(items[1:2])
    sink.send(items[1:2])
    sink.send(items[2:])
    S3Sink("audit", prefix="again/", endpoint=bucket.endpoint, seals=ObjectSeals(None), **CREDENTIALS).send(items[2:])
    files = download(bucket, "again/", tmp_path)
    assert 3 == len(files)
    report = check_seals(files)
    assert ([], [], 3) == (report.faults, report.notes, report.chains)


@pytest.mark.parametrize(
    "options", [{"body": "parquet"}, {"format": "debezium"}, {"client": object()}, {"seal_key": b"x", "seal": False}]
)
def test_what_cannot_be_sealed(options: Any) -> None:
    """Another body or format, and a client of the user's, are refused."""
    with pytest.raises((ValueError, ImportError), match=r"seal=True|duckdb"):
        S3Exporter(bucket="audit", **{"seal": True, **options})
