"""Sealed files: several writers, forks, crashes, rotation, keys.

Each log is checked as an auditor would check it.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, TrackedSet, load_observers_from_json, replay, track
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.io import read_changes
from pydatatracker.io.seal_check import SealReport, check_seals
from pydatatracker.io.seals import SealError

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def right(*paths: str | os.PathLike[str], **more: Any) -> SealReport:
    """Check files that have to be right; return the report."""
    report = check_seals(paths, **more)
    assert [] == [str(fault) for fault in report.faults]
    return report


def seal_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines() if b'"action":"seal"' in line]


def fill(path: pathlib.Path, count: int, **options: Any) -> None:
    d = TrackedDict()
    with JsonLinesExporter(path, seal=True, **options) as exporter:
        d.tracking_add_observer(exporter)
        for n in range(count):
            d["n"] = n
        assert exporter.flush(30)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"buffered": True},
        {"fsync": "always"},
        {"buffered": True, "fsync": "batch"},
        {"compact": True},
        {"mode": None},
    ],
)
@pytest.mark.parametrize("every", [1, 7, 1000])
def test_every_kind_of_line_is_sealed(tmp_path: pathlib.Path, options: Any, every: int) -> None:
    """Inits, changes of all containers and gaps are sealed."""
    path = tmp_path / "a.jsonl"
    x = track({"l": [1], "s": {1}, "d": {"t": (1, "\ud800")}})
    with JsonLinesExporter(path, seal=True, seal_every=every, **options) as exporter:
        x.tracking_add_observer(exporter)
        x["l"].extend([(2,), {3}])
        x["s"].add("é")
        x["d"]["q"] = object
        exporter.tracking_missed(x.last_change(), ValueError("not encoded"))
        exporter.flush(30)
        x["l"].sort(key=repr)
        x["l"].reverse()
        x.tracking_remove_observer(exporter)
    report = right(path)
    assert (1, 1) == (report.chains, len(report.roots))
    assert [] == report.notes
    raws = path.read_bytes().splitlines()
    assert all(b',"seal":"' in raw for raw in raws)
    data = [json.loads(raw) for raw in raws]
    assert [n for n, _ in enumerate(data, 1)] == [int(line["seal"].split(".")[1]) for line in data]


def test_threads_share_a_chain(tmp_path: pathlib.Path) -> None:
    """The lines of several threads and containers are one chain."""
    path = tmp_path / "a.jsonl"
    roots = [TrackedDict(), TrackedList(), TrackedSet()]
    with JsonLinesExporter(path, seal=True, seal_every=50) as exporter:
        for root in roots:
            root.tracking_add_observer(exporter)

        def work(k: int) -> None:
            for n in range(300):
                roots[0][k] = n
                roots[1].append(n)
                roots[2].add((k, n))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 3600 == exporter.stats().sent
    report = right(path)
    assert (1, 3600 + 1 + 74) == (report.chains, report.lines)


def test_a_log_that_is_opened_again_goes_on_in_a_linked_chain(tmp_path: pathlib.Path) -> None:
    """A restart begins a chain that names the last line.

    So that line cannot be cut off later.
    """
    path = tmp_path / "a.jsonl"
    for _ in range(3):
        fill(path, 5)
    report = right(path)
    assert (3, 3) == (report.chains, len(report.roots))
    lines = path.read_bytes().splitlines(keepends=True)
    begins = [n for n, line in enumerate(lines) if b'"kind":"begin"' in line]
    path.write_bytes(b"".join(lines[: begins[1] - 1] + lines[begins[1] :]))
    fault = check_seals([path]).faults[0]
    assert (begins[1], True) == (fault.line, "is missing before it" in fault.reason)
    path.write_bytes(b"".join(lines[begins[1] :]))
    assert 1 == check_seals([path]).faults[0].line


PROGRAM = """
import sys
from pydatatracker import TrackedDict
from pydatatracker.exporters import JsonLinesExporter
path, count, end = sys.argv[1], int(sys.argv[2]), sys.argv[3]
d = TrackedDict()
exporter = JsonLinesExporter(path, seal=True, seal_every=20, rotate_size=int(sys.argv[4]) or None, buffered=end == "buffered")
d.tracking_add_observer(exporter)
print("ready", flush=True)
sys.stdin.readline()
for n in range(count):
    d["n"] = n
