"""A short round of each kind of `just stress`, so that its judge is right."""

from __future__ import annotations

import pytest
from builds import WATCHES
from stress import KINDS, stress


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"forks"}))  # which a process with other threads should not do
def test_a_short_round_is_right(name: str) -> None:
    """Eight threads, forty turns each; the log replays to the state."""
    if name == "watch" and not WATCHES:
        pytest.skip("watch() needs the dict watchers of CPython 3.12, and the GIL")
    assert stress(name, 0, 40).startswith("1 rounds, 320 turns")
