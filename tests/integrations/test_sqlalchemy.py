"""SQLAlchemy: nested changes of JSON columns are flushed.

Every test runs against a real database of SQLite.
"""

import copy
import gc
import pickle
import subprocess
import sys
import warnings
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sqlalchemy", minversion="2")

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.mutable import MutableDict

from pydatatracker import TrackedDict, TrackedList, track, tracking_transaction
from pydatatracker.containers.untracked import UntrackedWarning
from pydatatracker.integrations.sqlalchemy import Tracked, track_columns


class Base(orm.DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str | None]
    settings: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))
    tags: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON()), default=list)
    late: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON), deferred=True, nullable=True)


class HasNotes:
    notes: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))


class Animal(HasNotes, Base):
    __tablename__ = "animals"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    data: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):  # its own table
    __tablename__ = "dogs"
    id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("animals.id"), primary_key=True)
    tricks: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON))
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Cat(Animal):  # in the table of its base
    moods: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON), nullable=True)
    __mapper_args__ = {"polymorphic_identity": "cat"}


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[orm.Session]:
    with orm.Session(engine) as session:
        yield session


def stored(session: orm.Session, column: Any = User.settings) -> Any:
    """Return what the database holds, as plain data."""
    return session.scalar(sa.select(column).execution_options(populate_existing=False))


def added(session: orm.Session, settings: Any, **rest: Any) -> User:
    user = User(settings=settings, **rest)
    session.add(user)
    session.commit()
    return user