print("done", flush=True)
if end == "kill":
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
if end == "exit":
    import os
    os._exit(0)
"""


def start(path: pathlib.Path, count: int, end: str = "", rotate: int = 0) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), str(count), end, str(rotate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"ready\n" == process.stdout.readline()
    return process


def go(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=100)


@pytest.mark.parametrize("end", ["", "buffered"])
def test_processes_that_write_to_one_file_have_a_chain_each(tmp_path: pathlib.Path, end: str) -> None:
    """Two processes that write together are two chains.

    Their ends are sealed though nobody closed them.
    """
    path = tmp_path / "a.jsonl"
    go(start(path, 300, end), start(path, 300, end))
    report = right(path)
    assert (2, 2, []) == (report.chains, len(report.roots), report.notes)
    assert 600 == len(list(read_changes(path)))
    first, second = [line for line in seal_lines(path) if line["kind"] == "begin"]
    assert ("after" in first, first["chain"]) == (False, second["after"][0].split(".")[0])


def test_processes_that_rotate_one_file(tmp_path: pathlib.Path) -> None:
    """Each file is right by itself, and all together; rotated ends are linked."""
    path = tmp_path / "a.jsonl"
    go(start(path, 300, "", 30_000), start(path, 300, "", 30_000))
    files = sorted(tmp_path.glob("a*.jsonl"))
    assert len(files) > 4
    for file in files:
        right(file)
    report = right(*files)
    assert [] == report.notes
    assert 600 == sum(len(list(read_changes(file))) for file in files)
    without = check_seals([files[0], *files[2:]])
    assert any("in none of these files" in note for note in without.notes)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("end", ["kill", "exit"])
def test_a_process_that_is_killed(tmp_path: pathlib.Path, end: str) -> None:
    """What it wrote last is covered once another process begins."""
    path = tmp_path / "a.jsonl"
    go(start(path, 30, end))
    (note,) = right(path).notes
    assert "no root covers the last 11 lines" in note
    fill(path, 2)
    report = right(path)
    (note,) = report.notes  # nobody knows whether it wrote more
    assert (True, 2) == ("ends without a root, at line" in note, report.chains)


@pytest.mark.parametrize("at", [1, 40, 200, -1])
def test_a_line_that_a_crash_tore(tmp_path: pathlib.Path, at: int) -> None:
    """A torn line is a fault until the next writer says how it found it.

    It cannot be changed after that.
    """
    path = tmp_path / "a.jsonl"
    fill(path, 5, compact=True)
    data = path.read_bytes()
    *whole, last = data.splitlines(keepends=True)[:5]
    path.write_bytes(b"".join(whole) + last[:at])
    (fault,) = check_seals([path]).faults
    assert (5, True) == (fault.line, "cut off" in fault.reason)
    fill(path, 3)
    report = right(path)
    assert (at != -1) == any("was torn already" in note for note in report.notes)  # -1: only the newline was missing
    assert ["ends without a root" in note for note in report.notes if "torn" not in note] == [True]
    if at != -1:
        path.write_bytes(path.read_bytes().replace(last[:at] + b"\n", last[: at - 1] + b"?\n"))
        assert 5 == check_seals([path]).faults[0].line
        errors: list[Any] = []
        list(read_changes(path, on_error=errors.append))
        assert [5] == [error.line for error in errors]


@POSIX
@pytest.mark.parametrize("options", [{}, {"buffered": True}, {"rotate_size": 1 << 20}])
def test_a_forked_child_has_a_chain_of_its_own(tmp_path: pathlib.Path, options: Any) -> None:
    """Parent and child go on in one file, and neither uses the other's chain."""
    path = tmp_path / "a.jsonl"
    d = TrackedDict()
    with JsonLinesExporter(path, seal=True, **options) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        exporter.flush(30)
        pid = os.fork()
        if not pid:
            try:
                for n in range(50):
                    d["child"] = n
                exporter.flush(30)
            finally:
                os._exit(0)
        for n in range(50):
            d["parent"] = n
        assert 0 == os.waitpid(pid, 0)[1]
        d["z"] = 1
        assert exporter.flush(30)
        d.tracking_remove_observer(exporter)
    report = right(path)
    assert 2 == report.chains
    assert 102 == sum(line.action != "init" for line in read_changes(path))


