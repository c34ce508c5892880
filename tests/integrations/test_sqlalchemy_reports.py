"""SQLAlchemy: what a flush and a commit wrote, and by whom."""

import asyncio
import gc
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", minversion="2")

import sqlalchemy as sa
from sqlalchemy import orm

from pydatatracker import MISSING, replay, tracked, tracking_actor
from pydatatracker.exporters import JsonLinesExporter
from pydatatracker.integrations.sqlalchemy import (
    RowChange,
    Tracked,
    column_changes,
    log_commits,
    on_commit,
    on_flush,
    track_columns,
)
from pydatatracker.io import read_changes


class Base(orm.DeclarativeBase):
    pass


@track_columns
class User(Base):
    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]
    visits: orm.Mapped[int] = orm.mapped_column(default=0)
    settings: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON), nullable=True)
    bio: orm.Mapped[str | None] = orm.mapped_column(deferred=True)
    posts: orm.Mapped[list["Post"]] = orm.relationship(back_populates="user")


class Post(Base):  # only its JSON column is tracked, and it has another name than its attribute
    __tablename__ = "posts"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("users.id"))
    title: orm.Mapped[str | None]
    meta: orm.Mapped[Any] = orm.mapped_column("meta_json", Tracked(sa.JSON), nullable=True)
    user: orm.Mapped[User | None] = orm.relationship(back_populates="posts")


class Plain(Base):
    __tablename__ = "plain"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]
    settings: orm.Mapped[Any] = orm.mapped_column(sa.JSON, nullable=True)
    bio: orm.Mapped[str | None] = orm.mapped_column(deferred=True)


class Vehicle(Base):
    __tablename__ = "vehicles"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    wheels: orm.Mapped[int | None]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}


class Car(Vehicle):
    __tablename__ = "cars"
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("vehicles.id"), primary_key=True)
    doors: orm.Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "car"}


track_columns(Vehicle)


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)

    @sa.event.listens_for(engine, "connect")  # savepoints need that sqlite3 begins nothing itself
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def make(engine: sa.Engine) -> orm.sessionmaker[orm.Session]:
    return orm.sessionmaker(engine)


@pytest.fixture
def session(make: orm.sessionmaker[orm.Session]) -> Iterator[orm.Session]:
    with make() as session:
        yield session


@pytest.fixture
def seen(make: orm.sessionmaker[orm.Session]) -> Iterator[list[RowChange]]:
    changes: list[RowChange] = []
    with on_flush(make, lambda session, rows: changes.extend(rows)):
        yield changes


def brief(rows: list[RowChange]) -> list[tuple[Any, ...]]:
    return [(row.operation, row.pointer, row.before, row.after, row.actor) for row in rows]


def test_an_insert_an_update_and_a_delete(session: orm.Session, seen: list[RowChange]) -> None:
    """Each path that was written is one change, with who made it and when."""
    with tracking_actor("ann", ticket="T-1"):
        user = User(name="a", settings={"theme": {"colour": "blue"}})
    session.add(user)
    with tracking_actor("job"):
        session.flush()
    assert [
        ("insert", "/id", MISSING, 1, "job"),
        ("insert", "/name", MISSING, "a", "ann"),
        ("insert", "/visits", MISSING, 0, "job"),
        ("insert", "/settings", MISSING, {"theme": {"colour": "blue"}}, "ann"),
    ] == brief(seen)
    assert {"ticket": "T-1"} == dict(seen[1].context)
    assert (user, "users", (1,), "name") == (seen[1].instance, seen[1].table, seen[1].primary_key, seen[1].column)
    assert seen[1].change is not None
    assert (seen[1].change.created_time, seen[1].change.seq) == (seen[1].time, seen[1].seq)
    seen.clear()
    with tracking_actor("bob"):
        user.settings["theme"]["colour"] = "green"
        user.settings["theme"]["colour"] = "red"
        user.settings["size"] = [1]
        user.name = "b"
        user.name = "a"
    session.flush()
    assert [
        ("update", "/settings/theme/colour", "blue", "red", "bob"),
        ("update", "/settings/size", MISSING, [1], "bob"),
    ] == brief(seen)
    assert list is type(seen[1].after)
    seen.clear()
    session.delete(user)
    with tracking_actor("eve"):
        session.flush()
    assert ("delete", "/name", "a", MISSING, "eve") in brief(seen)
    assert 4 == len(seen)