CHANGES = {
    "deep store": ({"theme": {"colour": "blue"}}, lambda v: v["theme"].__setitem__("colour", "red"), {"theme": {"colour": "red"}}),
    "top store": ({"a": 1}, lambda v: v.__setitem__("a", 2), {"a": 2}),
    "delete": ({"a": {"b": 1}}, lambda v: v["a"].__delitem__("b"), {"a": {}}),
    "list in dict": ({"l": [1]}, lambda v: v["l"].append(2), {"l": [1, 2]}),
    "dict in list": ([{"a": 1}], lambda v: v[0].update(a=2, b=3), [{"a": 2, "b": 3}]),
    "list of lists": ([[3, 1, 2]], lambda v: v[0].sort(), [[1, 2, 3]]),
    "clear": ({"a": {"b": 1}}, lambda v: v.clear(), {}),
    "setdefault": ({}, lambda v: v.setdefault("a", []).append(1), {"a": [1]}),
    "in what was added": ({}, lambda v: (v.update(a={"b": {}}), v["a"]["b"].update(c=1)), {"a": {"b": {"c": 1}}}),
    "slice": ([1, 2, 3], lambda v: v.__setitem__(slice(0, 2), [9]), [9, 3]),
    "in-place or": ({"a": 1}, lambda v: v.__ior__({"b": 2}), {"a": 1, "b": 2}),
    "unicode and odd keys": ({"a/b": {"~": 1}}, lambda v: v["a/b"].update({"é": None}), {"a/b": {"~": 1, "é": None}}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "change", "after"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("loaded", ["loaded", "added", "set"])
def test_a_nested_change_is_written(
    engine: sa.Engine, session: orm.Session, before: Any, change: Any, after: Any, loaded: str
) -> None:
    """A change at any depth marks the row, and the flush writes it."""
    user = added(session, {"other": 1} if loaded == "set" else copy.deepcopy(before))
    if loaded == "set":
        user.settings = copy.deepcopy(before)
        session.commit()
    if loaded == "loaded":
        session.expunge_all()
        user = session.scalars(sa.select(User)).one()
    assert user not in session.dirty
    change(user.settings)
    assert user in session.dirty
    session.commit()
    assert after == user.settings
    assert after == stored(session)
    assert type(stored(session)) in (dict, list)


def test_without_it_the_change_is_lost(session: orm.Session) -> None:
    """The column of a plain JSON type does not see the change."""

    class Plain(orm.DeclarativeBase):
        pass

    class Row(Plain):
        __tablename__ = "plain"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        data: orm.Mapped[Any] = orm.mapped_column(sa.JSON)

    Plain.metadata.create_all(session.connection())
    row = Row(data={"a": {"b": 1}})
    session.add(row)
    session.commit()
    row.data["a"]["b"] = 2
    assert row not in session.dirty


@pytest.mark.parametrize("value", [None, 1, "text", 1.5, True, sa.JSON.NULL])
def test_scalars_stay_what_they_are(session: orm.Session, value: Any) -> None:
    """Scalars are stored as they are, and a container may follow."""
    user = added(session, value)
    assert (None if value is sa.JSON.NULL else value) == user.settings
    user.settings = {"a": [1]}
    session.commit()
    user.settings["a"].append(2)
    session.commit()
    assert {"a": [1, 2]} == stored(session)
    user.settings = None
    session.commit()
    assert user.settings is None


def test_a_new_value_is_tracked_and_the_old_one_no_longer_marks(session: orm.Session) -> None:
    """After an assignment only the new value marks the row."""
    user = added(session, {"a": {"b": 1}})
    old = user.settings
    user.settings = {"c": {"d": 1}}
    session.flush()
    old["a"]["b"] = 2
    assert user not in session.dirty
    user.settings["c"]["d"] = 2
    assert user in session.dirty
    session.commit()
    assert {"c": {"d": 2}} == stored(session)


def test_tracked_data_keeps_its_identity(session: orm.Session) -> None:
    """Tracked data that is assigned stays the same object."""
    value = track({"a": {"b": 1}}, tracking_name="mine")
    user = User(settings=value)
    assert value is user.settings
    session.add(user)
    session.flush()
    value["a"]["b"] = 2
    assert user in session.dirty
    assert "mine" == user.settings.tracking_name


def test_a_value_in_two_columns_and_two_rows_marks_all(session: orm.Session) -> None:
    """A shared value marks every column that holds it, and writes all."""
    value = track({"a": 1})
    one, two = User(settings=value, tags=value), User(settings=value)
    session.add_all([one, two])
    session.flush()
    value["a"] = 2
    assert {one, two} == {*session.dirty}
    assert {"settings", "tags"} == {*sa.inspect(one).committed_state}
    session.flush()
    one.settings = None
    session.flush()
    value["a"] = 3
    assert {"tags"} == {*sa.inspect(one).committed_state}
    assert {"settings"} == {*sa.inspect(two).committed_state}


def test_a_part_of_another_value_marks_both(session: orm.Session) -> None:
    """A nested part that is a value of its own marks both rows."""
    one = added(session, {"part": {"a": 1}})
    two = added(session, None)
    two.settings = one.settings["part"]
    session.flush()
    two.settings["a"] = 2
    assert {one, two} == {*session.dirty}


def test_undo_marks_the_row(session: orm.Session) -> None:
    """Undo, redo and a revert of the value are changes, too."""
    user = added(session, {"theme": {"colour": "blue"}})
    user.settings["theme"]["colour"] = "red"
    session.flush()
    user.settings.tracking_undo()
    assert user in session.dirty
    session.flush()
    assert {"theme": {"colour": "blue"}} == stored(session)
    user.settings["theme"].tracking_redo()
    session.flush()
    assert {"theme": {"colour": "red"}} == stored(session)


def test_a_transaction_of_the_data_marks_at_once(session: orm.Session) -> None:
    """A flush inside of tracking_transaction() writes what was changed so far."""
    user = added(session, {"a": 1})
    with tracking_transaction(user.settings) as transaction:
        user.settings["a"] = 2
        session.flush()
        assert {"a": 2} == stored(session)
        transaction.rollback()
    session.flush()
    assert {"a": 1} == stored(session)


@pytest.mark.parametrize("end", ["rollback", "expire", "expire one", "refresh", "refresh one", "populate_existing"])
def test_reloaded_values_are_tracked(session: orm.Session, end: str) -> None:
    """What is loaded again is tracked, and the old value marks nothing."""
    user = added(session, {"a": {"b": 1}})
    old = user.settings
    old["a"]["b"] = 2
    with session.no_autoflush:
        if end == "rollback":
            session.rollback()
        elif end.startswith("expire"):
            session.expire(user, ["settings"] if end == "expire one" else None)
        elif end.startswith("refresh"):
            session.refresh(user, ["settings"] if end == "refresh one" else None)
        else:
            session.scalars(sa.select(User).execution_options(populate_existing=True)).all()
        old["a"]["b"] = 3  # the old value, loaded or not, is nobody's
        assert {"a": {"b": 1}} == user.settings
        old["a"]["b"] = 4
        assert {} == sa.inspect(user).committed_state
    user.settings["a"]["b"] = 5
    session.commit()
    assert {"a": {"b": 5}} == stored(session)


def test_a_savepoint_that_is_rolled_back(session: orm.Session) -> None:
    """After a rollback to a savepoint the old value is back, and tracked."""
    user = added(session, {"a": 1})
    user.settings["a"] = 2
    with session.begin_nested() as savepoint:
        user.settings["a"] = 3
        session.flush()
        savepoint.rollback()
    assert {"a": 2} == user.settings
    user.settings["a"] = 4
    session.commit()
    assert {"a": 4} == stored(session)


def test_a_pending_object_that_is_rolled_back(session: orm.Session) -> None:
    """An object that was never written keeps its value."""
    user = User(settings={"a": {}})
    session.add(user)
    session.flush()
    session.rollback()
    user.settings["a"]["b"] = 1
    session.add(user)
    session.flush()
    user.settings["a"]["b"] = 2
    session.commit()
    assert {"a": {"b": 2}} == stored(session)


def test_defaults_are_tracked(session: orm.Session) -> None:
    """What default=list makes in the flush is tracked."""
    user = added(session, {})
    user.tags.append({"x": 1})
    session.flush()
    user.tags[0]["x"] = 2
    session.commit()
    assert [{"x": 2}] == stored(session, User.tags)


def test_a_default_is_tracked_before_it_is_expired(engine: sa.Engine) -> None:
    """It is tracked right after the flush, in a session that does not expire."""
    with orm.Session(engine, expire_on_commit=False) as session:
        user = added(session, {})
        user.tags.append(1)
        assert user in session.dirty
        session.commit()
        assert [1] == stored(session, User.tags)


def test_deferred_columns(session: orm.Session) -> None:
    """A deferred column is tracked when it is loaded, and only then loaded."""
    user = added(session, {}, late={"a": {}})
    session.expunge_all()
    user = session.scalars(sa.select(User)).one()
    assert "late" in sa.inspect(user).unloaded
    user.settings["x"] = 1
    session.flush()
    assert "late" in sa.inspect(user).unloaded
    user.late["a"]["b"] = 1
    session.commit()
    assert {"a": {"b": 1}} == stored(session, User.late)


def test_merge(engine: sa.Engine, session: orm.Session) -> None:
    """session.merge gives a tracked value, with and without loading."""
    user = added(session, {"a": {"b": 1}})
    _ = user.settings
    session.expunge(user)
    user.settings["a"]["b"] = 2
    merged = session.merge(user)
    assert merged is not user
    session.commit()
    assert {"a": {"b": 2}} == stored(session)
    merged.settings["a"]["b"] = 3
    session.commit()
    assert {"a": {"b": 3}} == stored(session)
    with orm.Session(engine) as other:
        clean = other.get_one(User, user.id)
        third = orm.Session(engine)
        unloaded = third.merge(clean, load=False)
        unloaded.settings["a"]["b"] = 4
        assert unloaded in third.dirty
        third.commit()
        third.close()
    session.expire_all()
    assert {"a": {"b": 4}} == stored(session)


@pytest.mark.parametrize("value", [{"a": {"b": 1}}, OrderedDict(a={"b": 1}), defaultdict(dict, a={"b": 1})])
@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_pickled_instances(session: orm.Session, value: Any, how: str) -> None:
    """A pickled or copied object marks itself, detached or in a session."""
    user = added(session, value, tags=[[1]])
    _ = user.settings, user.tags
    session.expunge(user)
    made = pickle.loads(pickle.dumps(user)) if how == "pickle" else copy.deepcopy(user)
    made.settings["a"]["b"] = 2
    assert sa.inspect(made).modified
    assert not sa.inspect(user).modified
    session.add(made)
    session.commit()
    made.tags[0].append(2)
    session.commit()
    assert {"a": {"b": 2}} == stored(session)
    assert [[1, 2]] == stored(session, User.tags)


def test_a_pickle_of_a_new_object(session: orm.Session) -> None:
    """An object with a subclass of TrackedDict that was never in a session."""
    made = pickle.loads(pickle.dumps(User(settings=Config(a=TrackedList([1])))))
    session.add(made)
    session.flush()
    made.settings["a"].append(2)
    session.flush()
    assert Config is type(made.settings)
    assert {"a": [1, 2]} == stored(session)


class Config(TrackedDict[str, Any]):
    pass


def test_detached_and_transient_objects(session: orm.Session) -> None:
    """Changes without a session are written once there is one."""
    user = User(settings={"a": 1})
    user.settings["a"] = 2
    session.add(user)
    session.commit()
    _ = user.settings
    session.expunge(user)
    user.settings["a"] = 3
    session.add(user)
    session.commit()
    assert {"a": 3} == stored(session)
    session.delete(user)
    session.commit()
    user.settings["a"] = 4


def test_two_sessions(engine: sa.Engine, session: orm.Session) -> None:
    """Two objects of one row have values of their own."""
    user = added(session, {"a": 1})
    with orm.Session(engine) as other:
        twin = other.get_one(User, user.id)
        twin.settings["a"] = 2
        assert twin in other.dirty
        assert user not in session.dirty
        other.commit()
    session.expire_all()
    assert {"a": 2} == user.settings


def test_a_bulk_update_is_tracked_after_it(session: orm.Session) -> None:
    """What update() and insert() write is tracked once an object holds it."""
    user = added(session, {"a": {}})
    _ = user.settings
    session.execute(sa.update(User).values(settings={"b": {}}))
    user.settings["b"]["c"] = 1
    session.commit()
    assert {"b": {"c": 1}} == stored(session)
    session.execute(sa.insert(User), [{"settings": {"bulk": []}, "tags": []}])
    session.bulk_save_objects([User(settings={"bulk": []})])
    for each in session.scalars(sa.select(User).where(User.id != user.id)):
        each.settings["bulk"].append(1)
    session.commit()
    assert [{"bulk": [1]}] * 2 == [*session.scalars(sa.select(User.settings).where(User.id != user.id))]
    [made] = session.scalars(sa.insert(User).returning(User), [{"settings": {"r": []}, "tags": []}]).all()
    made.settings["r"].append(1)
    assert made in session.dirty


def test_a_query_of_the_column_gives_plain_data(session: orm.Session) -> None:
    """select(User.settings) returns plain data, which nobody writes back."""
    added(session, {"a": {"b": 1}})
    found = session.scalar(sa.select(User.settings))
    assert (dict, dict) == (type(found), type(found["a"]))
    assert ["1"] == [str(x) for x in session.scalars(sa.select(User.settings["a"]["b"].as_integer()))]


@pytest.mark.parametrize("cls", [Animal, Dog, Cat])
def test_inheritance(session: orm.Session, cls: Any) -> None:
    """Columns of bases, mixins and subclasses are tracked, once each."""
    keys = ["notes", "data", *({"Dog": ["tricks"], "Cat": ["moods"]}.get(cls.__name__, []))]
    pet = cls(**{key: {"a": {}} for key in keys})
    session.add(pet)
    session.commit()
    for key in keys:
        getattr(pet, key)["a"]["b"] = 1
        assert {key} == {*sa.inspect(pet).committed_state}
        session.commit()
    session.expunge_all()
    [pet] = session.scalars(sa.select(Animal))
    for key in keys:
        assert {"a": {"b": 1}} == getattr(pet, key)
        getattr(pet, key)["a"]["b"] = 2
        assert {key} == {*sa.inspect(pet).committed_state}
        session.commit()


def test_imperative_mapping_and_two_classes_of_one_table(engine: sa.Engine) -> None:
    """Every class of a table has its values tracked, by its own names."""
    metadata = sa.MetaData()
    table = sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("d", Tracked(sa.JSON)))
    copied = table.to_metadata(sa.MetaData(), name="copied")
    classes: list[Any] = [type(name, (), {}) for name in ("One", "Two", "Three")]
    orm.registry().map_imperatively(classes[0], table)
    orm.registry().map_imperatively(classes[1], table, properties={"data": table.c.d})
    orm.registry().map_imperatively(classes[2], copied)
    metadata.create_all(engine)
    copied.create(engine)
    for cls, key in zip(classes, ("d", "data", "d"), strict=True):
        with orm.Session(engine) as session:
            one = cls()
            setattr(one, key, {"a": []})
            session.add(one)
            session.commit()
            getattr(one, key)["a"].append(1)
            session.commit()
            assert {"a": [1]} == session.scalar(sa.select(getattr(cls, key)).where(cls.id == one.id))


def test_types_that_are_copied_with_their_column() -> None:
    """A type of PostgreSQL that SQLAlchemy copies for a mixin stays tracked."""
    from sqlalchemy.dialects.postgresql import ARRAY, JSONB

    class Other(orm.DeclarativeBase):
        pass

    class Mixin:
        rows: orm.Mapped[Any] = orm.mapped_column(Tracked(ARRAY(JSONB)))

    class Row(Mixin, Other):
        __tablename__ = "rows"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        data: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON().with_variant(JSONB(), "postgresql")))

    row = Row(rows=[{"a": 1}], data={"a": {}})
    sa.inspect(row)._commit_all(sa.inspect(row).dict)
    row.rows[0]["a"] = 2
    row.data["a"]["b"] = 1
    assert {"rows", "data"} == {*sa.inspect(row).committed_state}
    assert isinstance(Row.__table__.c.data.type, sa.JSON)
    assert "JSON()" == repr(Row.__table__.c.data.type)


