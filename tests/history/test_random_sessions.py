"""Long random sessions, on which every promise of the history is checked.

PYDATATRACKER_SESSIONS=200 runs as many; without it the suite runs a few.
"""

from __future__ import annotations

import json
import os
import random

import jsonpatch
import pytest
from gardening import Session, alike

from pydatatracker.change.rewind import Rewind
from pydatatracker.history.replica import Replica
from pydatatracker.history.walk import plain_copy

SESSIONS = int(os.environ.get("PYDATATRACKER_SESSIONS", "4"))


@pytest.mark.parametrize("seed", range(SESSIONS))
def test_a_long_session_keeps_every_promise(seed: int) -> None:
    """Up to 500 random operations keep every promise of the history.

    Containers move between trees, are held twice, change outside and come back.
    """
    chance = random.Random(seed)
    session = Session(odd_keys=seed % 2 == 1)
    x = session.root
    lines: list[str] = []
    x.tracking_add_observer(lambda change: lines.append(json.dumps(change.to_dict())))
    replica = Replica(plain_copy(x))
    steps = [tuple(chance.randrange(n) for n in (31, 14, 12, 12)) for _ in range(chance.choice([50, 200, 500]))]
    session.run(steps)  # type: ignore[arg-type]
    start, end = session.past[0], session.past[-1]
    birth = plain_copy(x.tracking_changes()[0].after)

    rewind = Rewind(x)
    for seq, then in reversed(session.past):
        assert alike(then, plain_copy(rewind.back_to(seq))), f"state_at({seq})"
    for seq, then in chance.sample(session.past, 5):
        assert alike(then, plain_copy(x.tracking_state_at(seq)))

    for since, until in [(start, end), *(sorted(chance.sample(session.past, 2), key=lambda p: p[0]) for _ in range(3))]:
        there = x.tracking_patch(since[0], until[0], test=True)
        assert alike(until[1], jsonpatch.apply_patch(plain_copy(since[1]), there))
        back = x.tracking_patch(since[0], until[0], inverse=True)
        assert alike(since[1], jsonpatch.apply_patch(plain_copy(until[1]), back))

    for line in lines:
        replica.apply(line)
    assert alike(end[1], replica.value)
    assert x.tracking_verify() is None

    while x.tracking_undo():
        pass
    assert alike(birth, plain_copy(x))
    while x.tracking_redo():
        pass
    assert alike(end[1], plain_copy(x))
    x._check()
