"""The browser as a fixture: one for each module of tests, none where none is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from browser import Browser, find


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests that need one are passed over without it."""
    program = find()
    if sys.platform == "win32" or program is None:
        pytest.skip("no Chromium here: apt-get install chromium, or name one in PYDATATRACKER_BROWSER")
    with Browser(program) as started:
        yield started
