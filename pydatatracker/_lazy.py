"""Names of a package (PEP 562), and modules, imported on first use.

A program that only records does not pay for exporters, for `logging` or for `traceback`, and ``pydatatracker --help``
pays for nothing. `lazily` is for the ``__init__`` modules of the package, `later` for every module.
It imports nothing itself, because every start of Python with the library waits for it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers know it; importing typing takes a fifth of a Python start
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["SignatureOf", "later", "lazily", "load_now", "provide", "provided"]

_waiting: list[_Later] = []  # modules that nothing has needed yet


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


class _Later:
    """Stands for a module in the globals of another one, until it is used."""

    __slots__ = ("_name", "_names")

    def __init__(self, name: str, names: dict[str, Any]) -> None:
        self._name = name
        self._names = names

    def __getattr__(self, attribute: str) -> object:
        return getattr(self._load(), attribute)

    def _load(self) -> object:
        __import__(self._name)
        module = sys.modules[self._name]
        if self._names.get(self._name) is self:
            self._names[self._name] = module
        return module


def later(names: dict[str, Any], *modules: str) -> None:
    """Import modules of the standard library when an attribute is first read.

    The first use replaces the stand-in in ``names``, the ``globals()`` of the module that calls it, so it costs nothing
    afterwards. An annotation that names such a module is resolved as usual. O(modules).
    """
    for module in modules:
        names[module] = stand_in = _Later(module, names)
        _waiting.append(stand_in)


def load_now() -> None:
    """Import everything that `later` has postponed. O(modules)."""
    while _waiting:
        _waiting.pop()._load()


_providers: dict[str, str] = {}  # what a package offers to those below it: name -> module


def provide(name: str, module: str) -> None:
    """Let packages that stand below a module use a function of it.

    The root of the package says which one, as it knows all of them; `provided` imports it. O(1).
    """
    _providers[name] = module


def provided(name: str) -> Any:
    """Return the function of that name that `provide` has announced."""
    module = _providers[name]
    __import__(module)
    return getattr(sys.modules[module], name)


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