def test_mutable_dict_beside_it_and_as_a_value(session: orm.Session) -> None:
    """A MutableDict column works beside it; assigning a MutableDict warns."""

    class Other(orm.DeclarativeBase):
        pass

    class Row(Other):
        __tablename__ = "mixed"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        theirs: orm.Mapped[Any] = orm.mapped_column(MutableDict.as_mutable(sa.JSON()))
        ours: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON()))

    Other.metadata.create_all(session.connection())
    row = Row(theirs={"a": 1}, ours={"a": {"b": 1}})
    session.add(row)
    session.commit()
    assert MutableDict is type(row.theirs)
    row.theirs["a"] = 2
    row.ours["a"]["b"] = 2
    session.commit()
    assert [({"a": 2}, {"a": {"b": 2}})] == [tuple(r) for r in session.execute(sa.select(Row.theirs, Row.ours))]
    with pytest.warns(UntrackedWarning, match=r"Row.ours was given a MutableDict, whose changes are not seen"):
        row.ours = MutableDict(a=1)
    assert MutableDict is type(row.ours)


def test_validators_and_listeners_run_as_before(session: orm.Session) -> None:
    """A validator sees the plain value; what it returns is tracked."""

    class Other(orm.DeclarativeBase):
        pass

    seen: list[type] = []

    class Row(Other):
        __tablename__ = "validated"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        data: orm.Mapped[Any] = orm.mapped_column(Tracked(sa.JSON()))

        @orm.validates("data")
        def check(self, key: str, value: Any) -> Any:
            seen.append(type(value))
            if value == 1:
                raise ValueError("no")
            return {"checked": value}

    row = Row(data={"a": {}})
    row.data["checked"]["a"]["b"] = 1
    with pytest.raises(ValueError, match="no"):
        row.data = 1
    assert {"checked": {"a": {"b": 1}}} == row.data
    assert [dict, int] == seen


