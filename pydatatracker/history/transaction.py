"""Transactions: a block whose changes are made, or rolled back, together."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pydatatracker import _core
from pydatatracker._core import Change, Tracker
from pydatatracker._lazy import SignatureOf
from pydatatracker.change.entry import ChangeLogEntry
from pydatatracker.history.inverse import Unwinding
from pydatatracker.values.pickles import Handle, PicklableError

__all__ = ["RollbackConflictError", "tracking_transaction"]


def _initializer(*roots: Any, message: str | None = None) -> None: ...


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

    Entering and leaving costs one to two microseconds; meanwhile a change in any tracked container costs about 0.2 us
    more.

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

    __signature__ = SignatureOf(_initializer)

    if TYPE_CHECKING:

        def __init__(self, *roots: Any, message: str | None = None) -> None: ...  # the core's

    @property
    def changes(self) -> list[ChangeLogEntry]:
        """The changes that the block made and did not undo, oldest first.

        O(changes since it began). After the block: the first thousand of them, as far as their records are kept.
        """
        if not self.is_open:
            return self._recalled()
        own: list[ChangeLogEntry] = self._own()
        return own

    def _recalled(self) -> list[ChangeLogEntry]:
        kept = self._kept or ()
        wanted: dict[Tracker, list[int]] = {}
        for tracker, seq in zip(kept[::2], kept[1::2], strict=True):
            wanted.setdefault(tracker, []).append(seq)
        found: list[ChangeLogEntry] = []
        for tracker, seqs in wanted.items():
            container, known = tracker.container, set(seqs)
            if container is not None:
                found += [change for change in _core.changes_of(container, seqs[0] - 1) if change.seq in known]
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

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
