"""Dicts: keys that are equal or of a subclass of str."""

from __future__ import annotations

from pydatatracker import TrackedDict


def test_a_str_subclass_as_keyword() -> None:
    """Keywords that are of a subclass of str are stored."""

    class Name(str):
        pass

    d = TrackedDict(b=1)
    d.update(**{Name("a"): 1})
    assert {"b": 1, "a": 1} == d
    d.__init__(**{Name("c"): 2})  # type: ignore[misc]
    assert {"b": 1, "a": 1, "c": 2} == d
    assert d.tracking_verify() is None


def test_equal_keys_in_one_update_are_one_item() -> None:
    """Equal keys in one update are one item for tracking_verify()."""
    d = TrackedDict(z=0)
    d.update([(1, 5), (True, 6), ((1, 2), 1), ((1, int("2")), 2)])
    assert d.tracking_verify() is None
