"""What a build of the core cannot do."""

from __future__ import annotations

import pytest

from pydatatracker import _core

TABLES = not _core.PUBLIC_API_ONLY  # whether it reads the tables of dicts and sets
needs_tables = pytest.mark.skipif(
    not TABLES, reason="needs the tables of dicts and sets, which this build does not read"
)
