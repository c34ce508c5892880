"""Seal rows: the lines of a table of changes, in a table beside it.

The table ``changes`` stays as it is. ``changes_seals`` has the lines as they were sealed, byte for byte, as text, with
the columns ``chain`` and ``number``, and the lines about seals. Nothing depends on the order of rows.

A transaction inserts changes and their sealed lines together, so a chain is in the database up to the end of a batch.
If the answer to a commit is lost, nobody knows which end that is: the same batch is sent again as the same rows, which
are skipped if they are there. Before any other batch, the chain has ended: another one begins, which names what is
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from pydatatracker.io.seals import Chain, mark_of, text_of

__all__ = ["FOREIGN", "RECENT", "Row", "TableSeals", "seals_of"]

RECENT: Final = 1000  # last rows in which the ends of other chains are looked for
FOREIGN: Final = "has rows without seals, for which no seal can vouch: name a new table, or rename it"
_MOST: Final = 16  # chains that are named
_ROOT: Final = ("root",)  # stands for the ids of a batch


class Row(NamedTuple):
    """A row of the table with sealed lines."""

    chain: str
    number: int
    line: str


Recent = Callable[[], Iterable[str]]  # returns the lines of the last rows, last one first


def seals_of(table: str) -> str:
    """Return the name of the table with the sealed lines of a table."""
    return f"{table}_seals"


class TableSeals:
    """Seal the rows that one sink inserts.

    The owner holds its lock around every call: `rows` or `root_rows` within the transaction, and `done` after the
    commit. Whatever happens between, an interrupt included, the next call does the right thing.
    """

    def __init__(self, key: Any, every: int) -> None:
        self._key = key
        self._every = every
        self.forget()

    def forget(self) -> None:
        """Leave the chain to the parent, after a fork."""
        self._chain: Chain | None = None
        self._is_loose = False  # a chain of ours ended without a root
        self._sent: tuple[str, ...] = ()  # ids of the batch of which nobody knows whether it is there
        self._made: list[Row] = []  # its rows
        self.root = ""  # the last one that is in the table, in hex

    @property
    def needs_root(self) -> bool:
        """Whether there may be lines of ours after the last root."""
        return self._is_loose or bool(self._sent) or (self._chain is not None and not self._chain.is_covered)

    def rows(self, ids: tuple[str, ...], lines: list[bytes], recent: Recent) -> list[Row]:
        """Return the rows for the lines of a batch.

        O(length). The same rows for the batch that was sent last, if it may not have arrived.

        :param ids: of the changes.
        :param recent: returns the sealed lines of the last `RECENT` rows.
        """
        if self._sent == ids and self._made:
            return self._made
        self._begin_batch(ids)
        chain, sealed = self._going_on(recent)
        for line in lines:
            if chain.left <= 0:
                sealed.append(chain.root_line())
            sealed.append(chain.seal(line))
        self._made = _rows(chain, sealed)
        return self._made

    def root_rows(self, recent: Recent) -> list[Row]:
        """Return the row with the root of the last lines; [] if there are none.

        O(lines since the last root). It names the last lines of the other chains, too.
        """
        if self._sent == _ROOT and self._made:
            return self._made
        if not self.needs_root:
            return []
        self._begin_batch(_ROOT)
        chain, sealed = self._going_on(recent)
        sealed.append(chain.root_line(_ends(recent(), chain.name)))
        self._made = _rows(chain, sealed)
        return self._made

    def done(self, made: list[Row]) -> None:
        """Note that these rows are in the table."""
        if made is not self._made:  # a signal handler has sent others meanwhile
            return
        if self._chain is not None:
            self.root = self._chain.root or self.root
        self._sent, self._made = (), []

    def _begin_batch(self, ids: tuple[str, ...]) -> None:
        if self._sent:  # it may be there or not
            self._is_loose = self._is_loose or self._chain is not None
            self._chain = None
        self._made = []
        self._sent = ids

    def _going_on(self, recent: Recent) -> tuple[Chain, list[bytes]]:
        """Return the chain, and its first line if it begins now."""
        if self._chain is not None:
            return self._chain, []
        chain = Chain(self._every, self._key)
        first = chain.begin(_ends(recent(), chain.name))
        self._chain = chain
        self._is_loose = False
        return chain, [first]


def _rows(chain: Chain, sealed: list[bytes]) -> list[Row]:
    first = chain.count - len(sealed) + 1
    return [Row(chain.name, n, line[:-1].decode()) for n, line in enumerate(sealed, first)]


def _ends(recent: Iterable[str], own: str) -> list[str]:
    """Return the seals of the last lines of the other chains."""
    found: dict[str, Any] = {}
    for line in recent:
        mark = mark_of(line.encode("utf-8", "surrogateescape") + b"\n")
        if mark is None or mark.chain == own:
            continue
        if mark.chain not in found and len(found) == _MOST:
            continue
        if mark.chain not in found or found[mark.chain].number < mark.number:
            found[mark.chain] = mark
    return [text_of(mark) for mark in found.values()]
