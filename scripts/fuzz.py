"""Fuzz a small tracked document and its plain twin with the same bytes.

Stop where they differ.

After every operation: same result or same exception, same state, ``_check()`` satisfied. At the end: the state as it
was at points on the way, derived from the records, is what the twin was then. Under atheris (``just fuzz``) the
bytes follow what the compiled core has not yet executed; without it they are random:

    python scripts/fuzz.py --random SECONDS
    python scripts/fuzz.py FILE...            (run again what a crash left behind)
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from pydatatracker import TrackedDict, TrackedList, TrackedSet, _core
from pydatatracker.history import state_at

KEYS = ["a", "b", "", 0, 1, -1, None, 1.0, True, ("t", 1)]  # 1, 1.0 and True are one key
STEPS = 40


class Source:
    """Numbers from bytes; zeros once they are used up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1."""
        self.at += 1
        return self.data[self.at - 1] % limit if self.at <= len(self.data) else 0

    def pick(self, items: Any) -> Any:
        """Return one of the items."""
        return items[self.below(len(items))]


class Pair:
    """A tracked container and its plain twin.

    Containers hold only younger ones, so that a comparison ends.
    """

    made: int = 0

    def __init__(self, tracked: Any, plain: Any) -> None:
        Pair.made += 1
        self.age = Pair.made
        self.tracked = tracked
        self.plain = plain


class Failing:
    """An iterable that gives some items and then raises."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        yield from self.items
        raise KeyError("halfway")


