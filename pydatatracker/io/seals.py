r"""Seals: a hash in each line over itself and the line before, and roots.

The seal is the last member of a line, ``"seal":"CHAIN.NUMBER.HASH"``. It covers the bytes of the line as they are
written, so nothing has to be parsed, sorted or formatted again to check it (docs/sealed-logs.md):

- HASH is SHA-256 of a zero byte, the hash of the line before in this chain, and all bytes of the line before HASH.
- NUMBER counts the lines of a chain from 1. A chain is what one writer writes to one file.
- CHAIN is random. The hash before line 1 is SHA-256 of ``pydatatracker seal 1 CHAIN``.

So HASH is at the same time the leaf hash of RFC 9162, section 2.1.1. Every so many lines, and at the end, a line of the
action ``seal`` has the root of the tree of the lines since the last root, and may be signed.

>>> chain = Chain(every=1000)
>>> line = chain.seal(b'{"v":1}')
>>> mark = mark_of(line)
>>> mark.number, mark.digest == leaf(genesis(mark.chain), line[:-67])
(1, True)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

from pydatatracker._core import HAS_SHA256, SealChain, tree_root
from pydatatracker.values.pickles import PicklableError

__all__ = [
    "EVERY",
    "MOST_TORN",
    "SEAL_SIZE",
    "SIGNED",
    "Chain",
    "Mark",
    "SealError",
    "genesis",
    "is_seal_line",
    "is_torn",
    "leaf",
    "mark_of",
    "root_of",
    "text_of",
]

EVERY: Final = 1000  # lines between two roots
MOST_TORN: Final = 16  # lines in succession for which the next writer vouches
SEAL_SIZE: Final = 110  # bytes that a seal adds to a line
SIGNED: Final = b"pydatatracker seal 1\n"  # stands before what is signed: a signature of a root is nothing else
_START: Final = b'{"v":1,"action":"seal",'
_END: Final = re.compile(rb',"seal":"([0-9a-f]{16})\.([1-9][0-9]{0,17})\.([0-9a-f]{64})"\}\n\Z')


class SealError(PicklableError, ValueError):
    """A log cannot be sealed, or a key cannot be used."""


class Mark(NamedTuple):
    """The seal of a line: its chain, its number there, its hash."""

    chain: str
    number: int
    digest: bytes


def mark_of(raw: bytes) -> Mark | None:
    """Return the seal of a line with its newline; None if it has none.

    O(1). Whether it is right is for `leaf` to say.
    """
    found = _END.search(raw, max(len(raw) - 130, 0))
    return None if found is None else Mark(found[1].decode(), int(found[2]), bytes.fromhex(found[3].decode()))


def text_of(mark: Mark) -> str:
    """Return a seal as it is written in a line. O(1)."""
    return f"{mark.chain}.{mark.number}.{mark.digest.hex()}"


def is_seal_line(raw: bytes) -> bool:
    """Return whether a line is about seals, and no change. O(1)."""
    return raw.startswith(_START)


def is_torn(raw: bytes) -> bool:
    """Return whether a line without a seal is the beginning of one: no JSON.

    O(length). A writer vouches for having found such a line, as a crash may leave it. What a reader would take for a
    change is never one of them.
    """
    try:
        json.loads(raw)
    except ValueError:
        return True
    except RecursionError:
        pass
    return False


def genesis(chain: str) -> bytes:
    """Return the hash before the first line of a chain. O(1)."""
    return hashlib.sha256(b"pydatatracker seal 1 " + chain.encode()).digest()


def leaf(before: bytes, covered: bytes) -> bytes:
    """Return the hash of a line. O(length).

    :param before: the hash of the line before in the chain.
    :param covered: the bytes of the line before its hash.
    """
    return hashlib.sha256(b"\0" + before + covered).digest()


def root_of(leaves: bytes | bytearray) -> bytes:
    """Return the root of a Merkle tree (RFC 9162, section 2.1.1).

    O(leaves).

    :param leaves: the hashes of its leaves, 32 bytes each, one after the other; at least one.
    """
    if HAS_SHA256:
        return tree_root(leaves)
    level = [bytes(leaves[n : n + 32]) for n in range(0, len(leaves), 32)]
    sha256 = hashlib.sha256
    while len(level) > 1:
        above = [sha256(b"\1" + level[n] + level[n + 1]).digest() for n in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])  # the last one has no neighbour, and goes up as it is
        level = above
    return level[0]


class Chain(SealChain):
    """The chain of one writer of one file: seals lines and makes roots.

    Not safe to use from several threads: the owner holds its lock around every call. A line that was sealed has to be
    written; if that fails, the chain has ended, and another one has to be begun.

    :param every: lines after which ``left`` is 0, and a root is due.
    :param key: what signs roots, an Ed25519PrivateKey.
    """

    def __new__(cls, every: int = EVERY, key: Any = None) -> Self:
        name = os.urandom(8).hex()
        self = super().__new__(cls, None if HAS_SHA256 else hashlib.sha256, name.encode(), genesis(name), every)
        self.name = name
        return self

    name: str

    def __init__(self, every: int = EVERY, key: Any = None) -> None:
        self._every = every
        self._key = key
        self._public = None if key is None else key.public_key().public_bytes_raw().hex()
        self.root = ""  # the last one, in hex

    @property
    def end(self) -> str:
        """The seal of the last line, "" if there is none."""
        return text_of(Mark(self.name, self.count, self.previous)) if self.count else ""

    @property
    def is_covered(self) -> bool:
        """Whether there is no line after the last root."""
        return len(self.digests) <= (32 if self.root else 0)

    def begin(self, after: Sequence[str] = (), follows: str = "", torn: Sequence[str] = ()) -> bytes:
        """Return the first line.

        :param after: seals of lines that are in the file already.
        :param follows: the seal of the last line of the file before this one.
        :param torn: the hashes of the lines right before this one that are torn (`is_torn`).
        """
        fields = {"kind": "begin", "chain": self.name, **self._now(), "after": after, "follows": follows, "torn": torn}
        return self.seal(_line({**fields, "key": self._public}))

    def root_line(self, after: Sequence[str] = ()) -> bytes:
        """Return the line with the root of the lines since the last one.

        O(lines since then).

        :param after: seals of lines of other chains that are in the file.
        """
        lines = len(self.digests) // 32
        root = root_of(self.digests).hex()
        span = {"from": self.count - lines + 1, "to": self.count, "lines": lines, "root": root, "previous": self.root}
        data = _line({"kind": "root", "chain": self.name, **self._now(), **span, "after": after, "key": self._public})
        if self._key is not None:
            signature = self._key.sign(SIGNED + data[:-1]).hex()
            data = data[:-1] + b',"signature":"' + signature.encode() + b'"}'
        self.digests.clear()
        self.left = self._every
        self.root = root
        return self.seal(data)

    @staticmethod
    def _now() -> dict[str, int]:
        return {"time_ns": time.time_ns(), "pid": os.getpid()}


def _line(fields: dict[str, Any]) -> bytes:
    kept = {key: value for key, value in fields.items() if value not in (None, "", ()) and value != []}
    return json.dumps({"v": 1, "action": "seal", **kept}, separators=(",", ":")).encode()
