"""Find whatever is done to a row of a sealed table.

Nothing else is a fault: forks, writers side by side, batches that are sent again.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from typing import Any

import pytest
from command import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pydatatracker import TrackedDict, TrackedList, TrackedSet, track, tracking_actor
from pydatatracker.exporters import Item, SealedTable, SinkUnavailable, SqliteExporter
from pydatatracker.exporters.sqlite import SqliteSink
from pydatatracker.exporters.table_seals import TableSeals
from pydatatracker.io.seal_check import SealReport, check_seals
from pydatatracker.io.seals import SealError

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
COLUMNS = [
    "id",
    "seq",
    "root",
    "time_ns",
    "action",
    "method",
    "type",
    "pointer",
    "actor",
    "transaction_id",
    "before",
    "after",
    "line",
]


def report_of(target: Any, table: str = "changes", **more: Any) -> SealReport:
    with SealedTable(target, table=table) as found:
        return check_seals(found, **more)


def right(target: Any, **more: Any) -> SealReport:
    """Check a table that has to be right; return the report."""
    report = report_of(target, **more)
    assert [] == [str(fault) for fault in report.faults]
    return report


def faults(path: pathlib.Path, *statements: Any, **more: Any) -> list[str]:
    """Return what the check says of a copy on which statements were executed."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    connection = sqlite3.connect(copy, isolation_level=None)
    for statement in statements:
        statement(connection) if callable(statement) else connection.execute(statement)
    connection.close()
    return [str(fault).removeprefix(f"{copy}: ") for fault in report_of(copy, **more).faults]


def fill(path: pathlib.Path | str, count: int, **options: Any) -> str:
    """Seal the changes of a nested container; return the last root."""
    x = track({"l": ["é"], "s": {1}, "n": 0.5})
    with SqliteExporter(path, seal=True, **options) as exporter:
        x.tracking_add_observer(exporter)
        with tracking_actor("ann"):
            for n in range(count):
                x["l"].append(n) if n % 3 else x.update(n=n)
        x.tracking_remove_observer(exporter)
        return exporter.write_root()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, str]:
    """Return a database with two chains and several roots, and the last root."""
    path = tmp_path_factory.mktemp("tables") / "small.db"
    fill(path, 9, seal_every=5)
    return path, fill(path, 5, seal_every=4, compact=True)


