"""The pytest plugin: a failed test shows which tracked data changed.

Each change has its stack. pytest imports this module in every run, so it imports nothing but pytest: the rest of the
package is imported when a test uses the fixture, or when an error may carry changes. Nothing in it can break a run:
what goes wrong is shown in the report.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

__all__: list[str] = []

_TITLE = "tracked changes"
_watching: Any = pytest.StashKey()  # the blocks that the fixture opened for a test
_recording: Any = pytest.StashKey()  # what the fixture `watched` recorded for a test
_failed: Any = pytest.StashKey()  # the error that it made of them


def _number(given: str) -> int:
    if given.isascii() and given.isdecimal():
        return int(given)
    raise argparse.ArgumentTypeError(f"a whole number of 0 or more, not {given!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("pydatatracker")
    group.addoption(
        "--tracked-watch",
        action="append",
        default=[],
        metavar="NAME",
        help="watch data for the whole run: settings:CONFIG, a module, 'shop.*'; repeatable",
    )
    group.addoption(
        "--tracked-leaks",
        choices=("report", "fail"),
        default="report",
        help="report tests that leave what is watched in another state, or fail them (default: report)",
    )
    group.addoption(
        "--tracked-changes",
        type=_number,
        default=10,
        metavar="N",
        help="show the first N changes of tracked data that made a test fail (default: 10)",
    )
    group.addoption(
        "--tracked-report",
        default="",
        metavar="DIR",
        help="write a page of all changes that made a test fail into DIR, and print its path",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch what --tracked-watch names."""
    names = config.getoption("tracked_watch")
    if names:
        from pydatatracker.testing.pytest_leaks import begin

        begin(config, names, config.getoption("tracked_leaks") == "fail")


@pytest.fixture
def unmodified(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Fail the test if containers change before its end.

    ``unmodified(config)`` starts to watch one.
    """
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


@pytest.fixture
def watched(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Any]]:
    """Record the changes of an object until the end of the test.

    ``seen = watched(config)`` begins it; ``seen.changes``, ``seen.last``, ``seen.paths`` and ``seen.pointers`` say what
    has changed since. A test that fails shows the changes.
    """
    __tracebackhide__ = True
    from pydatatracker.testing.recording import Recording

    recordings: list[Any] = []
    request.node.stash[_recording] = recordings

    def watch(x: Any) -> Any:
        __tracebackhide__ = True
        recordings.append(Recording(x))
        return recordings[-1]

    yield watch
    _end_recordings(request.node)  # they are ended already, unless the test never ran


def _end_recordings(item: pytest.Item) -> None:
    for each in item.stash.get(_recording, ()):
        each.end()


def _end(blocks: list[Any], error: BaseException | None) -> BaseException | None:
    """End all blocks; return error, or the first failure.

    Further failures become notes of it.
    """
    __tracebackhide__ = True
    while blocks:
        try:
            blocks.pop(0).__exit__(None, error, None)
        except BaseException as failure:
            error = failure.with_traceback(None)  # of the library: it helps nobody
    return error


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """End what `unmodified` and `watched` watch together with the test.

    What fixtures clean up afterwards is not the test's doing.
    """
    __tracebackhide__ = True
    outcome = yield
    _end_recordings(item)
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
    """Add the section "tracked changes" to the report of a failure.

    Only if the failure carries changes, or the test recorded some.
    """
    outcome = yield
    if call.excinfo is None or outcome.excinfo is not None:
        return
    error, report = call.excinfo.value, outcome.get_result()
    if report.failed and error is item.stash.get(_failed, None):
        report.longrepr = "\n".join([str(error), *getattr(error, "__notes__", ())])  # its traceback is pytest's own
    if "pydatatracker._core" not in sys.modules:  # then no error can carry its changes
        return
    try:
        from pydatatracker.testing.pytest_section import section

        shown = section(error, item.config.getoption("tracked_changes"), item.stash.get(_recording, ()))
    except Exception as failure:  # of a user's object; the report is worth more than the section
        shown = f"they cannot be shown: {type(failure).__name__}"
    if report.failed:  # neither skipped nor expected to fail
        shown = "\n\n".join(filter(None, (shown, _page(error, item))))
    if shown:
        report.sections.append((_TITLE, shown))


def _page(error: BaseException, item: pytest.Item) -> str:
    """Write the page that --tracked-report asks for; return what to print."""
    folder = item.config.getoption("tracked_report")
    if not folder:
        return ""
    try:
        from pydatatracker.testing.pytest_section import write_report

        at = item.config.invocation_params.dir / folder  # the test may have changed the current folder
        name = write_report(error, str(at), item.nodeid, item.stash.get(_recording, ()))
    except Exception as failure:  # no space, or a user's object; the report is worth more than the page
        return f"the page cannot be written: {type(failure).__name__}: {failure}"
    return name and f"as a page: {os.path.join(folder, name)}"