def test_a_flush_without_changes_calls_nobody(session: orm.Session, seen: list[RowChange]) -> None:
    """A flush that writes nothing that is tracked is not reported."""
    session.add(Post(title="x"))
    session.flush()
    session.flush()
    assert [] == seen


def test_only_what_a_flush_writes_is_in_it(session: orm.Session, seen: list[RowChange]) -> None:
    """Changes after a flush are in the next one, and none is in two."""
    user = User(name="a", settings={})
    session.add(user)
    session.commit()
    seen.clear()
    for number in range(3):
        user.settings["n"] = number
        session.flush()
    assert [(MISSING, 0), (0, 1), (1, 2)] == [(row.before, row.after) for row in seen]


def test_the_value_before_is_missing_if_it_was_not_loaded(session: orm.Session, seen: list[RowChange]) -> None:
    """A value that is not loaded is MISSING, and no statement is added."""
    sent: list[str] = []
    sa.event.listen(session.get_bind(), "before_cursor_execute", lambda *args: sent.append(args[2].split()[0]))
    statements = {}
    for cls in (User, Plain):
        one = cls(name="a", bio="long", settings={"a": 1})
        session.add(one)
        session.commit()
        one.name, one.settings = "b", {"a": 2}
        session.commit()
        session.expunge_all()
        one = session.scalars(sa.select(cls)).one()
        one.bio = "short"
        session.commit()
        statements[cls], sent[:] = [*sent], []
    assert statements[Plain] == statements[User]
    assert [("/name", MISSING, "b"), ("/settings", MISSING, {"a": 2}), ("/bio", MISSING, "short")] == [
        (row.pointer, row.before, row.after) for row in seen if row.operation == "update"
    ]


def test_expressions_are_shown_as_text(session: orm.Session, seen: list[RowChange]) -> None:
    """An SQL expression is reported as its text, and is executed."""
    user = User(name="a", visits=1)
    session.add(user)
    session.flush()
    seen.clear()
    user.visits = User.visits + 1
    session.flush()
    assert [("/visits", 1, "users.visits + :visits_1")] == [(r.pointer, r.before, r.after) for r in seen]
    assert 2 == user.visits
    user.visits = 5
    session.flush()
    assert (2, 5) == (seen[-1].before, seen[-1].after)


def test_a_json_column_of_a_class_that_is_not_tracked(session: orm.Session, seen: list[RowChange]) -> None:
    """Tracked columns are reported of every class, by the column's name."""
    post = Post(title="x", meta={"a": 1})
    session.add(post)
    session.flush()
    post.title = "y"
    post.meta["a"] = 2
    session.flush()
    post.meta = {"b": 1}
    session.flush()
    assert [
        ("posts", "meta_json", "/meta", MISSING, {"a": 1}),
        ("posts", "meta_json", "/meta/a", 1, 2),
        ("posts", "meta_json", "/meta", {"a": 2}, {"b": 1}),
    ] == [(row.table, row.column, row.pointer, row.before, row.after) for row in seen]


def test_foreign_keys_that_the_flush_sets(session: orm.Session) -> None:
    """A column that a relationship fills is reported, too."""
    rows: list[RowChange] = []
    track_columns(Post, "user_id")
    with on_flush(session, lambda _, changes: rows.extend(changes)):
        user, post = User(name="a"), Post()
        session.add_all([user, post])
        session.flush()
        rows.clear()
        user.posts.append(post)
        session.flush()
    assert [("update", "/user_id", MISSING, 1)] == [
        (r.operation, r.pointer, r.before or MISSING, r.after) for r in rows
    ]


