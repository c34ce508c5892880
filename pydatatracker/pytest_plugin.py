"""The pytest plugin: a failed test shows which tracked data changed, and the stack of each change.

Loading it imports the package, as it lies in it, and nothing else; the rest is imported when a test asks for the
fixture or an error carries changes. Nothing in it can break a run: what goes wrong is told in the report.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

__all__: list[str] = []

_TITLE = "tracked changes"
_LINES = 80  # of one change
_WIDTH = 400  # characters of a line
_watching: Any = pytest.StashKey()  # the blocks that the fixture opened for a test
_failed: Any = pytest.StashKey()  # the error that it made of them


def _number(words: str) -> int:
    if words.isascii() and words.isdecimal():
        return int(words)
    raise argparse.ArgumentTypeError(f"a whole number of 0 or more, not {words!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --tracked-changes."""
    parser.getgroup("pydatatracker").addoption(
        "--tracked-changes",
        type=_number,
        default=10,
        metavar="N",
        help="show the first N changes of tracked data that made a test fail (default: 10)",
    )


@pytest.fixture
def unmodified(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Watch tracked containers to the end of the test: ``unmodified(config)``; it fails if they were changed."""
    __tracebackhide__ = True
    from pydatatracker.testing import assert_unmodified

    blocks: list[Any] = []
    request.node.stash[_watching] = blocks

    def watch(*containers: Any) -> None:
        __tracebackhide__ = True
        blocks.append(assert_unmodified(*containers).__enter__())

    yield watch
    failure = _end(blocks, None)  # none are left, unless a fixture began them and the test never ran
    if failure is not None:
        request.node.stash[_failed] = failure
        raise failure


def _end(blocks: list[Any], error: BaseException | None) -> BaseException | None:
    """End all blocks; return error, or the first failure. Further failures are notes of it."""
    __tracebackhide__ = True
    while blocks:
        try:
            blocks.pop(0).__exit__(None, error, None)
        except BaseException as failure:
            error = failure.with_traceback(None)  # of the library: it shows nobody anything
    return error


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """End what `unmodified` watches with the test itself: what fixtures clear away afterwards is not its doing."""
    __tracebackhide__ = True
    outcome = yield
    blocks = item.stash.get(_watching, None)
    if not blocks:
        return
    error = None if outcome.excinfo is None else outcome.excinfo[1]
    failure = _end(blocks, error)
    if failure is not error:
        item.stash[_failed] = failure
        outcome.force_exception(failure)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Add the section "tracked changes" to the report of a failure that carries changes."""
    outcome = yield
    if call.excinfo is None or outcome.excinfo is not None:
        return
    error, report = call.excinfo.value, outcome.get_result()
    if report.failed and error is item.stash.get(_failed, None):
        report.longrepr = "\n".join([str(error), *getattr(error, "__notes__", ())])  # its traceback is pytest's own
    try:
        words = _section(error, item.config.getoption("tracked_changes"))
    except Exception as failure:  # of a user's object; the report is worth more than the section
        words = f"they cannot be shown: {type(failure).__name__}"
    if words:
        report.sections.append((_TITLE, words))


def _section(error: BaseException, limit: int) -> str:
    found: dict[str, tuple[Any, Any]] = {}
    for each in _errors(error):
        stacks = list(getattr(each, "stacks", ()) or ())
        for n, change in enumerate(each.changes):
            found.setdefault(change.uuid, (change, stacks[n] if n < len(stacks) else None))
    if not found or not limit:
        return ""
    parts = [_told(change, stack) for change, stack in list(found.values())[:limit]]
    if len(found) > limit:
        parts.append(f"and {len(found) - limit} more; --tracked-changes={len(found)} shows them")
    # A lone surrogate, which a key may hold, can be sent to no other process and written to no file.
    return "\n\n".join(parts).encode("utf-8", "backslashreplace").decode("utf-8")


def _told(change: Any, stack: Any) -> str:
    lines = change.format_detailed().splitlines()
    if stack and not change.stack:
        lines += ["stack:", *"".join(stack.format()).splitlines()]
    if len(lines) > _LINES:  # what was done stands at the top, the guilty line at the end
        lines[20 : len(lines) - _LINES + 21] = [f"... {len(lines) - _LINES + 1} lines ..."]
    return "\n".join(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..." for line in lines)


def _errors(error: BaseException | None) -> list[Any]:
    """All exceptions behind one that carry changes: causes, contexts and members of groups, the nearest first."""
    from pydatatracker.change import ChangeLogEntry

    found: list[Any] = []
    seen: dict[int, None] = {}
    todo = [error]
    for each in todo:
        if each is None or id(each) in seen:
            continue
        seen[id(each)] = None
        try:
            changes = getattr(each, "changes", None)
        except Exception:  # a property of a user's exception
            changes = None
        if isinstance(changes, (list, tuple)) and changes and all(isinstance(one, ChangeLogEntry) for one in changes):
            found.append(each)
        todo += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]
    return found
