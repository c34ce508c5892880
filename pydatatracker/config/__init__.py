"""Observers from a configuration: a JSON or TOML file, or data.

A configuration is a list of entries ``{"type": ..., "options": {...}}``, in TOML ``[[observers]]``. All of it is
checked before anything is opened. ``options`` has the types and their options, ``loader`` checks them and makes the
observers, ``messages`` has parts of error messages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydatatracker.config.loader import ConfigurationError, Loader, Observers, read

__all__ = ["ConfigurationError", "Observers", "load_observers_from_json"]


def load_observers_from_json(
    source: str | os.PathLike[str] | list[Any] | Mapping[str, Any],
    *,
    allow_import: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Observers:
    """Make observers from a JSON file, a TOML file (``.toml``), or data.

    The data is a list of entries, or ``{"observers": [...]}``. An entry is ``{"type": "http", "options": {...}}``; the
    guide to configuration has the types and their options. In strings, ``${NAME}`` is an environment variable,
    ``${NAME:-default}`` has a default, and ``$$`` is a dollar. O(entries).

    :param allow_import: permit ``"type": "package.module:factory"``.
    :param environ: the environment variables; by default those of the process.
    :raises OSError: the file cannot be read.
    :raises ConfigurationError: the configuration is wrong; it lists all problems, and no observer stays open.

    >>> from pydatatracker import TrackedDict
    >>> observers = load_observers_from_json([{"type": "change_collector", "options": {"capacity": 10}}])
    >>> d = TrackedDict()
    >>> d.tracking_add_observer(observers[0])
    >>> d["a"] = 1
    >>> len(observers[0])
    1
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
        data = read(name)
    else:
        name, data = "the configuration", source
    return Loader(name, allow_import, os.environ if environ is None else environ).load(data)