def test_an_object_and_its_value_are_freed() -> None:
    """A value that outlives its object does not keep it."""
    user = User(settings={"a": {}})
    value, gone = user.settings, weakref.ref(user)
    del user
    gc.collect()
    assert gone() is None
    value["a"]["b"] = 1
    freed = weakref.ref(value)
    del value
    gc.collect()
    assert freed() is None


def test_no_warning_of_other_holders() -> None:
    """A plain value that something else holds is copied without a warning."""
    holder = {"defaults": {"a": {}}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        user = User(settings=holder["defaults"])
    user.settings["a"]["b"] = 1
    assert {"defaults": {"a": {}}} == holder


def test_options_and_errors() -> None:
    """Options are those of tracked data; what is wrong is named."""
    with pytest.raises(TypeError, match=r"Tracked\(\) takes a type of SQLAlchemy, such as JSON, not <class 'dict'>"):
        Tracked(dict)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="tracking_max_chang"):
        Tracked(sa.JSON, tracking_max_chang=1)
    with pytest.raises(TypeError, match="takes no tracking_name"):
        Tracked(sa.JSON, tracking_name="x")
    with pytest.raises(TypeError, match=r"tracking_... options, not 'nullable'"):
        Tracked(sa.JSON, nullable=True)
    with pytest.raises(TypeError, match=r"track_columns\(\) takes a mapped class, not <class 'int'>"):
        track_columns(int)
    with pytest.raises(ValueError, match="User has no column 'nmae'; it has id, late, name, settings, tags"):
        track_columns(User, "nmae")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["store", "append", "pop", "replace", "undo", "flush", "commit", "rollback", "expire", "savepoint"]
        ),
        st.integers(0, 3),
        st.integers(0, 99),
    ),
    max_size=25,
)


