"""The inverse of a change: how to undo it, also below later changes.

The newest change of a container is undone as it stands. Below later changes of others its location has to be found
first: a key is the same location as long as nobody else touched it; an item of a list is followed by tokens, one for
each item, which are rewound through the later records.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, Change, Scope, cancelled, undone_by
from pydatatracker.change.bulk_rows import in_turn, is_move
from pydatatracker.values.pointer import to_pointer
from pydatatracker.values.redact import RedactedError
from pydatatracker.values.standins import Redacted, RedactedDict, RedactedList

__all__ = ["Operation", "Unwinding", "inverse", "not_recorded", "operation", "take_back"]


@dataclass(frozen=True, slots=True)
class Operation:
    """What `_core.restore` does: bring a location from old to new.

    The fields are those of a record.
    """

    shape: str
    index: int = -1
    key: Any = MISSING
    old: Any = MISSING
    new: Any = MISSING
    undoes: int = 0
    beside: Any = None  # dict: where keys were or come, see Change._beside

    @property
    def order(self) -> tuple[int, ...]:
        """New position -> old position, for a permutation."""
        return tuple(self.new)

    @property
    def keys(self) -> list[Any]:
        """Keys, indices or elements that it touches.

        [] for a whole container. O(result).
        """
        if self.shape == "rows":
            return list(self.new[::3])
        if self.shape == "elements":
            return [*self.old, *self.new]
        return [] if self.shape == "whole" else [self.key]


def operation(change: Change) -> Operation:
    """Return a change as an operation.

    O(1), for a permutation O(items).
    """
    shape = change._shape
    undoes = undone_by(change)
    if shape in ("sort", "order", "reverse", "rotate"):
        return Operation("order", new=change._order, undoes=undoes)
    if shape == "fill":
        rows = tuple(part for key, value in change.new.items() for part in (key, MISSING, value))
        return Operation("rows", new=rows, undoes=undoes)
    return Operation(shape, change.index, change.key, change.old, change.new, undoes, change._beside)


def inverse(done: Operation, kind: str, action: int = 0) -> Operation:
    """Return the operation that undoes another one, if nothing came after it.

    O(items of it).
    """
    shape = done.shape
    if shape == "order":
        back = [0] * len(done.new)
        for new, old in enumerate(done.new):
            back[old] = new
        return Operation("order", new=tuple(back))
    if shape == "rows":
        rows = done.new
        triples = [(rows[n], rows[n + 2], rows[n + 1]) for n in range(0, len(rows), 3)]
        if kind != "dict":
            if kind == "list" and rows[2] is MISSING and rows[-2] is MISSING:  # what was inserted goes first
                triples = [row for row in triples if row[2] is MISSING] + [row for row in triples if row[1] is MISSING]
            return Operation("rows", new=tuple(part for row in triples for part in row))
        if is_move(rows):
            return Operation("rows", new=rows, beside=None if done.beside is None else (None, done.beside[0]))
        # a key may come twice, so updates are reversed; keys that come and go keep the order of the dict
        places = done.beside or [None] * len(triples)
        come = [n for n, row in enumerate(triples) if row[1] is MISSING]
        stay = [n for n, row in enumerate(triples) if row[1] is not MISSING and row[2] is not MISSING][::-1]
        go = [n for n, row in enumerate(triples) if row[2] is MISSING]
        beside = None if done.beside is None else tuple(places[n] if n in come else None for n in (*come, *stay, *go))
        return Operation("rows", new=tuple(part for n in (*come, *stay, *go) for part in triples[n]), beside=beside)
    if shape == "whole":
        return Operation("whole", key=done.key, new=action != _core.ACTIONS.index("lock"))
    return Operation(shape, done.index, done.key, done.new, done.old, beside=done.beside if kind != "list" else None)


def take_back(change: Change, step: Operation, method: str, whole: bool = True, seen: int = 0) -> Scope | None:
    """Apply step to the live container of a change, recorded as undoing it.

    Returns the scope of the record, or None if it cannot be done; then nothing was changed. Raises TrackingLockedError
    if the container is locked.

    A rollback has all values in the journal; anything else raises RedactedError if a value or key was not recorded.

    ``whole=False``: only some rows of the change are undone, so the record does not name it. ``seen``: seq of the
    newest change that step was computed from; in a transaction, one that came later stops the step.
    """
    container = change._node.container
    if container is None or (method != "rollback" and _holds(step, _core.Words)):
        return None
    if method != "rollback" and _holds(step, _STAND_INS):
        raise not_recorded(change, method)
    now = _core.scope_now()
    actor, context, transaction = ("", None, None) if now is None else (now.actor, now.context, now.transaction)
    scope = Scope(actor, context, transaction, change.seq if whole else 0)
    return scope if _restore(container, step, _core.M_CODES[method], seen, scope) else None


def _restore(container: Any, step: Operation, code: int, seen: int, scope: Scope) -> bool:
    with _core.ScopeBlock(scope):
        return _core.restore(container, step.shape, step.index, step.key, step.old, step.new, code, seen, step.beside)


def not_recorded(change: Any, method: str) -> RedactedError:
    """Return the error for a change that was recorded without its values."""
    shown: Any = _core.as_shown(change)
    return RedactedError(
        f"{method}: {shown!r} cannot be undone: tracking_redact withholds what was stored or removed at"
        f" {_withheld_at(shown)}, so it was not recorded; set the value yourself, or omit the path from tracking_redact"
        " to record it from now on"
    )


def _withheld_at(change: Any) -> str:
    """Return the pointer of the first value of a change that is withheld."""
    rows: list[tuple[tuple[Any, ...], Any]] = []
    if change.splice is not None:
        start, removed, inserted = change.splice
        rows = [((start + n,), item) for items in (removed, inserted) for n, item in enumerate(items)]
    else:
        rows = [((key,), item) for key, before, after in change.changes for item in (before, after)]
    step = next((key for key, item in rows if isinstance(item, _STAND_INS)), ())
    return to_pointer((*change.path, *step)) or "the whole"


_STAND_INS = (Redacted, RedactedDict, RedactedList)


def _holds(step: Operation, kinds: Any) -> bool:
    """Return True if a value of the step is a stand-in: it cannot be stored."""
    values = (step.key, step.old, step.new)
    if any(isinstance(value, kinds) for value in values):
        return True
    return any(isinstance(item, kinds) for items in values if type(items) in (tuple, list) for item in items)


class _Tokens:
    """Tokens for the items of a list while it is rewound.

    Those that it holds now are numbered, the others negative.
    """

    def __init__(self, size: int) -> None:
        self.now = list(range(size))
        self.touched: set[int] = set()
        self.stash: dict[int, list[int]] = {}  # seq of a removal -> tokens that its undo restored
        self.fresh = 0

    def _lost(self, seq: int, count: int) -> list[int]:
        """Return the tokens of items that record seq removed."""
        known = self.stash.pop(seq, None)
        if known is not None and len(known) == count:
            return known
        self.fresh -= count
        return list(range(self.fresh, self.fresh + count))

    def back(self, done: Operation, seq: int, counts: bool) -> None:
        """Go back before a record.

        ``counts``: the record is not one that amounts to nothing.
        """
        now = self.now
        if done.shape == "slot":
            if done.old is MISSING:
                token = now.pop(done.index)
                if done.undoes:
                    self.stash[done.undoes] = [token]
            elif done.new is MISSING:
                now[done.index : done.index] = self._lost(seq, 1)
            elif counts:
                self.touched.add(now[done.index])
        elif done.shape == "splice":
            stop = done.index + len(done.new)
            tokens = now[done.index : stop]
            now[done.index : stop] = self._lost(seq, len(done.old))
            if done.undoes:
                self.stash[done.undoes] = tokens
        elif done.shape == "order":
            after = list(now)
            for new, old in enumerate(done.new):
                now[old] = after[new]
        elif done.shape == "rows":
            self._rows(done, seq, counts)

    def _rows(self, done: Operation, seq: int, counts: bool) -> None:
        for rows in reversed(in_turn(done.new)):
            indices = rows[::3]
            if rows[1] is MISSING:
                tokens = [self.now.pop(at) for at in reversed(indices)]
                if done.undoes:
                    self.stash[done.undoes] = tokens[::-1]
            elif rows[2] is MISSING:
                for at, token in zip(indices, self._lost(seq, len(indices)), strict=True):
                    self.now.insert(at, token)
            elif counts:
                self.touched.update(self.now[at] for at in indices)

    def gap(self, index: int) -> int:
        """Return where an item that stood before position index goes now."""
        for token in reversed(self.now[:index]):
            if token >= 0:
                return token + 1
        return next((token for token in self.now[index:] if token >= 0), 0)


def _fitted_in_list(done: Operation, size: int, later: Sequence[Change], gone: set[int]) -> Operation | None:
    """Return what undoes a change of a list below later changes.

    ``done`` is the change or a part of it. None if later changes touched its items. O(size + later).

    ``size``: items that the list holds now; ``later``: all its later changes, oldest first; ``gone``: seqs of those
    that amount to nothing.
    """
    if done.shape == "order":
        return None  # it touched every item
    tokens = _Tokens(size)
    for each in reversed(later):
        tokens.back(operation(each), each.seq, each.seq not in gone)
    if done.shape == "slot":
        if done.new is MISSING:
            return Operation("slot", tokens.gap(done.index), MISSING, MISSING, done.old)
        token = tokens.now[done.index]
        if token < 0 or token in tokens.touched:
            return None
        return Operation("slot", token, MISSING, done.new, done.old)
    if done.shape == "splice":
        return _splice_back(done, tokens)
    now = [tokens.now[at] for at in done.new[::3]] if done.new[2] is not MISSING else []
    if not now or min(now) < 0 or not tokens.touched.isdisjoint(now):
        return None
    rows = sorted(zip(now, done.new[2::3], done.new[1::3], strict=True), key=lambda row: row[0])
    return Operation("rows", new=tuple(part for row in rows for part in row))


def _splice_back(done: Operation, tokens: _Tokens) -> Operation | None:
    mine = tokens.now[done.index : done.index + len(done.new)]
    if not mine:
        return Operation("splice", tokens.gap(done.index), old=(), new=tuple(done.old))
    if min(mine) < 0 or not tokens.touched.isdisjoint(mine):
        return None
    if mine == list(range(mine[0], mine[0] + len(mine))):
        return Operation("splice", mine[0], old=tuple(done.new), new=tuple(done.old))
    if done.old:
        return None
    rows = sorted(zip(mine, done.new, strict=True), key=lambda row: row[0])
    return Operation("rows", new=tuple(part for at, item in rows for part in (at, item, MISSING)))


class Unwinding:
    """Undoes some of many changes, and keeps what later ones built on.

    ``changes``: all changes of the containers concerned, oldest first; ``newer`` returns those recorded since its last
    call. Cost: O(changes), and O(items + changes) more for each change of a list that others changed since.
    """

    def __init__(
        self,
        changes: list[Change],
        newer: Callable[[], list[Change]],
        method: str,
        part: Callable[[Change], Operation] = operation,
    ) -> None:
        self._part = part
        self._changes = changes
        self._newer = newer
        self._method = method
        self._gone = cancelled(changes)
        self._seen = changes[-1].seq if changes else 0
        self._above: dict[int, int] = {}  # id of tracker -> changes that stay and are newer than the present position
        self._touched: dict[int, set[Any]] = {}  # id of tracker, except for lists -> the keys that those touched
        self._by_node: dict[int, list[Change]] = {}
        for change in changes:
            self._by_node.setdefault(id(change._node), []).append(change)

    def run(
        self, chosen: Callable[[Change], bool], there: Callable[[Change], bool] | None = None
    ) -> tuple[list[Change], list[Change]]:
        """Undo the chosen changes that are not undone yet.

        Returns (done, conflicts), newest first. ``there``: is the container of a change still reachable?
        """
        done: list[Change] = []
        conflicts: list[Change] = []
        for change in reversed(self._changes):
            if change.seq in self._gone or change.action_code == 0:
                continue
            if not chosen(change):
                self._stays(change)
            elif change._node.container is None or ((there is None or there(change)) and self._one(change)):
                done.append(change)  # without a container nobody can see it any longer
            else:
                conflicts.append(change)
                self._stays(change)
        return done, conflicts

    def _stays(self, change: Change) -> None:
        """Count a change that stays, above what is still to be undone."""
        if change._shape != "whole":
            node = id(change._node)
            self._above[node] = self._above.get(node, 0) + 1
            if change._node.kind != "list":
                self._touched.setdefault(node, set()).update(operation(change).keys)

    def _one(self, change: Change) -> bool:
        done = self._part(change)
        whole = self._part is operation or done == operation(change)
        node = id(change._node)
        self._catch_up(change, None)
        while True:
            try:
                step = self._step(change, done)
                scope = None if step is None else take_back(change, step, self._method, whole, self._seen)
            except RedactedError:
                return False
            except IndexError:  # the list has another length than its records say: another thread changes it
                scope = None
            before = self._above.get(node, 0)
            self._catch_up(change, scope)
            if scope is not None:
                return True
            if self._above.get(node, 0) == before:
                return False
            # another thread changed the container between check and step: check again

    def _step(self, change: Change, done: Operation) -> Operation | None:
        node = id(change._node)
        kind = change._node.kind
        if not self._above.get(node) or done.shape == "whole":
            return inverse(done, kind, change.action_code)
        if kind != "list":
            touched = self._touched[node]
            return None if any(key in touched for key in done.keys) else inverse(done, kind)
        history = self._by_node[node]
        later = history[bisect.bisect_right(history, change.seq, key=lambda each: each.seq) :]
        container = change._node.container
        return None if container is None else _fitted_in_list(done, _core.size(container), later, self._gone)

    def _catch_up(self, change: Change, scope: Scope | None) -> None:
        """Take in what was recorded meanwhile: our own step, and what others did."""
        for new in self._newer():
            self._seen = max(self._seen, new.seq)
            self._by_node.setdefault(id(new._node), []).append(new)
            if scope is not None and new.scope is scope:
                self._gone.update((change.seq, new.seq))
            else:
                self._stays(new)
