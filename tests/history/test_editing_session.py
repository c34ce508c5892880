"""A real editing session, replayed into a tracked list of characters."""

import pytest
from session import Session, document

from pydatatracker import TrackedList
from pydatatracker.change.rewind import Rewind, state_at


@pytest.fixture(scope="module")
def session() -> Session:
    found = document()
    if found is None:
        pytest.skip("no editing session here: PYDATATRACKER_DATA or ../shared/data has it")
    return found


def test_the_log_of_the_session_replays(session: Session) -> None:
    """The log of the session replays, at its end and halfway."""
    text = TrackedList(session.start, tracking_max_changes=None)
    for position, deleted, inserted in session.patches:
        text[position : position + deleted] = inserted
    assert session.end == "".join(text)
    changes = text.tracking_changes()
    replayed = list(session.start)
    for change in changes[1:]:
        start, removed, added = change.splice
        assert removed == tuple(replayed[start : start + len(removed)])
        replayed[start : start + len(removed)] = added
    assert session.end == "".join(replayed)
    assert list(session.start) == changes[0].after
    half = changes[len(changes) // 2]
    first_half = list(session.start)
    for change in changes[1 : len(changes) // 2 + 1]:
        start, removed, added = change.splice
        first_half[start : start + len(removed)] = added
    assert first_half == state_at(text, half.seq)


def test_undo_to_the_empty_document_redo_to_the_end_and_a_hundred_points_between(session: Session) -> None:
    """All 19,749 splices can be undone and redone one by one.

    state_at at 100 points is what a plain replay gives.
    """
    text = TrackedList(session.start, tracking_max_changes=None)
    plain = list(session.start)
    points = {}
    every = len(session.patches) // 100
    for n, (position, deleted, inserted) in enumerate(session.patches):
        text[position : position + deleted] = inserted
        plain[position : position + deleted] = inserted
        if n % every == 0:
            change = text.last_change()
            assert change is not None
            points[change.seq] = "".join(plain)
    assert len(points) >= 100
    for seq, then in list(points.items())[::10]:  # each from scratch
        assert then == "".join(text.tracking_state_at(seq))
    rewind = Rewind(text)  # all of them, going back once
    for seq, then in reversed(points.items()):
        assert then == "".join(rewind.back_to(seq))
    steps = 0
    while text.tracking_undo():
        steps += 1
    assert session.start == "".join(text)
    assert steps == len([patch for patch in session.patches if patch[1] or patch[2]])
    while text.tracking_redo():
        steps -= 1
    assert (0, session.end) == (steps, "".join(text))
