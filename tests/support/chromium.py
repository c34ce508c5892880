"""The browser as a fixture: one for each module of tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from browser import Browser, find


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium; without it the test is skipped."""
    program = find()
    if sys.platform == "win32" or program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium, or name it in PYDATATRACKER_BROWSER")
    with Browser(program) as started:
        yield started