def test_subclasses_are_tracked_in_the_tables_of_their_columns(session: orm.Session, seen: list[RowChange]) -> None:
    """track_columns of a base class holds for its subclasses."""
    car = Car(wheels=4, doors=3)
    session.add(car)
    session.flush()
    seen.clear()
    car.wheels, car.doors = 3, 5
    session.flush()
    assert {("vehicles", "wheels", 4, 3), ("cars", "doors", 3, 5)} == {
        (row.table, row.column, row.before, row.after) for row in seen
    }


@pytest.mark.parametrize("nested", ["rollback", "commit"])
def test_commits_report_what_stays(session: orm.Session, nested: str) -> None:
    """on_commit reports what stays: no savepoint that was rolled back."""
    calls: list[list[RowChange]] = []
    with on_commit(session, lambda _, changes: calls.append(changes)):
        user = User(name="a")
        session.add(user)
        session.flush()
        with session.begin_nested() as outer:
            user.name = "b"
            session.flush()
            with session.begin_nested():
                user.visits = 7
            assert [] == calls
            getattr(outer, nested)()
        session.commit()
        assert 1 == len(calls)
        inside = {("/name", "b"), ("/visits", 7)}
        assert (inside if nested == "commit" else set()) == inside & {(row.pointer, row.after) for row in calls[0]}
        user.name = "c"
        session.flush()
        session.rollback()
        session.commit()
        assert 1 == len(calls)
        user.name = "d"
        session.commit()
        assert ["d"] == [row.after for row in calls[1]]


def test_a_function_that_raises(session: orm.Session) -> None:
    """What on_flush raises stops the flush, and nothing is written."""

    def refuse(session: orm.Session, changes: list[RowChange]) -> None:
        raise PermissionError(changes[0].pointer)

    with on_flush(session, refuse) as observer:
        session.add(User(name="a"))
        with pytest.raises(PermissionError, match="/id"):
            session.commit()
        session.rollback()
        assert [] == session.scalars(sa.select(User)).all()
    observer.remove()
    session.add(User(name="a"))
    session.commit()


TARGETS = {
    "a session": lambda make: (lambda s: s, make()),
    "a sessionmaker": lambda make: (lambda s: make, make()),
    "a scoped session": lambda make: (lambda s: s, orm.scoped_session(make)),
    "the class": lambda make: (lambda s: orm.Session, make()),
}


@pytest.mark.parametrize("choose", TARGETS.values(), ids=TARGETS)
def test_targets(make: orm.sessionmaker[orm.Session], engine: sa.Engine, choose: Any) -> None:
    """A session or what makes sessions can be observed, and only these."""
    target, session = choose(make)
    rows: list[RowChange] = []
    with on_flush(target(session), lambda _, changes: rows.extend(changes)):
        session.add(User(name="a"))
        session.commit()
        assert 3 == len(rows)
        with orm.sessionmaker(engine)() as other:
            other.add(User(name="b"))
            other.commit()
        assert (6 if target(session) is orm.Session else 3) == len(rows)
    session.add(User(name="c"))
    session.commit()
    assert len(rows) in (3, 6)
    session.close()


def test_wrong_targets() -> None:
    """What is not a session is named."""
    with pytest.raises(TypeError, match=r"a session, a sessionmaker or a class of sessions is observed, not 5"):
        on_flush(5, print)
    with pytest.raises(TypeError, match="cannot be called"):
        on_flush(orm.Session, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"column_changes\(\) takes an object of a mapped class, not 5"):
        column_changes(5)


