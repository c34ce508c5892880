"""What a build of the core, and what is installed beside it, cannot do."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig

import pytest

from pydatatracker import _core

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))  # also where an import has switched the GIL on
TABLES = not _core.PUBLIC_API_ONLY  # whether it reads the tables of dicts and sets
WATCHES = sys.version_info >= (3, 12) and not FREE_THREADED  # whether plain data can be watched
MSGSPEC = importlib.util.find_spec("msgspec") is not None

needs_tables = pytest.mark.skipif(
    not TABLES, reason="needs the tables of dicts and sets, which this build does not read"
)
needs_watch = pytest.mark.skipif(not WATCHES, reason="watch() needs the dict watchers of CPython 3.12, and the GIL")
needs_msgspec = pytest.mark.skipif(not MSGSPEC, reason="needs msgspec, which has no build for this Python")
needs_gil = pytest.mark.skipif(FREE_THREADED, reason="not so on a free-threaded CPython; docs/design.md says why")
