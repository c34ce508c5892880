"""The message of a failed assertion about changes."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatracker.testing import ModifiedError


def message_of(block: Any, act: Any) -> str:
    """Return the message of the block when act is called inside it."""
    with pytest.raises(ModifiedError) as caught, block:
        act()
    return str(caught.value)