def test_async_sessions() -> None:
    """AsyncSession and async_sessionmaker report with the actor of the task."""
    pytest.importorskip("aiosqlite")
    pytest.importorskip("greenlet")
    from sqlalchemy.ext import asyncio as sa_asyncio

    rows: list[RowChange] = []

    async def main() -> None:
        engine = sa_asyncio.create_async_engine("sqlite+aiosqlite://", poolclass=sa.pool.StaticPool)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        make = sa_asyncio.async_sessionmaker(engine, expire_on_commit=False)
        with on_commit(make, lambda _, changes: rows.extend(changes)):
            async with make() as session:
                with tracking_actor("ann"):
                    user = User(name="a", settings={"a": {"b": 1}})
                    session.add(user)
                    await session.commit()
                    user.settings["a"]["b"] = 2
                    await session.commit()
                    await session.refresh(user)
                    assert {"a": {"b": 2}} == user.settings
        async with make() as session:
            with on_flush(session, lambda _, changes: rows.extend(changes)):
                user = await session.get_one(User, user.id)
                user.settings["a"]["b"] = 3
                await session.commit()
        await engine.dispose()

    asyncio.run(main())
    assert ["ann", ""] == [row.actor for row in rows if row.pointer == "/settings/a/b"]


def test_a_log_of_commits(session: orm.Session, tmp_path: pathlib.Path) -> None:
    """The log has all committed changes, and can be replayed."""
    path = tmp_path / "audit.jsonl"
    with JsonLinesExporter(path, compact=True) as exporter, log_commits(session, exporter):
        with tracking_actor("ann"):
            user = User(name="a", settings={"l": []})
            session.add(user)
            session.commit()
            user.settings["l"].append({"x": 1})
            user.settings["l"][0]["x"] = 2
            session.flush()
            user.name = "never"
            session.flush()
            session.rollback()
            assert {"l": []} == user.settings
            user.settings["l"].append({"x": 1})
            user.settings["l"][0]["x"] = 2
            session.commit()
        with tracking_actor("bob"):
            session.delete(user)
            session.commit()
    lines = list(read_changes(path, strict=True))
    inserted, updated, deleted = sorted({line.root for line in lines}, key=[line.root for line in lines].index)
    assert {"users/1"} == {line.data["name"] for line in lines if line.action == "init"}
    assert {"ann", "bob", ""} == {line.actor for line in lines}
    assert {"name": "a", "settings": {"l": []}, "id": 1, "visits": 0} == replay(path, root=inserted)
    assert {"name": "a", "settings": {"l": [{"x": 2}]}, "id": 1, "visits": 0} == replay(path, root=updated)
    assert {} == replay(path, root=deleted)
    assert ["/settings/l/0", "/settings/l/0/x"] == [line.pointer for line in lines if line.root == updated][1:]
    assert {"x": 1} == [line.after for line in lines if line.root == updated][1]
    assert "never" not in path.read_text("utf-8")


def deferred_column(session: orm.Session, user: User) -> None:
    """Load a column that the log had no value of."""
    user.bio = (user.bio or "") + "!"


def newer_value(session: orm.Session, user: User) -> None:
    """Load a value that another program has written since."""
    session.connection().execute(sa.update(User.__table__).values(settings={"theme": {"colour": "red"}}, visits=7))
    session.refresh(user, ["settings", "visits"])
    user.settings["theme"]["size"] = 1
    user.visits += 1


def unsaved_change(session: orm.Session, user: User) -> None:
    """Load a value again that was changed and not written."""
    with session.no_autoflush:
        user.settings["lost"] = True
        user.visits = 99
        session.refresh(user, ["settings", "visits"])
    user.settings["kept"] = True
    user.visits += 1


@pytest.mark.parametrize("change", [deferred_column, newer_value, unsaved_change])
@pytest.mark.parametrize("flush", [True, False], ids=["after a flush", "before any flush"])
def test_a_log_can_be_replayed_if_columns_are_loaded_on_the_way(
    session: orm.Session, tmp_path: pathlib.Path, change: Any, flush: bool
) -> None:
    """A log leads to what the database holds, whenever a column was loaded."""
    session.add(User(name="a", settings={"l": []}, bio="b"))
    session.commit()
    session.expunge_all()
    user = session.get_one(User, 1)
    path = tmp_path / "audit.jsonl"
    with JsonLinesExporter(path) as exporter, log_commits(session, exporter):
        user.name = "b"
        if flush:
            session.flush()
        change(session, user)
        session.commit()
    held = session.execute(sa.select(User.id, User.name, User.visits, User.settings, User.bio)).one()._asdict()
    logged = replay(path)
    assert {key: held[key] for key in logged} == logged
    assert {"id", "name", "visits", "settings"} <= {*logged}
    assert "lost" not in path.read_text("utf-8")
    assert "99" not in [str(line.after) for line in read_changes(path)]


