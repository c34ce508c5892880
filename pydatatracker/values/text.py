"""Values as text for people: bounded, and safe where ``repr`` fails.

`_core.words_for` is the other way to do it: it runs no code of the value, and is what a record keeps.
"""

from __future__ import annotations

import contextlib
from _thread import _local
from collections.abc import Iterator

from pydatatracker import _core

__all__ = ["clean", "is_silent", "shortened", "shown", "silently", "text"]

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


def text(value: object, most: int = _LONGEST) -> str:
    """Return a str as it is, anything else as its `repr`.

    A ``__repr__`` that raises gives the name of the error. At most 100,000 characters, or ``most``. O(text), whatever
    the value is, besides what a ``__repr__`` of the program takes.

    >>> text("tea"), text(["tea"])
    ('tea', "['tea']")
    """
    if type(value) is str:
        return value if len(value) <= most else value[:most] + "..."
    if is_silent():
        return _core.words_for(value)
    try:
        made = _core.start_of_repr(value, most + 1)
    except Exception as error:
        return f"<{type(value).__name__}: repr raised {type(error).__name__}>"
    return made if len(made) <= most else made[:most] + "..."


def shown(value: object, room: int | None = None) -> str:
    """Return a value as it looks inside a list: a str has its quotes.

    ``room``: characters at most. A ``__repr__`` that raises gives the name of the error.

    >>> shown("tea"), shown([1, 2, 3], 6)
    ("'tea'", '[1,...')
    """
    if room is None:
        return text([value])[1:-1]
    return shortened(text([value], room + 4)[1:-1], room)  # what is cut here is longer than room


def shortened(given: str, room: int) -> str:
    """Return text cut to room characters; what was cut ends in ``...``.

    >>> shortened("assortment", 6)
    'ass...'
    """
    return given if len(given) <= room else given[: room - 3] + "..."


def clean(given: str) -> str:
    r"""Return text with everything that is not printable escaped. O(length).

    That is control characters, escape sequences, marks that reverse the direction of text, lone surrogates.

    >>> clean("a\x1b[31mred")
    'a\\x1b[31mred'
    """
    if given.isprintable():
        return given
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in given)