def seal_rows(path: pathlib.Path) -> list[tuple[int, str, int, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT id, chain, number, line FROM changes_seals ORDER BY id").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("every", [1, 7, 1000])
@pytest.mark.parametrize("compact", [True, False])
def test_every_kind_of_change_is_sealed(tmp_path: pathlib.Path, background: bool, every: int, compact: bool) -> None:
    """Inits, gaps, changes of all containers; the rows are as without seals."""
    x = track({"l": [1], "s": {1}, "d": {"t": (1, 2.5, 1e308, 2**80, float("inf")), "z": "te\\0xt\\\\u0000"}})
    with (
        SqliteExporter(
            tmp_path / "a.db", seal=True, seal_every=every, background=background, compact=compact
        ) as sealed,
        SqliteExporter(tmp_path / "b.db", background=background, compact=compact) as plain,
    ):
        for exporter in (sealed, plain):
            x.tracking_add_observer(exporter)
        x["l"].extend([(2,), {3}])
        x["s"].add("é")
        x["d"]["q"] = object
        sealed.tracking_missed(x.last_change(), ValueError("not encoded"))
        sealed.flush(30)
        x["l"].sort(key=repr)
        x["d"]["te\0xt"] = "\ud800"
        for exporter in (sealed, plain):
            x.tracking_remove_observer(exporter)
            assert exporter.flush(30)
    report = right(tmp_path / "a.db")
    assert (1, 1, []) == (report.chains, len(report.roots), report.notes)
    found = []
    for name in "ab":
        connection = sqlite3.connect(tmp_path / f"{name}.db")
        connection.text_factory = bytes
        found.append(connection.execute("SELECT * FROM changes WHERE action NOT IN ('gap', 'init')").fetchall())
        connection.close()
    assert found[0] == found[1]


def test_every_row_counts(small: tuple[pathlib.Path, str]) -> None:
    """Each row removed, moved or repeated is found, in both tables."""
    path, root = small
    assert [] == faults(path)
    rows = seal_rows(path)
    last = {chain: number for _, chain, number, _ in rows}
    for number, chain, count, _ in rows:
        found = faults(path, f"DELETE FROM changes_seals WHERE id = {number}", roots=[root])
        assert found, (chain, count)
        if count < last[chain]:
            assert "missing" in found[0]
            assert f"of the chain {chain}" in found[0]
        found = faults(
            path,
            "CREATE TABLE t AS SELECT * FROM changes_seals",
            "DROP TABLE changes_seals",
            "ALTER TABLE t RENAME TO changes_seals",
            f"INSERT INTO changes_seals SELECT * FROM changes_seals WHERE id = {number}",
        )
        assert any("is there twice" in each for each in found)
        found = faults(
            path, f"INSERT INTO changes_seals SELECT 999, chain, 99, line FROM changes_seals WHERE id = {number}"
        )
        assert any("was moved" in each for each in found)
    connection = sqlite3.connect(path)
    ids = [row[0] for row in connection.execute("SELECT id FROM changes")]
    connection.close()
    assert 16 == len(ids)
    for number in ids:
        assert any("was removed" in each for each in faults(path, f"DELETE FROM changes WHERE id = '{number}'"))
        for what in ("id = 'x'", "root = 'x'", "seq = 99"):
            copy = "INSERT INTO changes SELECT * FROM t"
            made = (f"CREATE TABLE t AS SELECT * FROM changes WHERE id = '{number}'", f"UPDATE t SET {what}", copy)
            assert any(f"its column {what.split()[0]} is not" in each for each in faults(path, *made))


def test_every_two_rows_that_are_exchanged_are_found(small: tuple[pathlib.Path, str]) -> None:
    """The lines of any two rows, exchanged; the order of rows is of no matter."""
    path, _ = small
    rows = seal_rows(path)
    chance = random.Random(5)
    for one, other in [*zip(rows, rows[1:], strict=False), *(chance.sample(rows, 2) for _ in range(40))]:

        def exchange(connection: sqlite3.Connection, one: Any = one, other: Any = other) -> None:
            connection.execute("UPDATE changes_seals SET line = ? WHERE id = ?", (other[3], one[0]))
            connection.execute("UPDATE changes_seals SET line = ? WHERE id = ?", (one[3], other[0]))

        assert faults(path, exchange)
    shuffled = [*rows]
    chance.shuffle(shuffled)

    def shuffle(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM changes_seals")
        connection.executemany(
            "INSERT INTO changes_seals (chain, number, line) VALUES (?, ?, ?)", [r[1:] for r in shuffled]
        )

    assert [] == faults(path, shuffle)


VALUES = ["NULL", "'x'", "0", "'null'", "{} || ' '", "CAST({} AS BLOB)"]


def test_every_field_counts(tmp_path: pathlib.Path) -> None:
    """Each field of each row, replaced by several others, is found."""
    path = tmp_path / "a.db"
    fill(path, 2)
    fill(path, 1, compact=True)
    connection = sqlite3.connect(path)
    for table, columns in (("changes", COLUMNS), ("changes_seals", ["chain", "number", "line"])):
        keys = connection.execute(f"SELECT id FROM {table}").fetchall()
        for (key,) in keys:
            for column in columns:
                now = {column: [row[0] for row in connection.execute(f'SELECT "{column}" FROM {table}')]}
                for value in VALUES:
                    name = f'"{column}"'
                    change = f"UPDATE {table} SET {name} = {value.format(name)} WHERE id = '{key}'"
                    try:
                        connection.execute(change)
                    except sqlite3.IntegrityError:  # NOT NULL
                        connection.rollback()
                        continue
                    after = [row[0] for row in connection.execute(f"SELECT {name} FROM {table}")]
                    connection.rollback()
                    if after == now[column] or (column in ("before", "after") and value == "{} || ' '"):
                        continue
                    found = faults(path, change)
                    assert found, change
    connection.close()


def test_a_sealed_line_that_is_changed_in_both_tables(small: tuple[pathlib.Path, str]) -> None:
    """An edit that is the same in all places is found by the hash."""
    path, _ = small
    edit = "SET line = replace(line, '\"ann\"', '\"bob\"')"
    found = faults(path, f"UPDATE changes {edit}, actor = replace(actor, 'ann', 'bob')", f"UPDATE changes_seals {edit}")
    assert "was changed: its hash is not that of the line" in found[0]
    (actor,) = faults(path, "UPDATE changes SET actor = 'bob' WHERE seq = (SELECT max(seq) FROM changes)")
    assert "its column actor is not what its line says" in actor


def test_the_end_that_is_cut_off(small: tuple[pathlib.Path, str]) -> None:
    """It is found with a known root, or by a later chain that names it."""
    path, root = small
    rows = seal_rows(path)
    first = rows[0][1]
    cut = "DELETE FROM changes_seals WHERE id = (SELECT max(id) FROM changes_seals)"
    assert [] == faults(path, cut)
    (fault,) = faults(path, cut, roots=[root])
    assert "is missing: the end was cut off" in fault
    last = f"SELECT max(id) FROM changes_seals WHERE chain = '{first}'"
    found = faults(path, f"DELETE FROM changes_seals WHERE id = ({last})")
    assert all("is missing before it" in fault for fault in found), found
    assert found
    found = faults(path, f"DELETE FROM changes_seals WHERE chain = '{first}'")
    assert "was written after" in found[0]
    assert any("has no seal" in each for each in found)


def test_rows_of_another_table_are_found(small: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    """A whole chain of another database does not know of those that are there."""
    path, _ = small
    fill(tmp_path / "other.db", 3)
    found = faults(
        path,
        f"ATTACH '{tmp_path / 'other.db'}' AS o",
        "INSERT INTO changes SELECT * FROM o.changes",
        "INSERT INTO changes_seals (chain, number, line) SELECT chain, number, line FROM o.changes_seals",
    )
    assert 1 == len(found)
    assert "it is from another log" in found[0]


def test_a_key_vouches_for_every_row(tmp_path: pathlib.Path) -> None:
    """Rows after the last signed root are a fault, and so is a remade table."""
    pytest.importorskip("cryptography")
    from pydatatracker.io.keys import new_key

    key = new_key(tmp_path / "a.pem", tmp_path / "a.pub.pem")
    path = tmp_path / "a.db"
    fill(path, 5, seal_key=tmp_path / "a.pem")
    assert [] == right(path, key=key).notes
    (fault,) = faults(path, "DELETE FROM changes_seals WHERE id = (SELECT max(id) FROM changes_seals)", key=key)
    assert "is not signed" in fault
    fill(tmp_path / "b.db", 5)
    assert report_of(tmp_path / "b.db", key=key).faults


def items(first: int, last: int) -> list[Item]:
    line = '{"v":1,"seq":%d,"action":"add","pointer":"/a","after":%d,"root":"r","uuid":"id%d","time_ns":%d}'
    return [Item((line % (n, n, n, n)).encode(), n, "r", n, f"id{n}") for n in range(first, last)]


class Torn(sqlite3.Connection):
    """A connection whose COMMIT is done, or not, and reported as an error."""

    how = ""

    def execute(self, query: str, *values: Any) -> Any:
        if query == "COMMIT" and Torn.how:
            how, Torn.how = Torn.how, ""
            if how == "done":
                super().execute(query)
            raise sqlite3.OperationalError("the answer is lost")
        return super().execute(query, *values)


@pytest.mark.parametrize("how", ["done", "not done"])
@pytest.mark.parametrize("next_batch", [(3, 6), (3, 7), (2, 6), (5, 7)])
def test_a_batch_of_which_nobody_knows_whether_it_arrived(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, how: str, next_batch: tuple[int, int]
) -> None:
    """The same batch is the same rows; before another one, a chain begins."""
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "factory": Torn}))
    connect = sqlite3.connect.__wrapped__ if hasattr(sqlite3.connect, "__wrapped__") else sqlite3.dbapi2.connect
    sink = SqliteSink(tmp_path / "a.db", 5, seals=TableSeals(None, 4))
    sink.send(items(0, 3))
    Torn.how = how
    with pytest.raises(SinkUnavailable, match="the answer is lost"):
        sink.send(items(3, 6))
    sink.send(items(*next_batch))
    sink.close()
    monkeypatch.undo()
    report = right(tmp_path / "a.db")
    chains = 1 if next_batch == (3, 6) else 2
    assert (chains, chains - 1) == (report.chains, len(report.notes))
    assert all("ends without a root" in note for note in report.notes)
    connection = sqlite3.connect(tmp_path / "a.db")
    expected = {0, 1, 2, *range(*next_batch), *((3, 4, 5) if how == "done" else ())}
    assert sorted(expected) == [seq for (seq,) in connection.execute("SELECT seq FROM changes ORDER BY seq")]
    connection.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "again", "lost", "undone", "root", "close", "fork"]), st.integers(1, 4))
    )
)
def test_sessions(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    """Writers, lost answers, repeats and roots in any order leave no fault."""
    path = tmp_path_factory.mktemp("session") / "a.db"
    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "factory": Torn}))
        sinks = [SqliteSink(path, 5, seals=TableSeals(None, 3)) for _ in range(2)]
        count, last, roots = 0, items(0, 0), []
        for what, n in steps:
            sink = sinks[n % 2]
            if what in ("send", "lost", "undone"):
                last = items(count, count + n)
                count += n
                Torn.how = {"lost": "done", "undone": "not done"}.get(what, "")
                try:
                    sink.send(last)
                except SinkUnavailable:
                    Torn.how = ""
                    if n % 3:
                        sink.send(last)
            elif what == "again" and last:
                sink.send(last)
            elif what == "root":
                roots.append(sink.write_root())
            elif what == "fork":
                assert sink._seals is not None
                sink._seals.forget()
            elif what == "close":
                sink.close()
        for sink in sinks:
            sink.close()
    report = right(path, roots=[root for root in roots if root])
    assert not [note for note in report.notes if "no root covers" in note] or any(what == "fork" for what, _ in steps)


