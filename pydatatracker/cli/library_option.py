"""The option ``--library``: what counts as library code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["library_option"]

F = TypeVar("F", bound=Callable[..., Any])


def library_option(command: F) -> F:
    """Add ``--library`` to a command that shows culprits."""
    return click.option(
        "--library",
        multiple=True,
        metavar="PATH",
        expose_value=False,
        callback=_set,
        help="Library code, which is not the culprit: a folder, file or glob; with ! in front, your own. Repeatable.",
    )(command)


def _set(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> None:
    if given:
        from pydatatracker.change.library import set_library

        set_library(*given)
