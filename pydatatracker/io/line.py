"""One line of a log, as an object that decodes values on access."""

from __future__ import annotations

import datetime
import functools
import json
from typing import TYPE_CHECKING, Any, Final

from pydatatracker._core import MISSING
from pydatatracker.values.codec import decoder, encoder
from pydatatracker.values.decode import decode
from pydatatracker.values.pointer import key_text
from pydatatracker.values.standins import Repr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatracker.change.entry import ChangeLogEntry

__all__ = ["LogLine", "load_json", "nanoseconds_of", "other_roots", "position_of_culprit", "rank_of", "read_json"]


def read_again(raw: bytes, line: int, offset: int) -> LogLine:
    """Return the line of a pickle, read from its bytes again."""
    from pydatatracker.io.parsing import parse

    return parse(raw, line, offset)


read_again.__module__ = "pydatatracker.rebuild"

TAKEN_OUT: Final = frozenset(("__delitem__", "clear", "discard", "pop", "popitem", "remove"))  # 0.1.0


class LogLine:
    """One line of a log: its fields as attributes, its position, its bytes.

    The names are those of `ChangeLogEntry`; fields that the line does not have are "", (), None or MISSING. Reading
    one is O(1), except ``path paths also roots location before after splice order changes context stack culprit tree
    extra data``, which are parsed at each access. No field raises.

    >>> from pydatatracker.io import parse
    >>> line = parse(b'{"v":1,"action":"update","pointer":"/a","before":null,"after":{"$set":[1]}}')
    >>> line.action, line.pointer, line.before, line.after, line.actor
    ('update', '/a', None, {1}, '')
    """

    __slots__ = ("head", "line", "offset", "raw")

    def __init__(self, head: Any, raw: bytes, line: int, offset: int) -> None:
        self.head = head  # text and numbers parsed; what may be large, as bytes
        self.raw = raw  # as it is in the file, with its newline if it has one
        self.line = line  # from 1
        self.offset = offset  # of its first byte in the file

    def __reduce__(self) -> tuple[Any, ...]:
        return read_again, (self.raw, self.line, self.offset)

    def __copy__(self) -> LogLine:
        return self  # it cannot be changed

    def __deepcopy__(self, memo: dict[int, Any]) -> LogLine:
        return self

    def __repr__(self) -> str:
        return f"<LogLine {self.line}: {self.action} {self.pointer or key_text(self.location or '')}>"

    def _repr_html_(self) -> str:  # for a notebook
        from pydatatracker.change import html

        return html.html_of(self)

    def __rich_repr__(self) -> Iterator[Any]:
        from pydatatracker.change import brief

        return brief.rich_fields(self)

    # ---- the line as a whole

    @property
    def data(self) -> dict[str, Any]:
        """The whole line as JSON data: a fresh dict, values not decoded."""
        data = read_json(self.raw)
        return data if type(data) is dict else {}

    @property
    def v(self) -> int:
        """Version of the format; 0 for lines of 0.1.0 and a bare ``extra``."""
        return int(self.head.v)

    @property
    def rank(self) -> int:
        """Place among the lines of one seq.

        0 for an ``init``, 1 for a change, 2 for an ``init`` that repeats what the log has (method ``again``).
        """
        return rank_of(self.head)

    @property
    def is_gap(self) -> bool:
        """Whether the line says that changes are missing here.

        Such a line has `gap` and `reason`.
        """
        return bool(self.head.action == "gap")

    @property
    def is_seal(self) -> bool:
        """Whether the line is about the seals of a log, and no change.

        Readers leave out such lines.
        """
        return bool(self.head.action == "seal" and self.head.seq is None)

    @property
    def gap(self) -> tuple[int | None, int | None]:
        """Sequence numbers (first, last) of the missing changes."""
        return self.head.first, self.head.to

    @property
    def reason(self) -> str:
        """Why changes are missing."""
        return str(self.head.reason)

    def entry(self) -> ChangeLogEntry:
        """Return the line as a ChangeLogEntry. O(length)."""
        from pydatatracker.change.entry import ChangeLogEntry

        return ChangeLogEntry.from_dict(self.data)

    # ---- plain fields

    @property
    def action(self) -> str:
        """What happened; "gap" if changes are missing here."""
        return str(self.head.action)

    @property
    def seq(self) -> int | None:
        """Sequence number in its process; None in lines of 0.1.0."""
        value: int | None = self.head.seq
        return value

    @property
    def uuid(self) -> str:
        """Id of the change."""
        return str(self.head.uuid)

    @property
    def method(self) -> str:
        """The method that did it."""
        return str(self.head.method)

    @property
    def type(self) -> str:
        """Class name of the container that changed."""
        return str(self.head.type)

    @property
    def pointer(self) -> str:
        """RFC 6901 pointer to what changed.

        "" for the root, and in lines of 0.1.0, which have only `location`.
        """
        return str(self.head.pointer)

    @property
    def actor(self) -> str:
        """Who did it."""
        return str(self.head.actor)

    @property
    def root(self) -> str:
        """Id of the root of its tree."""
        return str(self.head.root)

    @property
    def tracked_item_uuid(self) -> str:
        """Id of the container that changed."""
        return str(self.head.tracked_item_uuid)

    @property
    def transaction(self) -> str | None:
        """Id of its transaction."""
        return self.head.transaction or None

    @property
    def pid(self) -> int | None:
        """Process that wrote the line."""
        value: int | None = self.head.pid
        return value

    @property
    def thread(self) -> str:
        """Name of the thread that wrote the line."""
        return str(self.head.thread)

    @property
    def name(self) -> str:
        """The `tracking_name` of the root; "" if the line does not have it."""
        return str(self.head.name)

    @property
    def trace_id(self) -> str:
        """Trace of the OpenTelemetry span of the change, 32 hex digits."""
        return str(self.head.trace_id)

    @property
    def span_id(self) -> str:
        """The OpenTelemetry span of the change, 16 hex digits."""
        return str(self.head.span_id)

    @property
    def time_ns(self) -> int | None:
        """Wall clock, nanoseconds since 1970."""
        value: int | None = self.head.time_ns
        return value

    @property
    def created_time(self) -> datetime.datetime | None:
        """Wall clock as an aware UTC datetime; None if it cannot be read."""
        try:
            if self.head.created_time:
                moment = datetime.datetime.fromisoformat(self.head.created_time)
                if moment.tzinfo is None:
                    return moment.replace(tzinfo=datetime.UTC)
                return moment.astimezone(datetime.UTC)
            if self.head.time_ns is not None:
                micros = datetime.timedelta(microseconds=self.head.time_ns // 1000)
                return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + micros
        except (ValueError, OverflowError):
            pass
        return None

    # ---- fields that are decoded at each access

    @property
    def path(self) -> tuple[Any, ...]:
        """Keys and indices from the root; () in lines of 0.1.0."""
        return _row(read_json(self.head.path))

    @property
    def paths(self) -> tuple[tuple[Any, ...], ...]:
        """All paths to what changed, where there are several."""
        given = read_json(self.head.paths)
        return tuple(map(_row, given)) if type(given) is list else (self.path,)

    @property
    def also(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """The (id of a root, path) in which it happened too.

        A change is one line, in however many trees it shows; `seen_from` gives the line of another root.
        """
        return tuple((root, _row(path)) for root, path in _also(self.head))

    @property
    def also_cut(self) -> int:
        """Number of further paths that `paths` and `also` leave out."""
        return int(self.head.also_cut)

    @property
    def roots(self) -> tuple[str, ...]:
        """The ids of all roots that the line is about, its own first."""
        return (self.root, *other_roots(self.head)) if self.head.also else (self.root,)

    def seen_from(self, root: str) -> LogLine:
        """Return the line as another one of its `roots` has it. O(line).

        ``path``, ``paths`` and ``pointer`` start from that root; what was the line's own root is in `also`.
        """
        if not self.head.also or root == self.root:
            return self
        from pydatatracker.change.mapping import seen_from
        from pydatatracker.io.parsing import parse

        view = seen_from(self.data, root)
        try:
            raw = _encoder()(view)
        except UnicodeEncodeError:  # a lone surrogate, which the line has escaped
            raw = json.dumps(view).encode()
        return parse(raw + b"\n", self.line, self.offset)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of containers in the new values, where the line has them."""
        given = read_json(self.head.ids)
        return tuple(each for each in given.values() if type(each) is str) if type(given) is dict else ()

    @property
    def location(self) -> Any:
        """The key, index or attribute.

        In lines of 0.1.0 it is text, such as ``profile:score``.
        """
        value = decode(read_json(self.head.location)) if self.head.location else MISSING
        if value is MISSING and self.head.v == 0:  # the lock of an attribute has no other field
            return self.extra.get("attribute_name")
        if value is MISSING:
            path = self.path
            return path[-1] if path and (self.head.before or self.head.after) else None
        return value

    @property
    def before(self) -> Any:
        """The old value, or MISSING.

        In lines of 0.1.0 it is text (a `pydatatracker.values.standins.Repr`).
        """
        if self.head.v == 0:
            if self._was_taken_out():
                return self._text("value", "removed_items")
            of_attribute = "attribute_locked" in self.extra  # of other locks it is the whole container
            return self._text("data_pre_change" if of_attribute else "removed_items")
        return decode(read_json(self.head.before)) if self.head.before else MISSING

    @property
    def after(self) -> Any:
        """The new value, or MISSING; in lines of 0.1.0 text, as in `before`."""
        if self.head.v == 0:
            return MISSING if self._was_taken_out() else self._text("init_data", "value", "return_value")
        return decode(read_json(self.head.after)) if self.head.after else MISSING

    @property
    def splice(self) -> tuple[int, tuple[Any, ...], tuple[Any, ...]] | None:
        """(start, removed, inserted) of a list change, or None."""
        given = read_json(self.head.splice)
        if type(given) is not list or len(given) != 3 or type(given[0]) is not int:
            return None
        return given[0], _row(given[1]), _row(given[2])

    @property
    def order(self) -> tuple[int, ...] | None:
        """New position -> old position of a sort or reverse, or None."""
        given = read_json(self.head.order)
        return tuple(given) if type(given) is list else None

    @property
    def changes(self) -> tuple[tuple[Any, ...], ...]:
        """Rows (key, before, after) of a bulk change."""
        given = read_json(self.head.changes)
        rows = given if type(given) is list else ()
        return tuple(_row(row) for row in rows if type(row) is list and len(row) == 3)

    @property
    def context(self) -> dict[str, Any]:
        """Keyword arguments of the actor."""
        given = read_json(self.head.context)
        return {key: decode(value) for key, value in given.items()} if type(given) is dict else {}

    @property
    def stack(self) -> list[Any]:
        """Frames as they are in the line; 0.1.0 wrote text, innermost first."""
        given = read_json(self.head.stack)
        return given if type(given) is list else []

    @property
    def culprit(self) -> dict[str, Any] | None:
        """The frame of ``stack`` that is the innermost outside of libraries.

        None if there is none, and in lines of earlier versions, unless `pydatatracker.set_library` was called.
        """
        n = position_of_culprit(self)
        return None if n is None else self.stack[n]

    @property
    def tree(self) -> list[Any]:
        """The containers from the root down; absent in compact lines."""
        given = read_json(self.head.tree)
        return given if type(given) is list else []

    @property
    def extra(self) -> dict[str, Any]:
        """The change in the terms of 0.1.0; absent in compact lines.

        A line that is a bare ``extra`` is returned whole.
        """
        given = read_json(self.head.extra) if self.head.extra else self.data if self.head.v == 0 else None
        return given if type(given) is dict else {}

    def _was_taken_out(self) -> bool:
        return self.head.action == "remove" or self.head.method in TAKEN_OUT

    def _text(self, *names: str) -> Any:
        extra = self.extra
        for name in names:
            if type(extra.get(name)) is str:
                return Repr(extra[name], "")
        return MISSING


@functools.cache
def _encoder() -> Any:
    return encoder()


@functools.cache
def _decoder() -> Any:
    return decoder()


def load_json(raw: bytes) -> Any:
    """Return the JSON in raw, also what only Python's json module accepts.

    That is NaN, lone surrogates and a BOM. O(length). Raises ValueError.
    """
    try:
        return _decoder()(raw)
    except UnicodeDecodeError:
        raise
    except Exception:
        return json.loads(raw.decode("utf-8-sig"))


def read_json(raw: Any) -> Any:
    """Return the JSON in raw, None if raw is empty.

    O(length), never raises: bytes that are not UTF-8 are replaced, and what is not JSON comes as a ``$repr``.
    """
    if not raw:
        return None
    data = bytes(raw)
    try:
        return load_json(data)
    except ValueError:
        text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return {"$repr": text, "type": "bytes"}


def rank_of(head: Any) -> int:
    """Return the `LogLine.rank` of a line, given its head. O(1)."""
    return 1 if head.action != "init" else 2 if head.method == "again" else 0


def nanoseconds_of(line: LogLine) -> int | None:
    """Return when a change was made, in ns. O(1).

    From ``time_ns``, or else from ``created_time``.
    """
    when = line.time_ns
    if when is None and (moment := line.created_time) is not None:
        return int(moment.timestamp() * 1_000_000) * 1000
    return when


def other_roots(head: Any) -> tuple[str, ...]:
    """Return the ids of the further roots that a line is about. O(paths)."""
    return tuple({root: None for root, _ in _also(head) if root != head.root})


def _also(head: Any) -> list[list[Any]]:
    given = read_json(head.also)
    rows = given if type(given) is list else ()
    return [row for row in rows if type(row) is list and len(row) == 2 and type(row[0]) is str]


def position_of_culprit(line: LogLine) -> int | None:
    """Return the position of ``culprit`` in ``stack``, or None. O(frames)."""
    from pydatatracker.change.stack import culprit_in

    return culprit_in({"culprit": read_json(line.head.culprit)} if line.head.culprit else {}, line.stack)


def _row(given: Any) -> tuple[Any, ...]:
    return tuple(decode(item) for item in given) if type(given) is list else ()
