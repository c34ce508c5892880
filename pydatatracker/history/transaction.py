"""Transactions: a block whose changes are made, or rolled back, together."""

from __future__ import annotations

import uuid
import weakref
from types import TracebackType
from typing import Any, Self

from pydatatracker import _core
from pydatatracker._core import Change
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.history.inverse import Unwinding, cancelled
from pydatatracker.values.pickles import Handle, PicklableError

__all__ = ["RollbackConflictError", "tracking_transaction"]

_KEPT = 1000  # changes of a transaction that it keeps after its end


class RollbackConflictError(PicklableError, RuntimeError):
    """A rollback met later changes of others, and left those alone.

    ``changes`` are the ones that could not be rolled back.
    """

    def __init__(self, message: str, changes: list[ChangeLogEntry]) -> None:
        super().__init__(message)
        self.changes = changes


class tracking_transaction(Handle, _core.Transaction):
    """Make the changes of a block as one; an exception rolls them back.

    The changes share ``change.transaction``. A rollback undoes what the block itself did, in its task or thread (tasks
    started in it included), newest first, recorded with the method ``rollback``; then the exception continues. What
    others changed at the same location since then stays: RollbackConflictError, raised from the exception, lists the
    changes that could not be rolled back.

    Observers are notified after the commit, in order, and not at all of what was rolled back, unless they were added
    with ``when="immediate"``. A transaction in a transaction is a savepoint. ``roots``: only what happens at or below
    these containers is part of it. ``message`` becomes ``change.context["message"]``.

    Entering and leaving costs some microseconds; meanwhile a change in any tracked container costs about 0.2 us more.

    >>> from pydatatracker import TrackedDict
    >>> account = TrackedDict(balance=10)
    >>> try:
    ...     with tracking_transaction(account, message="withdraw"):
    ...         account["balance"] -= 50
    ...         if account["balance"] < 0:
    ...             raise ValueError("not that much")
    ... except ValueError:
    ...     account
    {'balance': 10}
    """

    def __new__(cls, *roots: Any, message: str | None = None) -> Self:
        return super().__new__(cls)

    def __init__(self, *roots: Any, message: str | None = None) -> None:
        for root in roots:
            if _core.tracker(root) is None:
                raise TypeError(
                    f"tracking_transaction takes tracked containers, not {type(root).__name__}; track() makes them"
                )
        if message is not None and not isinstance(message, str):
            raise TypeError(f"message is a str, not {type(message).__name__}")
        above = _core.scope_now()
        parent = None if above is None else above.transaction
        while parent is not None and not parent.is_open:
            parent = parent.parent
        super().__init__(uuid.uuid4().hex if parent is None else parent.id, parent, roots or None)
        self.message = message
        # weak: a record refers to the transaction
        self._kept: list[tuple[weakref.ref[Any], list[int]]] = []

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """The changes that the block made and did not undo, oldest first.

        O(changes since it began). After the block: the first thousand of them, as far as their records are kept.
        """
        if not self.is_open:
            return self._recalled()
        found = [change for _, change, own in self._entries() if own]
        gone = cancelled(found)
        return [change for change in found if change.seq not in gone]  # type: ignore[misc]

    def _remember(self) -> None:
        """Note which changes `changes` returns after the end."""
        seqs: dict[int, tuple[Any, list[int]]] = {}
        for change in self.changes[:_KEPT]:
            container = change.viewer.container
            if container is not None:
                seqs.setdefault(id(container), (container, []))[1].append(change.seq)
        self._kept = [(weakref.ref(container), found) for container, found in seqs.values()]

    def _recalled(self) -> list[ChangeLogEntry]:
        found: list[ChangeLogEntry] = []
        for reference, seqs in self._kept:
            container, wanted = reference(), set(seqs)
            if container is not None:
                changes: list[ChangeLogEntry] = _core.changes_of(container, seqs[0] - 1)
                found += [change for change in changes if change.seq in wanted]
        return sorted(found)

    def rollback(self) -> None:
        """Undo what the block did so far, and continue it.

        O(changes since it began). Raises RollbackConflictError where others changed the same location since.
        """
        if not self.is_open:
            state = "over" if self.ended else "not entered"
            raise RuntimeError(f"this transaction is {state}; rollback() works inside its block")
        entries = self._real_entries()
        own = {change.seq for change, is_own in entries if is_own}
        seen = len(entries)

        def newer() -> list[Change]:
            nonlocal seen
            found = self._real_entries(seen)
            seen += len(found)
            return [change for change, _ in found]

        unwinding = Unwinding([change for change, _ in entries], newer, "rollback")
        _, conflicts = unwinding.run(lambda change: change.seq in own)
        if conflicts:
            conflicts = [_core.as_shown(change) for change in conflicts]
            paths = ", ".join(change.pointer or "the whole" for change in conflicts[:5])  # type: ignore[attr-defined]
            raise RollbackConflictError(
                f"{len(conflicts)} of the changes could not be rolled back, because something else changed the same"
                f" path since, or bypassed tracking: {paths}; what is there now stays",
                conflicts,  # type: ignore[arg-type]
            )

    def _roll_back_for(self, error: BaseException) -> None:
        # under the actor and context of the block, whatever the body left behind and whoever closes it
        with _core.ScopeBlock(self._scope()):
            try:
                self.rollback()
            except RollbackConflictError as conflict:
                raise conflict from error

    def _lasting(self) -> list[tuple[Any, Change]]:
        # what observers were not called for yet: own changes that were not undone
        entries = [(tracker, change) for tracker, change, own in self._entries() if own]
        gone = cancelled([change for _, change in entries])
        return [(tracker, change) for tracker, change in entries if change.seq not in gone]

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
