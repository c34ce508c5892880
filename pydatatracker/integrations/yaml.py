"""Tracked data as plain YAML, written by `yaml.safe_dump` of PyYAML.

The safe dumpers of PyYAML refuse every class that nobody has registered with them. Importing this module registers the
tracked containers with `yaml.SafeDumper` and `yaml.CSafeDumper`: they are written as the dict, list or set that they
are, and read back as that. What PyYAML writes of other data stays the same, and so does `yaml.dump`, which keeps the
classes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, Final

from pydatatracker._core import DefaultDictHook, DequeHook, DictHook, ListHook, OrderedDictHook, SetHook

try:
    from yaml.representer import SafeRepresenter
except ImportError as error:
    raise ImportError(
        "pydatatracker.integrations.yaml needs PyYAML, which is not installed here: pip install pyyaml"
    ) from error

__all__ = ["register"]


_BUILTINS: Final = (Counter, OrderedDict, defaultdict, dict, deque, list, set)


def _represent(dumper: Any, data: Any) -> Any:
    """Do what the dumper does with the builtin that the data is.

    That may be a function of the program, which keeps the order of the keys, say.
    """
    for cls in _BUILTINS:
        if isinstance(data, cls):
            for known in (dumper.yaml_multi_representers, dumper.yaml_representers):  # the former takes subclasses
                if cls in known:
                    return known[cls](dumper, data)
    return dumper.yaml_representers[list](dumper, data)  # a deque


_HOOKS: Final = (DictHook, OrderedDictHook, DefaultDictHook, ListHook, DequeHook, SetHook)


def _is_dumper(dumper: object) -> bool:
    return isinstance(dumper, type) and issubclass(dumper, SafeRepresenter)


def register(dumper: Any = SafeRepresenter) -> None:
    """Let a safe dumper write tracked data as plain YAML.

    Importing the module does it for those of PyYAML. A dumper of your own needs a call if it had representers of its
    own before the import. O(1); again is harmless. Raises TypeError for what is not a class of dumpers.

    >>> import yaml
    >>> from pydatatracker import track
    >>> print(yaml.safe_dump(track({"ports": [80, 443]})), end="")
    ports:
    - 80
    - 443
    """
    if not _is_dumper(dumper):
        raise TypeError(f"register() takes a subclass of yaml.SafeDumper, not {dumper!r}")
    for hook in _HOOKS:
        dumper.add_multi_representer(hook, _represent)


register()