class Document:
    """Pairs that hold one another, and the operations on them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.pairs: list[Pair] = []
        self.new(source.below(2))

    def new(self, kind: int) -> Pair:
        """Make an empty pair: dict, list or set."""
        made = [TrackedDict, TrackedList, TrackedSet][kind]()
        pair = Pair(made, [dict, list, set][kind]())
        self.pairs.append(pair)
        return pair

    def value(self, owner: Pair) -> tuple[Any, Any]:
        """Return a value for the tracked container and its twin for the plain one."""
        choice = self.source.below(8)
        if choice == 0 and len(self.pairs) < 12:
            pair = self.new(self.source.below(3))
        elif choice == 1:
            pair = self.source.pick(self.pairs)
            if pair.age <= owner.age:
                return None, None
        else:
            key = self.source.pick(KEYS)
            return key, key
        return pair.tracked, pair.plain

    def values(self, owner: Pair) -> tuple[list[Any], list[Any]]:
        """Return up to five values, and their twins."""
        both = [self.value(owner) for _ in range(self.source.below(6))]
        return [tracked for tracked, _ in both], [plain for _, plain in both]

    def step(self) -> None:
        """Do one operation on one pair and compare what came of it."""
        pair = self.source.pick(self.pairs)
        kind = {dict: self.on_dict, list: self.on_list, set: self.on_set}[type(pair.plain)]
        act, ours, theirs = kind(pair)
        got, expected = outcome(act, pair.tracked, ours), outcome(act, pair.plain, theirs)
        assert expected == got, f"{expected!r} from the builtin, {got!r} from the tracked one"
        for each in self.pairs:
            assert each.plain == each.tracked, f"{each.plain!r} expected, {each.tracked!r} found"
            assert kinds(each.plain) == kinds(each.tracked), f"{each.plain!r} expected, {each.tracked!r} found"
            each.tracked._check()

    def on_dict(self, pair: Pair) -> tuple[Callable[..., Any], Any, Any]:
        """Choose what to do to a dict."""
        key = self.source.pick(KEYS)
        ours, theirs = self.value(pair)
        many, twins = self.values(pair)
        pairs_of = [[(KEYS[i], v) for i, v in enumerate(items)] for items in (many, twins)]
        operation = self.source.pick(DICT)
        return operation, (key, ours, pairs_of[0]), (key, theirs, pairs_of[1])

    def on_list(self, pair: Pair) -> tuple[Callable[..., Any], Any, Any]:
        """Choose what to do to a list."""
        places = [self.source.below(9) - 4 for _ in range(3)]
        part = slice(places[0], places[1], self.source.pick([None, None, places[2]]))
        ours, theirs = self.value(pair)
        many, twins = self.values(pair)
        operation = self.source.pick(LIST)
        return operation, (places[0], part, ours, many), (places[0], part, theirs, twins)

    def on_set(self, pair: Pair) -> tuple[Callable[..., Any], Any, Any]:
        """Choose what to do to a set."""
        arguments = (self.source.pick(KEYS), [self.source.pick(KEYS) for _ in range(self.source.below(6))])
        return self.source.pick(SET), arguments, arguments


def name_of(item: Any) -> str:
    """Return the name of an item, the same for a container and its twin.

    1 and True have different names.
    """
    return next((kind.__name__ for kind in (dict, list, set) if isinstance(item, kind)), repr(item))


def kinds(container: Any) -> list[str]:
    """Return the names of all items, of a dict keys and values.

    They differ where ``==`` sees no difference.
    """
    if isinstance(container, set):
        return []  # of equal elements `&=` of the builtin takes now the one set's, now the other's
    return [*map(name_of, container), *map(name_of, container.values() if isinstance(container, dict) else ())]


def outcome(act: Callable[..., Any], target: Any, arguments: Any) -> tuple[Any, ...]:
    """Run an operation; return what it gave or raised, comparable."""
    try:
        given = act(target, *arguments)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        said = str(error)  # a message may name the class of an item, as that of any subclass
        for name in ("Dict", "List", "Set"):
            said = said.replace(f"Tracked{name}", name.lower())
        return type(error), said
    return ("itself",) if given is target else (given,)


DICT: list[Callable[..., Any]] = [
    lambda d, k, v, m: d.__setitem__(k, v),
    lambda d, k, v, m: d.__delitem__(k),
    lambda d, k, v, m: d.pop(k),
    lambda d, k, v, m: d.pop(k, None),
    lambda d, k, v, m: d.popitem(),
    lambda d, k, v, m: d.setdefault(k, v),
    lambda d, k, v, m: d.update(m),
    lambda d, k, v, m: d.update(dict(m)),
    lambda d, k, v, m: d.update(m, x=v),
    lambda d, k, v, m: d.update(Failing(m)),
    lambda d, k, v, m: d.__ior__(dict(m)),
    lambda d, k, v, m: d.__ior__(m),
    lambda d, k, v, m: d.__init__(m),
    lambda d, k, v, m: d.update(d),
    lambda d, k, v, m: d.__setitem__([], v),
    lambda d, k, v, m: d.clear(),
]
LIST: list[Callable[..., Any]] = [
    lambda c, i, s, v, m: c.append(v),
    lambda c, i, s, v, m: c.insert(i, v),
    lambda c, i, s, v, m: c.extend(m),
    lambda c, i, s, v, m: c.extend(Failing(m)),
    lambda c, i, s, v, m: c.extend(c),
    lambda c, i, s, v, m: c.__setitem__(i, v),
    lambda c, i, s, v, m: c.__delitem__(i),
    lambda c, i, s, v, m: c.__setitem__(s, m),
    lambda c, i, s, v, m: c.__setitem__(s, iter(m)),
    lambda c, i, s, v, m: c.__setitem__(s, c),
    lambda c, i, s, v, m: c.__delitem__(s),
    lambda c, i, s, v, m: c.pop(),
    lambda c, i, s, v, m: c.pop(i),
    lambda c, i, s, v, m: c.remove(v),
    lambda c, i, s, v, m: c.reverse(),
    lambda c, i, s, v, m: c.sort(),
    lambda c, i, s, v, m: c.sort(key=name_of, reverse=bool(i % 2)),
    lambda c, i, s, v, m: c.__iadd__(m),
    lambda c, i, s, v, m: c.__imul__(i),
    lambda c, i, s, v, m: c.__init__(m),
    lambda c, i, s, v, m: c.clear(),
]
SET: list[Callable[..., Any]] = [
    lambda s, k, m: s.add(k),
    lambda s, k, m: s.discard(k),
    lambda s, k, m: s.remove(k),
    lambda s, k, m: s.update(m, [k]),
    lambda s, k, m: s.update(Failing(m)),
    lambda s, k, m: s.difference_update(m),
    lambda s, k, m: s.intersection_update(m),
    lambda s, k, m: s.symmetric_difference_update(m),
    lambda s, k, m: s.__ior__(set(m)),
    lambda s, k, m: s.__iand__(set(m)),
    lambda s, k, m: s.__isub__(set(m)),
    lambda s, k, m: s.__ixor__(set(m)),
    lambda s, k, m: s.__ixor__(s),
    lambda s, k, m: s.__init__(m),
    lambda s, k, m: s.clear(),
]


def one_input(data: bytes) -> None:
    """Run one document, from its bytes."""
    source = Source(data)
    document = Document(source)
    root = document.pairs[0]
    past: list[tuple[int, Any]] = []
    for _ in range(STEPS):
        document.step()
        if source.below(4) == 0:
            past.append((_core.newest_seq(), copy.deepcopy(root.plain)))
        if source.at >= len(data):
            break
    for seq, state in past:
        assert state == state_at(root.tracked, seq), f"after change {seq} it was {state!r}"


def main() -> None:
    """Run the named files, random bytes for some seconds, or atheris."""
    if sys.argv[1:2] == ["--random"]:
        deadline = time.monotonic() + float(sys.argv[2])
        runs = 0
        while time.monotonic() < deadline:
            data = os.urandom(600)
            try:
                one_input(data)
            except BaseException:
                print("input:", data.hex(), file=sys.stderr)
                raise
            runs += 1
        print(f"{runs} documents, no difference")
    elif sys.argv[1:] and all(os.path.isfile(name) for name in sys.argv[1:]):
        for name in sys.argv[1:]:
            with open(name, "rb") as file:
                one_input(file.read())
    else:
        import atheris

        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
