"""A real editing session, replayed into a tracked list of characters."""

import pytest
from session import Session, document

from pydatatracker import TrackedList
from pydatatracker.history import state_at


@pytest.fixture(scope="module")
def session() -> Session:
    found = document()
    if found is None:
        pytest.skip("no editing session here: PYDATATRACKER_DATA or ../shared/data has it")
    return found


def test_the_session_gives_its_end_and_can_be_taken_back(session: Session) -> None:
    """All splices give the end; the log replays to it, and undoing all of it gives the start."""
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
