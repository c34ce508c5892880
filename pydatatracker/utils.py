"""The module ``utils.changelog`` of 0.1.0; see `pydatatracker.types`."""

from __future__ import annotations

from pydatatracker.types import submodules

__all__: list[str] = []

submodules(__name__, {"changelog": {"ChangeLogEntry": "ChangeLogEntry"}})
