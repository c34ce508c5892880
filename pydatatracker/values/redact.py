"""What `tracking_redact` takes, and the error of who asks for what was withheld."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydatatracker.values.pointer import compile_glob

__all__ = ["RedactedError", "compile_redact"]


class RedactedError(LookupError):
    """A past value is not known, as its place is one of `tracking_redact`."""


def compile_redact(given: str | Iterable[str] | Callable[[tuple[Any, ...]], bool]) -> Any:
    """Return globs as the core matches them, a callable as it is. Raises TypeError or ValueError for anything else.

    >>> compile_redact("/**/password")
    ((None, 'password'),)
    """
    if callable(given):
        return given
    if isinstance(given, str):
        given = (given,)
    try:
        globs = tuple(given)
    except TypeError:
        raise TypeError(
            f"tracking_redact takes globs over pointers such as '/**/password', or a function of a path, not {given!r}"
        ) from None
    for glob in globs:
        if glob == "":
            raise ValueError("tracking_redact: '' would withhold everything; name places, as in '/**/password'")
    return tuple(compile_glob(glob) for glob in globs)
