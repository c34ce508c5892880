"""Files that hold changes: who may read them, and where they are.

A log holds every value that a program changes, names and addresses of people among them. So a new file can be read and
written by its owner only (``0o600``), whatever the umask says; a ``mode`` says otherwise. A file that exists keeps its
permissions.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final

__all__ = ["MODE", "check_mode", "like", "open_log"]

MODE: Final = 0o600


def check_mode(mode: Any) -> int | None:
    """Return the permissions of new files; None: the umask decides.

    :param mode: ``0o640``, or text in octal, ``"0640"``.
    :raises ValueError: it is neither, or the owner could not read and write.

    >>> oct(check_mode("0640"))
    '0o640'
    """
    number = mode
    if isinstance(mode, str):
        try:
            number = int(mode, 8)
        except ValueError:
            number = -1
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 0o777 or number & 0o600 != 0o600:
        raise ValueError(
            f"mode must be permissions such as 0o640 or '0640', with read and write for the owner, not {mode!r}"
        )
    return number


def open_log(path: str, flags: int, mode: int | None = MODE) -> int:
    """Open a file, and create it if it does not exist; return its descriptor.

    O(1). Only a file created here gets the mode; None: what the umask says. Raises OSError.
    """
    flags |= os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if mode is None:
        return os.open(path, flags, 0o666)
    try:
        fd = os.open(path, flags | os.O_EXCL, mode)
    except FileExistsError:  # also a link to a file that does not exist
        return os.open(path, flags, mode)
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):  # a file system without permissions
            os.fchmod(fd, mode)  # the umask may have removed some
    return fd


def like(path: str, fd: int) -> None:
    """Give an open file the permissions of another one, if that is possible."""
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            os.fchmod(fd, os.stat(path).st_mode & 0o777)
