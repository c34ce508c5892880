"""Random operations on a nested document, and its plain copy.

They use every mutator, and move, detach and share containers.
"""

from __future__ import annotations

import random
from typing import Any

from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, _core


class Node(TrackedAttr):
    pass


def fresh(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 2 else 4)
    if kind < 4:
        return chance.randrange(5)
    if kind == 4:
        return {key: fresh(chance, depth + 1) for key in chance.sample("abcde", chance.randrange(3))}
    if kind == 5:
        return {chance.randrange(9) for _ in range(3)}
    if kind == 6 and depth:
        return Node()
    return [fresh(chance, depth + 1) for _ in range(chance.randrange(3))]


class Gardener:
    """Does one random operation on a random container of a document.

    It keeps removed containers for later.
    """

    def __init__(self, root: Any, chance: random.Random) -> None:
        self.root = root
        self.chance = chance
        self.loose: list[Any] = []

    def containers(self) -> list[Any]:
        found, todo, seen = [], [self.root], set()
        while todo:
            each = todo.pop()
            if _core.tracker(each) is not None and id(each) not in seen:
                seen.add(id(each))
                found.append(each)
                todo.extend(_core.contents(each))
        return found

    def value(self, known: list[Any]) -> Any:
        pick = self.chance.random()
        if pick < 0.12:
            return self.chance.choice(known)
        if pick < 0.25 and self.loose:
            return self.loose.pop(self.chance.randrange(len(self.loose)))
        return fresh(self.chance)

    def step(self) -> None:
        known = self.containers()
        target = self.chance.choice(known)
        if len(known) > 40:  # keep the document small, or each step costs more than the last one
            target = self.root
        if len(self.loose) > 20:
            del self.loose[:10]
        if isinstance(target, dict):
            self.in_dict(target, known)
        elif isinstance(target, list):
            self.in_list(target, known)
        elif isinstance(target, set):
            self.in_set(target)
        else:
            self.in_attr(target, known)

    def in_dict(self, d: Any, known: list[Any]) -> None:
        chance = self.chance
        key = chance.choice(list(d)) if d and chance.random() < 0.6 else chance.choice("abcdefg")
        do = chance.randrange(8 if len(known) <= 40 else 4)
        if do == 0 and d:
            self.loose.append(d.popitem()[1])
        elif do == 1:
            self.loose.append(d.pop(key, None))
        elif do == 2 and len(known) > 30:
            d.clear()
        elif do == 3 and key in d:
            del d[key]
        elif do == 4:
            d.update({key: self.value(known), chance.choice("abcdefg"): self.value(known)})
        elif do == 5:
            d.setdefault(key, self.value(known))
        elif do == 6 and len(d) > 1:
            other = chance.choice(list(d))
            if key in d:
                d[key], d[other] = d[other], d[key]
        else:
            d[key] = self.value(known)

    def in_list(self, items: Any, known: list[Any]) -> None:
        chance = self.chance
        n = len(items)
        at = chance.randrange(-n - 1, n + 2)
        do = chance.randrange(14) if n < 8 else chance.choice([1, 2, 3, 7, 8, 9, 10, 11])
        if do == 0:
            items.insert(at, self.value(known))
        elif do == 1 and n:
            self.loose.append(items.pop(chance.randrange(n)))
        elif do == 2:
            del items[at : at + 2]
        elif do == 3:
            del items[::2]
        elif do == 4:
            items[at : at + 1] = [self.value(known), self.value(known)]
        elif do == 5 and n:
            items[chance.randrange(n)] = self.value(known)
        elif do == 6:
            items.extend(items[:2])
        elif do == 7 and n > 1:
            a, b = chance.sample(range(n), 2)
            items[a], items[b] = items[b], items[a]
        elif do == 8:
            chance.shuffle(items)
        elif do == 9:
            items.reverse()
        elif do == 10:
            items.sort(key=lambda item: (type(item).__name__, str(item)[:10] if type(item) is int else ""))
        elif do == 11 and n > 5:
            items.clear()
        elif do == 12:
            items *= chance.randrange(3)
        else:
            items.append(self.value(known))

    def in_set(self, elements: Any) -> None:
        chance = self.chance
        some = {chance.randrange(9) for _ in range(3)}
        chance.choice([elements.add, elements.discard])(chance.randrange(9))
        chance.choice([elements.update, elements.difference_update, elements.symmetric_difference_update])(some)

    def in_attr(self, node: Any, known: list[Any]) -> None:
        name = self.chance.choice(["x", "y", "z"])
        if hasattr(node, name) and self.chance.random() < 0.4:
            delattr(node, name)
        else:
            setattr(node, name, self.value(known))


def plain_copy(value: Any, made: dict[int, Any] | None = None) -> Any:
    """Return a plain copy of tracked data.

    An object becomes a dict of its attributes. A shared container stays shared.
    """
    made = {} if made is None else made
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, TrackedSet):
        return set(value)
    if isinstance(value, TrackedList):
        items: list[Any] = []
        made[id(value)] = items
        items.extend(plain_copy(item, made) for item in list(value))
        return items
    if isinstance(value, TrackedDict):
        pairs = list(dict.items(value))
    elif isinstance(value, TrackedAttr):
        pairs = [(k, v) for k, v in vars(value).items() if not k.startswith("_")]
    else:
        return value
    found: dict[Any, Any] = {}
    made[id(value)] = found
    found.update((key, plain_copy(item, made)) for key, item in pairs)
    return found


def alike(a: Any, b: Any) -> bool:
    """Return whether plain data is equal, including types of containers.

    The data may contain itself.
    """
    todo, seen = [(a, b)], set()
    while todo:
        one, other = todo.pop()
        if (id(one), id(other)) in seen:
            continue
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            todo.extend((one[key], other[key]) for key in one)
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            todo.extend(zip(one, other, strict=True))
        elif one != other:
            return False
        seen.add((id(one), id(other)))
    return True
