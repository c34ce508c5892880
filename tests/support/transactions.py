"""Transactions that fail, and so roll back."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatracker import tracking_transaction


class Stop(Exception):
    """Raised by a test to fail a transaction."""


def rolled_back(body: Any, *roots: Any) -> None:
    """Call a function in a transaction that then fails."""
    with pytest.raises(Stop), tracking_transaction(*roots):
        body()
        raise Stop