def test_redacted_columns(session: orm.Session, tmp_path: pathlib.Path) -> None:
    """A redacted column is in no report and in no log."""

    class Other(orm.DeclarativeBase):
        pass

    class Login(Other):
        __tablename__ = "logins"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        password: orm.Mapped[str]
        data: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON, tracking_redact=["/**/token"]))

    track_columns(Login, tracking_redact=["/password"])
    Other.metadata.create_all(session.connection())
    path, rows = tmp_path / "audit.jsonl", []
    with (
        JsonLinesExporter(path) as exporter,
        log_commits(session, exporter),
        on_commit(session, lambda _, changes: rows.extend(changes)),
    ):
        login = Login(password="secret1", data={"a": {"token": "secret2", "b": 1}})
        session.add(login)
        session.commit()
        login.password = "secret3"
        login.data["a"]["token"] = "secret4"
        login.data["a"]["b"] = 2
        session.commit()
        login.data = {"a": {"token": "secret5"}}
        session.commit()
        session.delete(login)
        session.commit()
    assert "secret" not in str([(row.before, row.after, row.change) for row in rows])
    assert "secret" not in path.read_text("utf-8")
    assert ["insert", "update", "delete"] == [row.operation for row in rows if row.pointer == "/password"]


def test_lost_records_are_reported_as_a_whole(session: orm.Session) -> None:
    """Where records are no longer kept, the whole column is reported."""
    rows: list[RowChange] = []

    class Other(orm.DeclarativeBase):
        pass

    class Busy(Other):
        __tablename__ = "busy"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        data: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))

    track_columns(Busy, tracking_max_changes=10)
    Other.metadata.create_all(session.connection())
    with on_flush(session, lambda _, changes: rows.extend(changes)):
        busy = Busy(data={"n": 0})
        session.add(busy)
        session.flush()
        rows.clear()
        for number in range(100):
            busy.data["n"] = number
        session.flush()
    assert [("/data", MISSING, {"n": 99})] == [(row.pointer, row.before, row.after) for row in rows]


def test_column_changes(session: orm.Session) -> None:
    """The changes of an object since it was loaded, with their actors."""
    user = User(name="a", settings={"a": {}})
    session.add(user)
    session.commit()
    assert [] == column_changes(user)
    assert "a" == user.name
    with tracking_actor("ann"):
        user.name = "b"
        user.settings["a"]["x"] = 1
        del user.visits
    assert [("ann", "/name", "a", "b"), ("ann", "/settings/a/x", MISSING, 1), ("ann", "/visits", 0, MISSING)] == [
        (each.actor, each.pointer, each.before, each.after) for each in column_changes(user)
    ]
    assert 3 == session.connection().exec_driver_sql("select 3").scalar()


def test_nothing_is_kept_without_an_observer(make: orm.sessionmaker[orm.Session]) -> None:
    """Rows go with their objects, and keep nothing for a log without one."""
    from pydatatracker.integrations.sqlalchemy import columns

    gc.collect()
    before = len(columns._ROWS)
    with make() as session:
        for number in range(20):
            session.add(User(name=str(number), settings={}))
        session.commit()
        for user in session.scalars(sa.select(User)):
            user.settings["x"] = 1
            assert () == columns._ROWS[sa.inspect(user)].pending
        session.rollback()
        del user
    gc.collect()
    assert before == len(columns._ROWS)


def test_the_decorator_tracked_is_refused() -> None:
    """@tracked would map the class a second time; it says what to use."""
    with pytest.raises(TypeError, match=r"use track_columns\(User\) of pydatatracker.integrations.sqlalchemy"):
        tracked(User)
