"""Values as text for people: bounded, and safe where ``repr`` fails.

`_core.words_for` is the other way to do it: it runs no code of the value, and is what a record keeps.
"""

from __future__ import annotations

import contextlib
from _thread import _local
from collections.abc import Iterator

from pydatatracker import _core

__all__ = ["is_silent", "shortened", "shown", "silently", "text"]

_LONGEST = 100_000  # characters of one value


_state = _local()  # `silent`, for each thread


@contextlib.contextmanager
def silently() -> Iterator[None]:
    """Run no ``__repr__`` of the program in this block.

    Objects show as their class. A watched program has to compute what it would compute otherwise, so its lines are
    written like this.
    """
    before, _state.silent = is_silent(), True
    try:
        yield
    finally:
        _state.silent = before


def is_silent() -> bool:
    """Return whether this thread is in a block of `silently`. O(1)."""
    return getattr(_state, "silent", False)


def text(value: object) -> str:
    """Return a str as it is, anything else as its `repr`.

    A ``__repr__`` that raises gives the name of the error. At most 100,000 characters. O(text), whatever the value is,
    besides what a ``__repr__`` of the program takes.

    >>> text("tea"), text(["tea"])
    ('tea', "['tea']")
    """
    if type(value) is str:
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
    if is_silent():
        return _core.words_for(value)
    try:
        made = _core.start_of_repr(value, _LONGEST + 1)
    except Exception as error:
        return f"<{type(value).__name__}: repr raised {type(error).__name__}>"
    return made if len(made) <= _LONGEST else made[:_LONGEST] + "..."


def shown(value: object, room: int | None = None) -> str:
    """Return a value as it looks inside a list: a str has its quotes.

    ``room``: characters at most. A ``__repr__`` that raises gives the name of the error.

    >>> shown("tea"), shown([1, 2, 3], 6)
    ("'tea'", '[1,...')
    """
    made = text([value])[1:-1]
    return made if room is None else shortened(made, room)


def shortened(given: str, room: int) -> str:
    """Return text cut to room characters; what was cut ends in ``...``.

    >>> shortened("assortment", 6)
    'ass...'
    """
    return given if len(given) <= room else given[: room - 3] + "..."
