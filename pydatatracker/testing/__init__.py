"""For tests: fail when tracked data changes, or changes otherwise than expected, and show the offending change.

- ``assertions`` has the two context managers; ``watching`` collects changes with their stacks, ``expecting`` compares
  them with what was expected.
- ``pytest_plugin`` has the hooks that pytest loads, ``pytest_section`` what they add to a report.
"""

from __future__ import annotations

from pydatatracker._lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydatatracker.testing.assertions import ModifiedError, assert_unmodified, expect_changes

__all__ = ["ModifiedError", "assert_unmodified", "expect_changes"]

_HOMES = dict.fromkeys(__all__, "assertions")

__getattr__, __dir__ = lazily(__name__, globals(), _HOMES)
