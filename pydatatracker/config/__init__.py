"""Observers from a file: JSON, TOML or data, checked as a whole before anything is opened.

A configuration is a list of entries ``{"type": ..., "options": {...}}``, in TOML ``[[observers]]``.
``options`` has the types and their options, ``loader`` checks and makes, ``messages`` says what is wrong.
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
    """Make observers from a JSON file, a TOML file (``.toml``), or such data.

    That is a list of entries, or ``{"observers": [...]}``; an entry is ``{"type": "http", "options": {...}}``, and
    docs/configuration.md has the types and their options.
    ``${NAME}`` in a text is an environment variable, ``${NAME:-default}`` with a default, ``$$`` a dollar.
    ``allow_import=True`` permits ``"type": "package.module:factory"``. O(entries). Raises OSError for a file that
    cannot be read, ConfigurationError with all that is wrong; then nothing was opened, imported or kept open.

    >>> from pydatatracker import TrackedDict
    >>> observers = load_observers_from_json([{"type": "change_collector", "options": {"capacity": 10}}])
    >>> d = TrackedDict()
    >>> d.tracking_add_observer(observers[0])
    >>> d["a"] = 1
    >>> len(observers[0])
    1
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        data = read(name)
    else:
        name, data = "the configuration", source
    return Loader(name, allow_import, os.environ if environ is None else environ).load(data)
