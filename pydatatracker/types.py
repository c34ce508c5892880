"""Modules of 0.1.0, whose names warn once and say where they are now.

The submodules, such as ``pydatatracker.types.actor``, are created here, so that they need no files of their own.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType

__all__: list[str] = []


def forward(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Return a ``__getattr__`` for a module whose names have moved.

    ``names`` maps an old name to ``"module.name"`` below ``pydatatracker``. The first use gives a DeprecationWarning.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = f"pydatatracker.{names[name]}".rpartition(".")
        warnings.warn(f"{module}.{name} is now {home}.{new}", DeprecationWarning, stacklevel=2)
        value: object = getattr(import_module(home), new)
        setattr(sys.modules[module], name, value)
        return value

    return get


def submodules(package: str, homes: Mapping[str, Mapping[str, str]]) -> None:
    """Create the submodules of a package of 0.1.0.

    Each of them gets `forward` for its names.
    """
    for short, names in homes.items():
        module = ModuleType(f"{package}.{short}", f"Names of 0.1.0: {', '.join(names)}.")
        module.__dict__["__getattr__"] = forward(module.__name__, names)
        setattr(sys.modules[package], short, module)
        sys.modules[module.__name__] = module


submodules(
    __name__,
    {
        "_trackbase": {"TrackBase": "containers.mixin.TrackingMixin"},
        "actor": {"tracking_actor": "tracking_actor"},
        "trackedattributes": {"TrackedAttr": "TrackedAttr"},
        "trackeddict": {"TrackedDict": "TrackedDict"},
        "trackedlist": {"TrackedList": "TrackedList"},
    },
)