@pytest.mark.parametrize("compress", [None, "gzip", "zstd"])
@pytest.mark.parametrize("buffered", [False, True])
def test_rotated_files_end_with_a_root_and_name_each_other(
    tmp_path: pathlib.Path, compress: Any, buffered: bool
) -> None:
    """Each rotated file has its root, and stays within its size."""
    if compress == "zstd" and sys.version_info < (3, 14):
        pytest.importorskip("zstandard")
    path = tmp_path / "a.jsonl"
    options = {"batch_items": 7} if buffered else {}
    fill(path, 100, rotate_size=9000, compress=compress, buffered=buffered, **options)
    files = [*sorted(tmp_path.glob("a.2*")), path]
    assert len(files) > 4
    assert all(file.stat().st_size <= 9000 for file in files)
    for file in files:
        assert 1 == len(right(file).roots)
    report = right(*files)
    assert ([], len(files)) == (report.notes, report.chains)
    assert 100 == sum(len(list(read_changes(file))) for file in files)
    files[1].unlink()
    assert any("in none of these files" in note for note in check_seals([files[0], *files[2:]]).notes)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be renamed")
def test_a_log_that_is_renamed_goes_on_in_a_linked_chain(tmp_path: pathlib.Path) -> None:
    """As with logrotate: the new file names the last line of the old one."""
    path, moved = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
    d = TrackedDict()
    with JsonLinesExporter(path, seal=True) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        path.rename(moved)
        exporter._sink._file.look_at = 0.0
        d["b"] = 1
        d.tracking_remove_observer(exporter)
    report = right(moved, path)
    assert ([], 2) == (report.notes, report.chains)
    lines = moved.read_bytes().splitlines(keepends=True)
    moved.write_bytes(lines[0])
    fault = check_seals([moved, path]).faults[0]
    assert (str(path), 1) == (fault.name, fault.line)


def test_a_write_that_failed_ends_the_chain(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a full disk the next chain says what it found.

    A gap follows.
    """
    path = tmp_path / "a.jsonl"
    d = TrackedDict()
    real = os.write
    with JsonLinesExporter(path, seal=True, fsync="batch") as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1

        def full(fd: int, data: Any) -> int:
            if isinstance(data, memoryview):  # what is left
                raise OSError(28, "No space left on device")
            return real(fd, data[:60])

        monkeypatch.setattr(os, "write", full)
        d["b"] = 1
        d["c"] = 1
        monkeypatch.setattr(os, "write", real)
        d["d"] = 1
        d.tracking_remove_observer(exporter)
    assert 2 == exporter.stats().dropped
    report = right(path)
    assert [3, 4] == [int(note.split("line ")[1].split()[0]) for note in report.notes if "torn" in note][-2:]
    lines = path.read_bytes().splitlines()
    assert b'"action":"gap"' in b"".join(lines[-4:])


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_that_somebody_added_is_no_torn_one(tmp_path: pathlib.Path, end: str) -> None:
    """The next writer does not vouch for what looks like a change."""
    path = tmp_path / "a.jsonl"
    fill(path, 2)
    path.write_text(path.read_text() + '{"v":1,"seq":9,"action":"add","pointer":"/money","after":1}' + end)
    fill(path, 2)
    (fault,) = check_seals([path]).faults
    assert (5, "has no seal") == (fault.line, fault.reason[:11])


@POSIX
def test_a_full_disk_in_the_core(tmp_path: pathlib.Path) -> None:
    """A line that the core could write in part only ends its chain as well."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.jsonl"
    pid = os.fork()
    if not pid:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            d = TrackedDict()
            exporter = JsonLinesExporter(path, seal=True)
            d.tracking_add_observer(exporter)
            d["a"] = d["b"] = 1
            size = path.stat().st_size
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 70, hard))
            d["c"] = 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            d["d"] = 1
            exporter.close()
            status = 0
        finally:
            os._exit(status)
    assert 0 == os.waitpid(pid, 0)[1]
    report = right(path)
    assert 2 == report.chains
    assert [True, False] == ["torn" in note for note in report.notes]
    assert "ends without a root" in report.notes[1]


