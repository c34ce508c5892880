"""The option `tracking_redact`: its globs, and its error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydatatracker.values.pointer import compile_glob

__all__ = ["Glob", "RedactedError", "as_given", "compile_redact"]


class RedactedError(LookupError):
    """A past value is not known, because `tracking_redact` withheld it."""


class Glob(tuple[Any, ...]):
    """A compiled glob that has its own text, which is what a pickle stores.

    ``given`` is None for one from a pickle of 0.2.0, which stored the compiled form alone.
    """

    given: str | None = None

    @classmethod
    def of(cls, given: str) -> Glob:
        """Compile a glob. Raises TypeError or ValueError as `compile_glob` does."""
        made = cls(compile_glob(given))
        made.given = given
        return made


def compile_redact(given: str | Iterable[str | Glob] | Callable[[tuple[Any, ...]], bool]) -> Any:
    """Return globs as the core matches them, or a callable as it is.

    Raises TypeError or ValueError for anything else.

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
            raise ValueError("tracking_redact: '' would withhold everything; name paths, as in '/**/password'")
    return tuple(glob if isinstance(glob, Glob) else Glob.of(glob) for glob in globs)


def as_given(compiled: Any) -> Any:
    """Return what `compile_redact` was given, to be stored in a pickle.

    Globs are stored as text, because versions of Python compile them differently. O(globs).

    >>> as_given(compile_redact(["/**/password", "/card/*"]))
    ('/**/password', '/card/*')
    """
    if type(compiled) is not tuple:  # a callable may be a subclass of it
        return compiled
    return tuple(tuple(glob) if getattr(glob, "given", None) is None else glob.given for glob in compiled)