@POSIX
@pytest.mark.parametrize("background", [True, False])
def test_a_forked_child_has_a_chain_of_its_own(tmp_path: pathlib.Path, background: bool) -> None:
    """Parent and child go on in one table, and neither uses the other's chain."""
    program = """
import os, sys
from pydatatracker import TrackedDict
from pydatatracker.exporters import SqliteExporter
d = TrackedDict()
e = SqliteExporter(sys.argv[1], seal=True, background=sys.argv[2] == "True", timeout=30)
d.tracking_add_observer(e)
for n in range(20): d["a"] = n
e.flush(30)
pid = os.fork()
for n in range(30): d["b" if pid else "c"] = n
if not pid:
    e.close(30)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", program, str(tmp_path / "a.db"), str(background)], timeout=60
    )
    assert 0 == done.returncode
    report = right(tmp_path / "a.db")
    assert (2, []) == (report.chains, report.notes)
    connection = sqlite3.connect(tmp_path / "a.db")
    assert 80 == connection.execute("SELECT count(*) FROM changes").fetchone()[0]
    connection.close()


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_processes_that_write_together(tmp_path: pathlib.Path, end: str) -> None:
    """Each has a chain; one that is killed is covered once another one begins."""
    program = (
        "import os, sys; from pydatatracker import TrackedDict; from pydatatracker.exporters import SqliteExporter\n"
        "d = TrackedDict(); e = SqliteExporter(sys.argv[1], timeout=30, seal=True, seal_every=9, background=False)\n"
        "d.tracking_add_observer(e)\n"
        "for n in range(100): d[sys.argv[2]] = n\n" + end
    )
    path = str(tmp_path / "a.db")
    running = [subprocess.Popen([sys.executable, "-P", "-c", program, path, name]) for name in "abc"]
    assert [-9 if end else 0] * 3 == [process.wait(60) for process in running]
    report = right(path)
    assert 3 == report.chains
    assert bool(end) == any("no root covers" in note for note in report.notes)
    fill(path, 1)
    assert not [note for note in right(path).notes if "no root covers" in note and not end]


def test_threads_and_containers_share_a_chain(tmp_path: pathlib.Path) -> None:
    """What several threads change at once is one chain."""
    with SqliteExporter(tmp_path / "a.db", seal=True, seal_every=5, background=False) as exporter:
        containers: list[Any] = [TrackedDict(), TrackedList(), TrackedSet()]
        for each in containers:
            each.tracking_add_observer(exporter)

        def change(container: Any) -> None:
            for n in range(40):
                if isinstance(container, list):
                    container.append(n)
                elif isinstance(container, set):
                    container.add(n)
                else:
                    container[n] = n
                if n % 10 == 0:
                    exporter.write_root()

        threads = [threading.Thread(target=change, args=[each]) for each in containers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (1, []) == (right(tmp_path / "a.db").chains, right(tmp_path / "a.db").notes)


@POSIX
def test_a_signal_handler_that_changes_data(tmp_path: pathlib.Path) -> None:
    """A change in the midst of another one does not tear the transaction."""
    program = """
