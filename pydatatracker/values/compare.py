"""The ways to compare two values deeply, one function each.

- `alike`: the same data. Types count: 1, 1.0 and True are three values.
- `alike` with ``by_wanted=True``: what a test expects. An object that is not plain data decides by its own ``==``.
- `equal_as_json`: RFC 6902, section 4.6, for the ``test`` of a JSON patch. Numbers are compared by value.

A log distinguishes less than that; `history.apply_step` compares what it would write for both.
"""

from __future__ import annotations

from typing import Any

from pydatatracker import _core
from pydatatracker._core import MISSING, AttrHook, DequeHook

__all__ = ["PLAIN", "alike", "equal_as_json"]

PLAIN = frozenset((str, int, float, bool, complex, bytes, type(None)))

_NESTED = frozenset((dict, list, tuple))


def alike(value: Any, wanted: Any, *, by_wanted: bool = False) -> bool:
    """Return whether two values are the same plain data.

    Values whose ``==`` raises are not alike. Two containers that hold themselves are alike if they do so in the same
    way. O(size), however many places a container is in.

    ``by_wanted=True``: an object in ``wanted`` that is not plain data, such as ``pytest.approx``, is compared with
    whatever is there, and nan is like nan.

    >>> alike({"a": [1, (2,)]}, {"a": [1, (2,)]}), alike([1], [True])
    (True, False)
    """
    try:
        return _alike(value, wanted, by_wanted, set())
    except Exception:  # a user's __eq__, or an array's
        return False


def _alike(value: Any, wanted: Any, by_wanted: bool, met: set[tuple[int, int]]) -> bool:
    if value is wanted:
        return True
    if value is MISSING or wanted is MISSING:
        return False
    kind = type(wanted)
    is_nested = kind in _NESTED if by_wanted else isinstance(wanted, (dict, list, tuple))
    if by_wanted and not is_nested and kind not in PLAIN:
        return bool(value == wanted)
    if type(value) is not kind:
        return False
    if not is_nested:
        return bool(value == wanted or (by_wanted and kind is float and value != value and wanted != wanted))
    if len(value) != len(wanted):
        return False
    pair = id(value), id(wanted)
    if pair in met:  # both hold themselves, or are in another place, too: one that is not alike ends it all
        return True
    met.add(pair)
    if isinstance(wanted, dict):
        return all(key in value and _alike(value[key], item, by_wanted, met) for key, item in wanted.items())
    return all(_alike(one, other, by_wanted, met) for one, other in zip(value, wanted, strict=True))


def equal_as_json(held: Any, value: Any) -> bool:
    """Return whether two values are equal JSON, as RFC 6902 (4.6) defines it.

    Numbers are compared by value; literals, strings, arrays and objects by kind and members. An object with tracked
    attributes is compared as the object of them. O(size).

    >>> equal_as_json([1, {"a": 2}], [1.0, {"a": 2}]), equal_as_json(1, True)
    (True, False)
    """
    if isinstance(held, AttrHook):
        held = _core.attributes(held)
    elif isinstance(held, DequeHook):
        held = _core.plain(held)
    if isinstance(held, bool) or isinstance(value, bool):
        return held is value
    if isinstance(held, dict):
        return (
            isinstance(value, dict)
            and held.keys() == value.keys()
            and all(equal_as_json(item, value[key]) for key, item in dict.items(held))
        )
    if isinstance(held, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(held) == len(value) and all(map(equal_as_json, held, value))
    return bool(held == value)
