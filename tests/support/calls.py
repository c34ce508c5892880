"""Every mutator with valid and invalid arguments, to run on two sides.

A call is (name, argument specs). A spec is a tuple whose first item says how `realise` makes the argument. It is
made anew for each side, because the sides must not share what a call consumes or keeps.
"""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import strategies as st


class Boom(Exception):
    """Raised on purpose."""


class Slow:
    """A key with ``__eq__`` and ``__hash__`` in Python, whose hashes collide."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slow) and other.n == self.n

    def __hash__(self) -> int:
        return self.n % 3

    def __repr__(self) -> str:
        return f"Slow({self.n})"

    def __lt__(self, other: Any) -> bool:
        return bool(self.n < other.n)


class Index:
    """An object with ``__index__``."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __index__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        return f"Index({self.n})"


class NoIndex:
    """An object whose ``__index__`` and ``__iter__`` raise."""

    def __index__(self) -> int:
        raise Boom("index")

    def __iter__(self) -> Any:
        raise Boom("iter")

    def __repr__(self) -> str:
        return "NoIndex()"


class Mapping:
    """A mapping that `dict` accepts: keys() and __getitem__().

    Reading its last item may fail.
    """

    def __init__(self, items: dict[Any, Any], fails: bool) -> None:
        self.items_ = items
        self.fails = fails

    def keys(self) -> Any:
        return iter(self.items_)

    def __getitem__(self, key: Any) -> Any:
        if self.fails and key == list(self.items_)[-1]:
            raise Boom("item")
        return self.items_[key]

    def __repr__(self) -> str:
        return f"Mapping({self.items_})"


NO_INDEX = NoIndex()
SLOW = [Slow(n) for n in range(6)]
SLOW_TWINS = [Slow(n) for n in range(6)]


def failing(items: list[Any]) -> Any:
    yield from items
    raise Boom("midway")


def realise(spec: tuple[Any, ...], side: Any) -> Any:
    """Return the argument of a spec for a side.

    A side has ``container`` and ``value(plain)``.
    """
    kind = spec[0]
    if kind == "value":
        return side.value(spec[1])
    if kind == "self":
        return side.container
    if kind == "other":
        return side.other(spec[1])
    if kind == "slice":
        return slice(*[realise(part, side) for part in spec[1:]])
    if kind == "noindex":
        return NO_INDEX
    items = [realise(item, side) for item in spec[1]] if kind != "dict" and kind != "mapping" else None
    if kind == "list":
        return items
    if kind == "tuple":
        return tuple(items or ())
    if kind == "iter":
        return iter(items or ())
    if kind == "failing":
        return failing(items or [])
    if kind == "set":
        return set(items or ())
    if kind == "frozenset":
        return frozenset(items or ())
    pairs = {realise(key, side): realise(value, side) for key, value in spec[1]}
    return pairs if kind == "dict" else Mapping(pairs, spec[2])