@POSIX
def test_a_signal_handler_that_changes_data(tmp_path: pathlib.Path) -> None:
    """A change that a signal handler makes is written after the line.

    That is the line that was being sealed.
    """
    path = tmp_path / "a.jsonl"
    d = TrackedDict()
    with JsonLinesExporter(path, seal=True, seal_every=3, rotate_size=1 << 30) as exporter:
        d.tracking_add_observer(exporter)

        def handler(number: int, frame: Any) -> None:
            d["handled"] = d.get("handled", 0) + 1

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.002)
            for n in range(2000):
                d["n"] = n
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        d.tracking_remove_observer(exporter)
    report = right(path)
    assert [] == report.notes
    assert 2000 + d["handled"] == len(list(read_changes(path)))


# ---- roots and keys


def test_write_root_returns_what_finds_a_cut_end(tmp_path: pathlib.Path) -> None:
    """A root is the proof that the lines before it were there."""
    path = tmp_path / "a.jsonl"
    d = TrackedDict()
    with JsonLinesExporter(path, seal=True, buffered=True) as exporter:
        assert "" == exporter.write_root()
        d.tracking_add_observer(exporter)
        d["a"] = 1
        root = exporter.write_root(30)
        assert root == exporter.write_root(30)
        d["b"] = 1
        assert exporter.flush(30)
        right(path, roots=[root.upper()])
        d.tracking_remove_observer(exporter)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    (fault,) = check_seals([path], roots=[root]).faults
    assert root in fault.reason
    with JsonLinesExporter(tmp_path / "b.jsonl") as plain, pytest.raises(ValueError, match="seal=True"):
        plain.write_root()


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path, str]:
    pytest.importorskip("cryptography")
    from pydatatracker.io.keys import new_key

    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "a.pem", folder / "a.pub.pem"
    return private, public, new_key(private, public)


