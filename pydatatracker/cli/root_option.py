"""The options that choose one container of a log.

These are the argument LOG, ``--root``, and pointers with a label, such as ``#2/users``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NoReturn

import click

from pydatatracker.cli.base import PROGRAM, fail, open_logs, print_error
from pydatatracker.cli.line_view import local, short_id
from pydatatracker.cli.terminal import clean

if TYPE_CHECKING:
    from pydatatracker.cli.replay.roots import Key, Roots

__all__ = ["LOG", "ROOT", "chosen_roots", "one_root", "open_roots", "split_pointer"]

LOG: Final = click.argument("file", metavar="LOG")
_LISTED: Final = 20  # containers that an error lists
ROOT: Final = click.option("--root", metavar="#N|NAME|ID", help="Which container of the log, as `show` prints them.")


@contextlib.contextmanager
def open_roots(file: str) -> Iterator[Roots]:
    """Open a log, and find out which containers it has."""
    from pydatatracker.cli.replay.roots import Roots

    with open_logs([file]) as logs, Roots(logs, print_error) as roots:
        yield roots


def chosen_roots(roots: Roots, root: str | None) -> list[tuple[str, Key]]:
    """Return (label, key) of the roots that ``--root`` selects; else of all."""
    found = list(zip(roots.labels(), roots.by_root, strict=True))
    if root is not None:
        number = re.fullmatch(r"#(\d{1,9})", root)
        if number is not None:
            found = found[int(number[1]) - 1 : int(number[1])] if int(number[1]) else []
        else:
            found = _named(found, roots.names, root)
        if not found:
            fail(f"the log has no container {root}; it has {len(roots.by_root)}")
    if not found:
        fail("the log has no changes")
    return found


def _named(found: list[tuple[str, Key]], names: dict[Key, str], root: str) -> list[tuple[str, Key]]:
    """Return the roots with a label, name or id; of an id, each end will do."""
    text = root.removeprefix("@")
    for matches in (
        lambda label, key: label == root,
        lambda label, key: names.get(key) == text,
        lambda label, key: short_id(key[1]) == f"@{text}",
        lambda label, key: key[1].startswith(text) or key[1].endswith(text),
    ):
        chosen = [(label, key) for label, key in found if text and matches(label, key)]
        if chosen:
            return chosen
    return []


def one_root(roots: Roots, root: str | None) -> Key:
    """Return the key of the only root that ``--root`` selects."""
    found = chosen_roots(roots, root)
    if len(found) > 1:
        ends = _LISTED // 2
        lines = [_described(roots, label, key) for label, key in found]
        if len(lines) > _LISTED:
            lines[ends:-ends] = [f"  ... {len(lines) - 2 * ends:,} more"]
        of_name = "" if root is None else f" {root}"
        _fail_with_list(f"the log has {len(found)} containers{of_name}; name one with --root:", lines)
    return found[0][1]


def _described(roots: Roots, label: str, key: Key) -> str:
    """Return one line about a root, with all that tells it from others."""
    lines = roots.by_root[key]
    count = "1 change" if len(lines) == 1 else f"{len(lines):,} changes"
    begun = lines[0].created_time
    since = "" if begun is None else f"  since {local(begun):%Y-%m-%d %H:%M:%S}"
    name = f"  named {roots.names[key]}" if key in roots.names else ""
    return f"  {label or '#1'}  {key[1]}  process {key[0]}  {count}{since}{name}"


def _fail_with_list(message: str, lines: list[str]) -> NoReturn:
    click.echo(f"{PROGRAM}: {message}", err=True)
    for line in lines:
        click.echo(clean(line), err=True)
    raise click.exceptions.Exit(2)


def split_pointer(root: str | None, pointer: str | None) -> tuple[str | None, str | None]:
    """Return (root, pointer), also of a pointer as `show` prints it.

    >>> split_pointer(None, "#2/users/0")
    ('#2', '/users/0')
    """
    found = re.fullmatch(r"([#@][\w.-]+)(|/.*)", pointer or "", re.DOTALL)
    return (root, pointer) if found is None or root is not None else (found[1], found[2])