@settings(max_examples=20, deadline=None)
@given(STEPS)
def test_the_database_holds_what_the_object_shows(steps: list[tuple[str, int, int]]) -> None:
    """After random changes, flushes and rollbacks both hold the same."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    Base.metadata.create_all(engine, [User.__table__])
    with orm.Session(engine) as session:
        user = added(session, {"l": [], "d": {}})
        for what, where, value in steps:
            settings = user.settings
            if what == "store":
                settings["d"].setdefault(str(where), {})["v"] = value
            elif what == "append":
                settings["l"].append([value])
            elif what == "pop":
                settings["l"][where : where + 1] = []
            elif what == "replace":
                user.settings = {"l": [[value]], "d": {}}
            elif what == "undo":
                settings.tracking_undo()
            elif what == "savepoint":
                with session.begin_nested() as savepoint:
                    settings["l"].append(value)
                    if where % 2:
                        savepoint.rollback()
            elif what == "expire":
                session.flush()
                session.expire(user)
            else:
                getattr(session, what)()
            if what in ("flush", "commit", "expire"):
                assert user.settings == stored(session)
        session.commit()
        assert user.settings == stored(session)
    engine.dispose()


def test_a_missing_library_is_named() -> None:
    """Without SQLAlchemy the import says what to install."""
    code = "import sys; sys.modules['sqlalchemy'] = None; import pydatatracker.integrations.sqlalchemy"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (
        'ImportError: pydatatracker.integrations.sqlalchemy needs SQLAlchemy 2: pip install "sqlalchemy>=2"'
        in done.stderr
    )
