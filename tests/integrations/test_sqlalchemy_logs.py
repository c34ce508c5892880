"""SQLAlchemy: a log of commits leads to what the database holds."""

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

pytest.importorskip("sqlalchemy", minversion="2")

import sqlalchemy as sa
from sqlalchemy import orm

from pydatatracker import replay, tracking_actor
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.integrations.sqlalchemy import Tracked, log_commits, track_columns


class Base(orm.DeclarativeBase):
    pass


@track_columns
class Page(Base):
    __tablename__ = "pages"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str | None]
    left: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))
    right: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))


class Bare(Base):  # only the values of its JSON columns are tracked
    __tablename__ = "bare"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str | None]
    left: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))
    right: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))


@pytest.fixture(scope="module")
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def nest(session: orm.Session, page: Any, number: int, key: str = "left") -> None:
    value = getattr(page, key)
    if value is None:
        setattr(page, key, {"new": number})
    else:
        value[f"n{number % 3}"] = number


def put_inside(session: orm.Session, page: Any, number: int) -> None:
    if page.left is not page.right and None not in (page.left, page.right) and page.right not in page.left.values():
        page.right["inside"] = page.left


def written_elsewhere(session: orm.Session, page: Any, number: int) -> None:
    """Load what another program wrote, over what was not flushed."""
    session.flush()
    nest(session, page, number)
    new = {"left": {"elsewhere": number}, "right": {"elsewhere": number}}
    session.connection().execute(sa.update(type(page).__table__).values(**new))
    session.refresh(page, ["left", "right"])
    nest(session, page, number, "left")
    nest(session, page, number, "right")
    session.flush()  # a log has only what is written through objects


STEPS: dict[str, Callable[[orm.Session, Any, int], Any]] = {
    "change left": nest,
    "change right": lambda session, page, number: nest(session, page, number, "right"),
    "set left": lambda session, page, number: setattr(page, "left", {"set": number}),
    "set right": lambda session, page, number: setattr(page, "right", {"set": number}),
    "set left to None": lambda session, page, number: setattr(page, "left", None),
    "share left": lambda session, page, number: setattr(page, "right", page.left),
    "share right": lambda session, page, number: setattr(page, "left", page.right),
    "put left inside right": put_inside,
    "set title": lambda session, page, number: setattr(page, "title", str(number)),
    "undo": lambda session, page, number: page.left is None or page.left.tracking_undo(),
    "refresh left": lambda session, page, number: session.refresh(page, ["left"]),
    "refresh right": lambda session, page, number: session.refresh(page, ["right"]),
    "refresh": lambda session, page, number: session.refresh(page),
    "expire left": lambda session, page, number: session.expire(page, ["left"]),
    "expire right": lambda session, page, number: session.expire(page, ["right"]),
    "written elsewhere": written_elsewhere,
    "flush": lambda session, page, number: session.flush(),
    "commit": lambda session, page, number: session.commit(),
    "rollback": lambda session, page, number: session.rollback(),
}


def logged(lines: list[ChangeLogEntry]) -> Any:
    """Return what the log leads to; it begins anew with each root."""
    states = {root: replay(lines, root=root) for root in dict.fromkeys(line.root for line in lines)}
    return [*states.values()][-1] if states else None


def check(engine: sa.Engine, cls: Any, steps: list[str], expire: bool) -> list[ChangeLogEntry]:
    """Take the steps, and compare the log with the database after each commit."""
    lines: list[ChangeLogEntry] = []
    table = cls.__table__
    with engine.begin() as connection:
        connection.execute(sa.delete(table))
        connection.execute(sa.insert(table).values(id=1, left={"k": 0}, right={"k": 1}))
    with orm.Session(engine, expire_on_commit=expire) as session, log_commits(session, lines.append):
        page = session.get_one(cls, 1)
        for number, step in enumerate([*steps, "change left", "commit"]):
            STEPS[step](session, page, number)
            if step == "commit" and lines:
                with engine.connect() as connection:
                    held = connection.execute(sa.select(table)).mappings().one()
                found = logged(lines)
                assert {key: held[key] for key in found} == found
    return lines


@pytest.mark.parametrize("cls", [Page, Bare])
@pytest.mark.parametrize("expire", [True, False], ids=["expired by a commit", "kept after a commit"])
@pytest.mark.parametrize(
    "steps",
    [
        ["share left", "commit", "change right", "expire left"],
        ["share left", "change right", "refresh left"],
        ["share right", "set left", "refresh left"],
        ["put left inside right", "change left", "refresh left", "change right"],
        ["put left inside right", "flush", "undo", "expire right"],
        ["set title", "change left", "set right", "expire right", "set right"],
        ["change left", "flush", "set left to None", "refresh left"],
        ["set right", "share right", "set left to None", "expire right", "share left"],
        ["change left", "written elsewhere", "change right"],
    ],
    ids=", ".join,
)
def test_a_log_leads_to_what_the_database_holds(engine: sa.Engine, cls: Any, expire: bool, steps: list[str]) -> None:
    """A log of rows replays, in arrival order, to what the database holds."""
    check(engine, cls, steps, expire)


@hypothesis.given(
    steps=strategies.lists(strategies.sampled_from([*STEPS]), max_size=10),
    cls=strategies.sampled_from([Page, Bare]),
    expire=strategies.booleans(),
)
@hypothesis.settings(deadline=None, max_examples=150)
def test_any_log_leads_to_what_the_database_holds(engine: sa.Engine, steps: list[str], cls: Any, expire: bool) -> None:
    """It holds after each commit of any sequence of steps."""
    try:
        check(engine, cls, steps, expire)
    except Exception as error:
        if "undo" not in str(error):  # there was nothing to undo, or it was changed since
            raise


def test_a_change_of_a_shared_value_keeps_its_actor(engine: sa.Engine) -> None:
    """If one of two columns is loaded again, the change is that of the other."""
    lines: list[ChangeLogEntry] = []
    with engine.begin() as connection:
        connection.execute(sa.delete(Page.__table__))
        connection.execute(sa.insert(Page).values(id=1, left={"k": {}}, right={}))
    with orm.Session(engine) as session, log_commits(session, lines.append):
        page = session.get_one(Page, 1)
        page.right = page.left
        with tracking_actor("ann"):
            page.left["k"]["x"] = 1
        session.refresh(page, ["left"])
        session.commit()
    change = lines[-1]
    assert ("ann", "/right/k/x", (("right", "k", "x"),)) == (change.actor, change.pointer, change.paths)
    assert {"id": 1, "title": None, "right": {"k": {"x": 1}}} == logged(lines)  # left was not loaded at the flush
