"""Package attributes that are imported on first use (PEP 562).

A program that only records does not pay for exporters, and ``pydatatracker --help`` pays for nothing. Shared by the
``__init__`` modules of the package. It imports nothing itself, because every start of Python with the library waits for
it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers know it; importing typing takes a fifth of a Python start
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["SignatureOf", "lazily"]


def lazily(
    package: str, names: dict[str, Any], homes: Mapping[str, str], modules: tuple[str, ...] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    :param package: its ``__name__``.
    :param names: its ``globals()``; a name is kept there once it has been imported.
    :param homes: for each name the module that defines it, relative to the package (``"undo"``) or with a leading dot
        to its parent (``".change.rewind"``).
    :param modules: submodules that are attributes themselves.
    """

    def imported(module: str) -> object:
        __import__(module)  # importlib may not be imported yet, or be a file of the program
        return sys.modules[module]

    def getattr_(name: str) -> object:
        if name in modules:
            return imported(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        above = package.rpartition(".")[0] if home.startswith(".") else package
        value: object = getattr(imported(f"{above}.{home.lstrip('.')}"), name)
        names[name] = value
        return value

    def dir_() -> list[str]:
        return sorted({*names, *homes, *modules} - {"TYPE_CHECKING"})

    return getattr_, dir_


class SignatureOf:
    """The signature of a class: that of a function.

    For a class whose initializer is the core's, which has none.
    """

    __slots__ = ("_like",)

    def __init__(self, like: Callable[..., None]) -> None:
        self._like = like

    def __get__(self, instance: object, owner: type) -> Any:
        from inspect import Signature, signature

        return signature(self._like, eval_str=True).replace(return_annotation=Signature.empty)
