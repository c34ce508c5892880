"""The pytest plugin: a failed test shows which tracked data changed, and the stack of each change.

Loading it imports the package (some 40 ms) and nothing else; the rest is imported when there is something to show.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --tracked-changes."""
    group = parser.getgroup("pydatatracker")
    group.addoption(
        "--tracked-changes",
        type=int,
        default=10,
        metavar="N",
        help="show the first N changes of tracked data that made a test fail (default: 10)",
    )


@pytest.fixture
def unmodified() -> Iterator[Callable[..., None]]:
    """Watch tracked containers to the end of the test: ``unmodified(config)``; it fails if they were changed."""
    from contextlib import ExitStack

    from pydatatracker.testing import assert_unmodified

    with ExitStack() as watching:

        def watch(*containers: Any) -> None:
            watching.enter_context(assert_unmodified(*containers))

        yield watch


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Add the section "tracked changes" to the report of a failure that carries changes."""
    outcome = yield
    if call.excinfo is None:
        return
    report = outcome.get_result()
    limit = item.config.getoption("--tracked-changes")
    lines: list[str] = []
    for error in _errors(call.excinfo.value):
        found = list(zip(error.changes, getattr(error, "stacks", None) or [None] * len(error.changes), strict=False))
        for change, stack in found[:limit]:
            lines.append(_told(change, stack))
        if len(found) > limit:
            lines.append(f"and {len(found) - limit} more; --tracked-changes={len(found)} shows them")
    if lines:
        report.sections.append(("tracked changes", "\n".join(lines)))


def _told(change: Any, stack: Any) -> str:
    from pydatatracker.testing import guilty

    return guilty(change, stack if stack is not None else change.stack)


def _errors(error: BaseException | None) -> list[Any]:
    """All exceptions behind one that carry changes: causes, contexts and members of groups."""
    from pydatatracker.change import ChangeLogEntry

    found, seen = [], set()
    todo = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        changes = getattr(each, "changes", None)
        if isinstance(changes, list) and changes and isinstance(changes[0], ChangeLogEntry):
            found.append(each)
        todo += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]
    return found
