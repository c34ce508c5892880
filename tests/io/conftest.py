"""The log that several tests of this folder read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pydatatracker import process


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Write the log of this process to a file during a test."""
    path = tmp_path / "changes.jsonl"
    process.start(path)
    yield path
    process.stop()