import signal, sys
from pydatatracker import TrackedDict
from pydatatracker.exporters import SqliteExporter
d, o = TrackedDict(), TrackedDict()
e = SqliteExporter(sys.argv[1], seal=True, seal_every=5, background=False)
for x in (d, o): x.tracking_add_observer(e)
count = 0
def handle(*_):
    global count
    count += 1
    o["k"] = count
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
n = 0
while count < 150:
    n += 1
    d["n"] = n
signal.setitimer(signal.ITIMER_REAL, 0)
e.close()
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "a.db")], timeout=60, stderr=subprocess.DEVNULL
    )
    assert 0 == done.returncode
    right(tmp_path / "a.db")


@POSIX
@pytest.mark.parametrize("sink", ["sqlite", "sql"])
def test_a_signal_handler_that_writes_a_root(sink: str, tmp_path: pathlib.Path) -> None:
    """It does not wait for the call that it came between."""
    if sink == "sql":
        pytest.importorskip("sqlalchemy")
    program = """
import signal, sys
from pydatatracker import TrackedDict
from pydatatracker.exporters import SqlExporter, SqliteExporter
from pydatatracker.exporters.sink import SinkUnavailable
d = TrackedDict()
path = sys.argv[1]
e = SqlExporter("sqlite:///" + path, seal=True) if sys.argv[2] == "sql" else SqliteExporter(path, seal=True)
d.tracking_add_observer(e)
count, is_inside, between = 0, False, 0
def handle(*_):
    global count, is_inside, between
    if is_inside: return
    is_inside = True
    count += 1
    try:
        e.write_root(20)
    except SinkUnavailable:
        between += 1
    finally:
        is_inside = False
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.003)
while count < 100 or not between:
    d["n"] = count
    e.write_root(20)
signal.setitimer(signal.ITIMER_REAL, 0)
e.close()
"""
    done = subprocess.run([sys.executable, "-P", "-c", program, str(tmp_path / "a.db"), sink], timeout=60)
    assert 0 == done.returncode
    right(tmp_path / "a.db")


