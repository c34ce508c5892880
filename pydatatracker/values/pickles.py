"""What errors and open handles answer to pickle and copy.

The functions that pickles call are published in `pydatatracker.rebuild`, and pickles name them there.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Handle", "PicklableError", "error"]


def error(cls: type[BaseException], args: tuple[Any, ...], /) -> BaseException:
    """Make the error of a pickle without calling its ``__init__``.

    So a subclass with other arguments can be unpickled too; the attributes follow as the state.
    """
    return cls.__new__(cls, *args)


error.__module__ = "pydatatracker.rebuild"


class PicklableError(Exception):
    """An error whose constructor needs more than its message.

    It crosses process boundaries (`concurrent.futures`, `multiprocessing`) with all of its attributes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return error, (type(self), self.args), self.__dict__ or None


class Handle:
    """What is open in this process, and cannot be copied or pickled.

    A copy would share the file descriptor or lock, and close it for the original.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        cls = type(self)
        if cls.__reduce__ is not object.__reduce__ or cls.__getstate__ is not object.__getstate__:
            return super().__reduce_ex__(protocol)  # a subclass that knows what to do
        name = cls.__name__
        raise TypeError(f"cannot copy or pickle a {name}, which is in use in this process; make another {name} instead")
