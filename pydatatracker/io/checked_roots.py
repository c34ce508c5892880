"""The check of the roots of a sealed log."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pydatatracker.io.checked_chain import CheckedChain, Line
from pydatatracker.io.seals import SIGNED, Mark, root_of

__all__ = ["CheckedRoots", "Root"]

_SIGNS: Final = (b'"action":"seal"', b'"kind":"root"', b'"lines":')  # of a line with a root; one may be damaged
_ROOT: Final = re.compile(rb'"root":"([0-9a-f]{64})"')


class Root(NamedTuple):
    """The last root of a chain that was found to be right."""

    name: str  # of the file
    chain: str
    first: int  # number of the first of its lines in the chain
    last: int
    root: str
    key: str  # public key of what signed it, "" for none; checked if a key was given


class CheckedRoots:
    """Check roots one after the other, and remember them.

    A root is over the hashes that the lines state. So it is right, and vouches for all other lines, although the
    content of a line was changed. If lines are missing, it cannot be compared: then there is a fault already.

    :param fault: is called with the line and what is wrong. note: is called with a text.
    """

    def __init__(self, key: str | None, fault: Callable[[Line, str], None], note: Callable[[str], None]) -> None:
        self._key = key
        self._fault = fault
        self._note = note
        self.known: set[str] = set()
        self.stated: dict[str, Line] = {}  # that could not be compared
        self.last: dict[tuple[str, str], Root] = {}  # the last right one of each chain

    def check(self, chain: CheckedChain, mark: Mark, line: Line, fields: dict[str, Any], raw: bytes) -> None:
        """Check the root that a line has, a line whose hash is right."""
        first, last, root = fields.get("from"), fields.get("to"), str(fields.get("root"))
        is_clean, chain.is_clean = chain.is_clean, True
        start, chain.first = chain.first, mark.number
        previous, chain.root = chain.root, root
        chain.ends_in_root = True
        if isinstance(first, int) and start < first < mark.number and chain.is_vague(first):  # the root before it
            self._note_unsure(chain, line, start, first - 1)
            start, previous = first, None
        if (first, last) != (start, mark.number - 1) or fields.get("lines") != mark.number - start:
            self._wrong(chain, line, f"has a root of lines {first} to {last}, and not of {start} to {mark.number - 1}")
            return
        is_right = root == self.over(chain, start, mark.number - 1)
        if not is_right:
            if is_clean:
                self._wrong(chain, line, f"has a root that is not that of lines {start} to {last} of its chain")
                return
            self.stated[root] = line
            self._note_unsure(chain, line, start, mark.number - 1)
        if previous is not None and fields.get("previous", "") != previous:
            self._wrong(chain, line, "does not name the root before it")
            return
        key = str(fields.get("key", ""))
        if chain.key is not None and (chain.key != key or (key and not fields.get("signature"))):
            what = "has another key than the beginning of its chain" if key else "is not signed any more"
            self._wrong(chain, line, what)
            return
        if is_right:
            self.known.add(root)
        if self._key is None:
            chain.covered = mark.number
        elif key != self._key:
            if key:
                self._wrong(chain, line, f"is signed with another key, {key}")
        else:
            from pydatatracker.io.keys import is_signed

            at = raw.rfind(b',"signature":"')
            if is_signed(key, str(fields.get("signature", "")), SIGNED + raw[:at]):
                chain.covered = mark.number
            else:
                self._wrong(chain, line, "has a signature that is not that of its key")
        if is_right:
            self.last.pop((line.name, chain.id), None)
            self.last[line.name, chain.id] = Root(line.name, chain.id, start, mark.number - 1, root, key)

    def suspect(self, line: Line, raw: bytes) -> bool:
        """Note the root of a line at fault; return whether it may have one."""
        if sum(text in raw for text in _SIGNS) < 2:
            return False
        for found in _ROOT.finditer(raw):
            self.stated.setdefault(found[1].decode(), line)
        return True

    def suspect_at(self, chain: CheckedChain, number: int, line: Line, raw: bytes) -> None:
        """Do the same for a line whose chain and number are known."""
        if not self.suspect(line, raw):
            return
        over = self.over(chain, chain.first, number - 1)
        if over:
            self.known.add(over)  # whoever knows this root knows that the lines before this one are right

    @staticmethod
    def over(chain: CheckedChain, first: int, last: int) -> str:
        """Return the root of these lines, "" if one of them is not known."""
        if first > last or last > chain.count or not chain.is_whole(first, last):
            return ""
        return root_of(chain.digests[32 * (first - 1) : 32 * last]).hex()

    def _wrong(self, chain: CheckedChain, line: Line, reason: str) -> None:
        """Report the first root of a chain that is wrong, and count the rest."""
        chain.wrong_roots += 1
        if chain.wrong_roots == 1:
            self._fault(line, reason)
        chain.last_bad = max(chain.last_bad, chain.count)

    def _note_unsure(self, chain: CheckedChain, line: Line, first: int, last: int) -> None:
        if chain.present(first, last):
            self._note(
                f"{line.name}: the fault before {line} leaves no root to compare with lines {first} to {last} of the"
                f" chain {chain.id}: an edit of these lines that made their hashes again would not be seen"
            )