def test_a_table_with_rows_without_seals_is_not_continued(tmp_path: pathlib.Path) -> None:
    """No seal can vouch for what is there; the other way round it is found."""
    d = TrackedDict()
    with SqliteExporter(tmp_path / "a.db") as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 1
        d.tracking_remove_observer(exporter)
    with pytest.raises(SealError, match="has rows without seals.*name a new table"):
        SqliteExporter(tmp_path / "a.db", seal=True)
    with pytest.raises(SealError, match="no table changes_seals: it was not written with seal=True"):
        SealedTable(tmp_path / "a.db")
    fill(tmp_path / "b.db", 2)
    with SqliteExporter(tmp_path / "b.db") as exporter:
        d.tracking_add_observer(exporter)
        d["a"] = 2
        d.tracking_remove_observer(exporter)
    found = [str(fault) for fault in report_of(tmp_path / "b.db").faults]
    assert 2 == len(found)
    assert all("has no seal: it was added or changed" in each for each in found)
    with pytest.raises(SealError, match="not an SQLite database"):
        SealedTable(__file__)
    with pytest.raises(FileNotFoundError):
        SealedTable(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="only a log with seal=True has roots"), SqliteExporter(tmp_path / "c.db") as e:
        e.write_root()
    with pytest.raises(ValueError, match="need seal=True"):
        SqliteExporter(tmp_path / "c.db", seal_every=5)


def test_verify_seal_of_databases(small: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    """The command takes files of SQLite beside others, and says what is wrong."""
    path, root = small
    path = pathlib.Path(shutil.copy(path, tmp_path / "a.db"))
    done = run("verify", "--seal", "--root", root, path, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert re.search(rf"^root {root} of {path}: line \d+ of [0-9a-f]{{16}}$", done.stdout, re.M)
    assert done.stdout.endswith("in 2 chains: all seals are right\n")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE changes SET actor = 'eve' WHERE seq = (SELECT max(seq) FROM changes)")
    connection.commit()
    connection.close()
    done = run("verify", "--seal", path, cwd=tmp_path)
    assert (1, True) == (done.returncode, "its column actor is not what its line says" in done.stderr), done.stderr
    done = run("verify", "--seal", "--table", "other", path, cwd=tmp_path)
    assert (2, True) == (done.returncode, "no table other" in done.stderr)
    done = run("verify", "--seal", "s3://bucket/key", cwd=tmp_path)
    assert (2, True) == (done.returncode, "aws s3 cp s3://bucket/key" in done.stderr)
    done = run("verify", "--table", "x", path, cwd=tmp_path)
    assert (2, True) == (done.returncode, "need --seal" in done.stderr)


def test_a_copy_that_may_only_be_read(small: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    """An auditor's copy is not changed by the check."""
    path = pathlib.Path(shutil.copy(small[0], tmp_path / "a.db"))
    before = path.read_bytes()
    path.chmod(0o400)
    right(path)
    assert (before, ["a.db"]) == (path.read_bytes(), [each for each in os.listdir(tmp_path) if "-" not in each])


def test_lines_of_seals_hold_json(small: tuple[pathlib.Path, str]) -> None:
    """The text of a row is a line of a sealed log, which a file could have."""
    lines = [row[3] for row in seal_rows(small[0])]
    assert all(json.loads(line)["seal"] for line in lines)
