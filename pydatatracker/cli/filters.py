"""The filter options of the commands, and the filter that they make."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click

from pydatatracker._core import path_matches
from pydatatracker.cli.points import MOMENT, Parsed
from pydatatracker.io.line import LogLine
from pydatatracker.values.pointer import compile_glob, parse_pointer, to_pointer

__all__ = ["Filter", "changed_pointers", "filter_options"]

F = TypeVar("F", bound=Callable[..., Any])

_SPECIAL: Final = frozenset(".^$*+?{}[]\\|()")  # of a regular expression
_RANGE: Final = re.compile(r"(\d*)\.\.(\d*)")


class Filter:
    """Selects lines of a log.

    All conditions must hold; of several values of one condition, any may match.

    >>> from pydatatracker.io import parse
    >>> Filter(path=["/cfg/**"]).keeps(parse(b'{"action":"add","pointer":"/cfg/port"}'))
    True
    """

    def __init__(
        self,
        path: Iterable[str] = (),
        actor: Iterable[str] = (),
        action: Iterable[str] = (),
        since: int | None = None,
        until: int | None = None,
        seq: tuple[int | None, int | None] = (None, None),
        grep: re.Pattern[str] | None = None,
        transaction: Iterable[str] = (),
    ) -> None:
        self._patterns = [compile_glob(pattern) for pattern in path]
        self._actors = frozenset(actor)
        self._actions = frozenset(action)
        self._since, self._until = since, until
        self._first, self._last = seq
        self._grep = grep
        # plain text is searched in the bytes of a line, before the line is parsed
        plain = grep is not None and grep.flags == re.UNICODE and not _SPECIAL.intersection(grep.pattern)
        self._needle = grep.pattern.encode("utf-8", "surrogatepass") if plain and grep is not None else None
        self._transactions = frozenset(transaction)
        self._by_time = since is not None or until is not None
        self._by_seq = seq != (None, None)
        self.is_empty = not any((
            self._patterns, self._actors, self._actions, self._transactions, self._by_time, self._by_seq, grep
        ))  # fmt: skip
        self.is_of_heads = not (self._patterns or self._by_time or grep)  # `wants` decides alone
        self._matches = functools.lru_cache(maxsize=65_536)(self._matches_one)

    def wants(self, head: Any) -> bool:
        """Return False if the head of a line alone rules it out. O(1), mostly."""
        action = head.action
        if action == "gap":
            return not self._actions or "gap" in self._actions
        if self._actions and action not in self._actions:
            return False
        if self._actors and head.actor not in self._actors:
            return False
        if self._transactions and head.transaction not in self._transactions:
            return False
        if self._by_seq:
            seq = head.seq
            if seq is None or seq < (self._first or 0) or (self._last is not None and seq > self._last):
                return False
        if self._by_time and head.time_ns is not None:
            if self._since is not None and head.time_ns < self._since:
                return False
            if self._until is not None and head.time_ns > self._until:
                return False
        # a line with several keys has the pointer of the container, not those of the items
        return (
            not self._patterns
            or self._matches(head.pointer)
            or bool(head.changes or head.splice or head.paths or head.also)
        )

    def may_hold(self, raw: bytes, head: Any) -> bool:
        """Return False if the bytes of a line rule it out. O(line), quickly."""
        return self._needle is None or self._needle in raw or bool(head.action == "gap")

    def keeps(self, line: LogLine, root: str | None = None) -> bool:
        """Return whether the line is selected.

        O(line), mostly O(1).

        :param root: only paths that start there count; by default those from all roots of the line do.
        """
        if not self.wants(line.head):
            return False
        if line.is_gap:
            return True
        if self._by_time and line.time_ns is None:
            moment = line.created_time
            if moment is None:
                return False
            ns = int(moment.timestamp() * 1_000_000) * 1000
            if not (self._since or 0) <= ns <= (ns if self._until is None else self._until):
                return False
        if self._patterns and not any(self._matches(pointer) for pointer in changed_pointers(line, root)):
            return False
        return self._grep is None or self._grep.search(line.raw.decode("utf-8", "replace")) is not None

    def _matches_one(self, pointer: str) -> bool:
        try:
            steps = parse_pointer(pointer)
        except ValueError:
            return False
        return any(path_matches(pattern, steps) for pattern in self._patterns)


def changed_pointers(line: LogLine, root: str | None = None) -> Iterable[str]:
    """Yield the pointers of what a line changed, those of several items too.

    O(items).

    :param root: only from there; by default from all roots of the line, its own first.
    """
    yield line.pointer
    bases = [line.pointer]
    others = [] if root is not None or not line.head.also else [path for _, path in line.also]
    for path in (*line.paths[1:], *others):
        bases.append(to_pointer(path))
        yield bases[-1]
    splice = line.splice
    keys: Iterable[Any] = ()
    if splice is not None:
        keys = range(splice[0], splice[0] + max(len(splice[1]), len(splice[2])))
    elif line.head.changes:
        keys = [key for key, _, _ in line.changes]
    for key in keys:
        for base in bases:
            yield base + to_pointer((key,))


# ---- as options of a command


def _seqs(text: str) -> tuple[int | None, int | None]:
    if text.isascii() and text.isdigit():
        return int(text), int(text)
    found = _RANGE.fullmatch(text)
    if found is None or text == "..":
        raise ValueError(f"{text!r} is not a range of numbers; write 10..20, 10.., ..20 or 10")
    first, last = int(found[1]) if found[1] else None, int(found[2]) if found[2] else None
    if first is not None and last is not None and first > last:
        raise ValueError(f"{text!r} runs backwards; write {last}..{first}")
    return first, last


def _glob(text: str) -> str:
    compile_glob(text)
    return text


_GLOB: Final = Parsed("glob", _glob)
_SEQS: Final = Parsed("range", _seqs)
_REGEX: Final = Parsed("regex", re.compile)

_OPTIONS: Final = (
    click.option("--path", multiple=True, metavar="GLOB", type=_GLOB, help="Changes at a path, such as '/cfg/**'."),
    click.option("--actor", multiple=True, metavar="NAME", help="Changes by an actor."),
    click.option("--action", multiple=True, metavar="ACTION", help="add, update, remove, init, lock, unlock or gap."),
    click.option("--since", metavar="TIME", type=MOMENT, help="From this time: -3h, today, 2026-11-24T15:30."),
    click.option("--until", metavar="TIME", type=MOMENT, help="Up to this time."),
    click.option("--seq", metavar="A..B", type=_SEQS, default="0..", help="Changes by number."),
    click.option("--grep", metavar="REGEX", type=_REGEX, help="Lines whose JSON matches."),
    click.option("--transaction", multiple=True, metavar="ID", help="Changes of a transaction."),
)  # fmt: skip


def filter_options(command: F) -> F:
    """Give a command the filter options; it gets one argument ``wanted``."""

    @functools.wraps(command)
    def with_filter(*args: Any, **kwargs: Any) -> Any:
        names = ("path", "actor", "action", "since", "until", "seq", "grep", "transaction")
        given = {name: kwargs.pop(name) for name in names}
        if given["seq"] == (0, None):
            given["seq"] = (None, None)
        return command(*args, wanted=Filter(**given), **kwargs)

    for option in reversed(_OPTIONS):
        with_filter = option(with_filter)
    return with_filter  # type: ignore[return-value]
