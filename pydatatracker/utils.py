"""Where 0.1.0 had ``utils.changelog``; each name says once where it is now."""

from __future__ import annotations

from pydatatracker.types import submodules

__all__: list[str] = []

submodules(__name__, {"changelog": {"ChangeLogEntry": "ChangeLogEntry"}})
