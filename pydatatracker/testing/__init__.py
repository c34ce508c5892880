"""Test helpers: fail when tracked data changes unexpectedly.

The message shows the offending change.

- ``assertions`` has the two context managers; ``watching`` collects changes with their stacks, ``expecting`` compares
  them with what was expected.
- ``pytest_plugin`` has the hooks that pytest loads, ``pytest_section`` what they add to a report.

The names in ``__all__`` are public, the modules are internal.
"""

from __future__ import annotations

from pydatatracker._lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydatatracker.testing.assertions import ModifiedError, assert_unmodified, expect_changes

__all__ = ["ModifiedError", "assert_unmodified", "expect_changes"]

_HOMES = dict.fromkeys(__all__, "assertions")

__getattr__, __dir__ = lazily(__name__, globals(), _HOMES)