def test_keys_are_files_bytes_or_objects(tmp_path: pathlib.Path, pems: Any) -> None:
    """The ways to give a key sign alike.

    Both files and the hex name the public one.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from pydatatracker.io.keys import new_key, public_key

    private, public, key = pems
    assert [key] * 4 == [public_key(each) for each in (private, public, key, key.upper())]
    if os.name == "posix":
        assert 0o600 == private.stat().st_mode & 0o777
    with pytest.raises(FileExistsError):
        new_key(private, tmp_path / "x")
    given = [str(private), private, private.read_bytes(), load_pem_private_key(private.read_bytes(), None)]
    for n, each in enumerate(given):
        fill(tmp_path / f"{n}.jsonl", 5, seal_key=each, seal_every=2)
        report = right(tmp_path / f"{n}.jsonl", key=key)
        assert ([key], []) == ([root.key for root in report.roots], report.notes)
        assert any("not checked" in note for note in right(tmp_path / f"{n}.jsonl").notes)


def test_a_key_in_a_configuration_file(tmp_path: pathlib.Path, pems: Any) -> None:
    """A configuration names the key by its path."""
    private, _, key = pems
    entry = {"path": str(tmp_path / "a.jsonl"), "seal": True, "seal_key": str(private), "seal_every": 2}
    d = TrackedDict()
    with load_observers_from_json([{"type": "json_lines", "options": entry}]) as (observer,):
        d.tracking_add_observer(observer)
        d["a"] = d["b"] = 1
        d.tracking_remove_observer(observer)
    right(tmp_path / "a.jsonl", key=key)


def test_what_a_signature_finds(tmp_path: pathlib.Path, pems: Any) -> None:
    """Another key and unsigned lines are found with the key."""
    from pydatatracker.io.keys import new_key

    private, _, key = pems
    path = tmp_path / "a.jsonl"
    fill(path, 3)
    (fault,) = check_seals([path], key=key).faults  # nobody signed it
    assert (1, True) == (fault.line, "is not signed" in fault.reason)
    path.unlink()
    new_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    fill(path, 3, seal_key=tmp_path / "other.pem")
    faults = check_seals([path], key=key).faults
    assert any("another key" in fault.reason for fault in faults)
    path.unlink()
    fill(path, 3, seal_key=private)
    whole = path.read_bytes()
    fill(path, 3)  # a chain without a signature after it
    (fault,) = check_seals([path], key=key).faults
    assert (whole.count(b"\n") + 1, True) == (fault.line, "is not signed" in fault.reason)
    path.write_bytes(whole)
    fill(path, 2, seal_key=private)
    right(path, key=key)
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))  # as after a crash
    (fault,) = check_seals([path], key=key).faults
    assert "is not signed" in fault.reason
    fill(path, 2, seal_key=private)  # it names the line before it, and that is signed
    right(path, key=key)


def test_a_forged_root_is_found(tmp_path: pathlib.Path, pems: Any) -> None:
    """Whoever does not have the key cannot make a root."""
    from pydatatracker.io.seals import Chain

    private, _, key = pems
    path = tmp_path / "a.jsonl"
    fill(path, 1, seal_key=private)
    real = seal_lines(path)

    class Forger:
        def public_key(self) -> Any:
            return self

        def public_bytes_raw(self) -> bytes:
            return bytes.fromhex(key)

        def sign(self, data: bytes) -> bytes:
            return bytes.fromhex(real[-1]["signature"])

    chain = Chain(10, Forger())
    path.write_bytes(chain.begin() + chain.seal(b'{"v":1,"action":"add"}') + chain.root_line())
    assert [] == check_seals([path]).faults
    faults = check_seals([path], key=key).faults
    assert any("signature" in fault.reason for fault in faults)


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no seal": ({"seal_every": 5}, ValueError, "need seal=True"),
    "no lines": ({"seal": True, "seal_every": 0}, ValueError, "seal_every"),
    "not a key": ({"seal": True, "seal_key": b"hello"}, SealError, "not a private key"),
    "no file": ({"seal": True, "seal_key": "/nowhere.pem"}, FileNotFoundError, "nowhere"),
    "a number": ({"seal": True, "seal_key": 7}, SealError, "not int"),
}


@pytest.mark.parametrize(("options", "error", "text"), BAD.values(), ids=BAD)
def test_wrong_options(tmp_path: pathlib.Path, options: Any, error: type[Exception], text: str) -> None:
    """A wrong option is an error before a file is created."""
    if isinstance(options.get("seal_key"), (bytes, str, int)):
        pytest.importorskip("cryptography")
    with pytest.raises(error, match=text):
        JsonLinesExporter(tmp_path / "a.jsonl", **options)
    assert not (tmp_path / "a.jsonl").exists()


def test_other_and_encrypted_keys_are_refused(tmp_path: pathlib.Path) -> None:
    """An encrypted key and one of another kind say what to do."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def pem(key: Any, how: Any) -> bytes:
        return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))

    with pytest.raises(SealError, match="Ed25519"):
        fill(tmp_path / "a", 1, seal_key=pem(ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption()))
    with pytest.raises(SealError, match="encrypted"):
        secret = serialization.BestAvailableEncryption(b"x")
        fill(tmp_path / "a", 1, seal_key=pem(ed25519.Ed25519PrivateKey.generate(), secret))


def test_a_log_without_seals_is_not_continued(tmp_path: pathlib.Path) -> None:
    """No seal can vouch for the lines that are there.

    So another file is needed; one with both kinds of lines is continued.
    """
    path = tmp_path / "a.jsonl"
    d = TrackedDict()
    with JsonLinesExporter(path) as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        with pytest.raises(SealError, match="name a new file"):
            JsonLinesExporter(path, seal=True)
        path.unlink()
        fill(path, 1)
        d["b"] = 1  # goes to the file that was deleted
    path.write_bytes(path.read_bytes() + b'{"v":1,"action":"add"}\n')
    fill(path, 1)
    (fault,) = check_seals([path]).faults
    assert (4, True) == (fault.line, "has no seal" in fault.reason)


def test_a_pipe_can_be_sealed(tmp_path: pathlib.Path) -> None:
    """What goes through a pipe is a chain without links."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes")
    os.mkfifo(tmp_path / "pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    fill(tmp_path / "pipe", 5)
    reader.join(30)
    (tmp_path / "stored.jsonl").write_bytes(found[0])
    assert 7 == right(tmp_path / "stored.jsonl").lines


def test_a_sealed_log_is_replayed(tmp_path: pathlib.Path) -> None:
    """The lines between changes are no changes."""
    path = tmp_path / "a.jsonl"
    x = track({"l": [1]})
    with JsonLinesExporter(path, seal=True, seal_every=2) as exporter:
        x.tracking_add_observer(exporter)
        for n in range(9):
            x["l"].append(n)
        x.tracking_remove_observer(exporter)
    assert x == replay(path)