def perform(container: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Call a method; return ("returned", result) or ("raised", type, text)."""
    try:
        if name.startswith("op:"):
            return "returned", getattr(operator, name[3:])(container, *args)
        if name.startswith("builtin:"):
            return "returned", {"setattr": setattr, "delattr": delattr}[name[8:]](container, *args)
        return "returned", getattr(container, name)(*args, **kwargs)
    except Exception as error:
        return "raised", type(error), str(error)


hashables = st.one_of(
    st.sampled_from(["a", "b", "c", "d", "", "_x", "a/b"]),
    st.integers(-3, 4),
    st.sampled_from([None, True, False, 1.0, 2.5, (1, 2), (), "\u00e9"]),
    st.sampled_from(SLOW),
    st.sampled_from(SLOW_TWINS),
)
hashable = hashables.map(lambda v: ("value", v))
anything = st.one_of(hashable, hashable, st.sampled_from([("list", []), ("dict", []), ("noindex",)]))
index = st.one_of(
    st.integers(-7, 8).map(lambda n: ("value", n)),
    st.integers(-7, 8).map(lambda n: ("value", n)),
    st.integers(-7, 8).map(lambda n: ("value", Index(n))),
    st.sampled_from([("value", 10**30), ("value", -(10**30)), ("value", "x"), ("value", None), ("noindex",)]),
)
bound = st.one_of(st.just(("value", None)), st.integers(-7, 8).map(lambda n: ("value", n)), index)
step = st.one_of(st.just(("value", None)), st.sampled_from([-3, -2, -1, 0, 1, 2, 3]).map(lambda n: ("value", n)))
slices = st.tuples(st.just("slice"), bound, bound, step)


def sequences(items: Any) -> Any:
    """Return specs of iterables, and of objects that are not iterable."""
    listed = st.lists(items, max_size=5)
    kinds = st.sampled_from(["list", "tuple", "iter", "failing"])
    return st.one_of(
        st.tuples(kinds, listed), st.tuples(kinds, listed), st.just(("self",)), st.just(("noindex",)), anything
    )


def dicts(values: Any) -> Any:
    pairs = st.lists(st.tuples(hashable, values), max_size=4)
    return st.one_of(
        st.tuples(st.just("dict"), pairs),
        st.tuples(st.just("mapping"), pairs, st.booleans()),
        sequences(st.one_of(st.tuples(st.just("tuple"), st.tuples(hashable, values)), anything)),
    )


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    return st.tuples(st.just(name), st.tuples(*args), st.just(kwargs))


def wrong_arity(names: list[str]) -> Any:
    return st.tuples(st.sampled_from(names), st.lists(hashable, max_size=4).map(tuple), st.just({}))


def dict_calls(values: Any, keys: Any = hashable) -> Any:
    names = ["pop", "popitem", "clear", "setdefault", "update", "__setitem__", "__delitem__", "__ior__"]
    keyed = st.one_of(keys, keys, keys, anything)
    return st.one_of(
        call("op:setitem", keyed, values),
        call("op:setitem", keyed, values),
        call("op:delitem", keyed),
        call("setdefault", keyed),
        call("setdefault", keyed, values),
        call("pop", keyed),
        call("pop", keyed, values),
        call("popitem"),
        call("clear"),
        call("update", dicts(values)),
        call("update", dicts(values), a=1, z=2),
        call("update", x=5),
        call("update"),
        call("op:ior", dicts(values)),
        call("__init__", dicts(values)),
        wrong_arity(names),
    )


def list_calls(values: Any, safe_keys: bool = True) -> Any:
    names = ["append", "insert", "extend", "pop", "remove", "clear", "reverse", "__setitem__", "__delitem__"]
    return st.one_of(
        call("append", values),
        call("insert", index, values),
        call("extend", sequences(values)),
        call("pop"),
        call("pop", index),
        call("remove", values),
        call("clear"),
        call("reverse"),
        call("sort"),
        call("sort", key=repr),
        call("sort", key=repr, reverse=True),
        call("sort", key=5),
        call("op:setitem", index, values),
        call("op:setitem", slices, sequences(values)),
        call("op:delitem", index),
        call("op:delitem", slices),
        call("op:iadd", sequences(values)),
        call("op:imul", st.one_of(st.sampled_from([("value", n) for n in (-1, 0, 1, 2)]), anything)),
        call("__init__", sequences(values)),
        wrong_arity(names),
    )


def set_calls(values: Any) -> Any:
    names = ["add", "discard", "remove", "pop", "clear", "symmetric_difference_update", "__init__"]
    algebra = ["update", "difference_update", "intersection_update", "symmetric_difference_update"]
    operators = ["op:ior", "op:iand", "op:isub", "op:ixor"]
    sets = st.tuples(st.sampled_from(["set", "frozenset"]), st.lists(values, max_size=5))
    many = st.one_of(sets, sets, sequences(values))
    return st.one_of(
        call("add", st.one_of(values, anything)),
        call("discard", st.one_of(values, anything)),
        call("remove", st.one_of(values, anything)),
        call("discard", sets),
        call("pop"),
        call("clear"),
        *[call(name, many) for name in algebra],
        *[call(name, many, many) for name in algebra[:3]],
        *[call(name, many) for name in operators],
        call("__init__", many),
        wrong_arity(names + algebra),
    )


def attr_calls(values: Any) -> Any:
    names = st.sampled_from(["a", "b", "c", "_private", "shown", "fixed", "__class__"]).map(lambda n: ("value", n))
    return st.one_of(
        call("builtin:setattr", names, values),
        call("builtin:setattr", names, values),
        call("builtin:delattr", names),
        call("builtin:setattr", anything.filter(lambda spec: spec != ("value", "")), values),
    )
