"""Measure tests, or run some in order, for `scripts/mutants.py`.

MUTANTS_MAP names a file to write: which lines of the mutated modules each passing test executes, and its duration.
MUTANTS_TESTS names a file with ids of tests: only these run, in that order, after those that are not known yet. The
first failure ends the run.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[1]
MAP = os.environ.get("MUTANTS_MAP")
TESTS = os.environ.get("MUTANTS_TESTS")
WATCHED = tuple(
    os.path.join(ROOT, "pydatatracker", *part.split("/")) for part in os.environ.get("MUTANTS_IN", "").split()
)

_lines: set[tuple[str, int]] = set()
_tests: dict[str, dict[str, Any]] = {}
_watched: dict[str, bool] = {}


def _trace_call(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
    name = frame.f_code.co_filename
    watched = _watched.get(name)
    if watched is None:
        watched = _watched[name] = name.startswith(WATCHED)
    return _trace_line(frame, event, argument) if watched else None


def _trace_line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
    _lines.add((frame.f_code.co_filename, frame.f_lineno))
    return _trace_line


if MAP is not None:

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
        """Collect the lines that a test executes, in threads too."""
        _lines.clear()
        threading.settrace(_trace_call)
        sys.settrace(_trace_call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            test = _tests.setdefault(item.nodeid, {})
            lines: dict[str, list[int]] = {}
            for name, line in sorted(_lines.copy()):
                lines.setdefault(os.path.relpath(name, ROOT), []).append(line)
            test["lines"] = lines

    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        """Note whether a test passed, and how long it took."""
        test = _tests.setdefault(report.nodeid, {})
        test["seconds"] = test.get("seconds", 0.0) + report.duration
        test["passed"] = test.get("passed", True) and report.passed
        test["failed"] = test.get("failed", False) or report.failed

    def pytest_sessionfinish() -> None:
        """Write the map; of a test that does not pass, nothing is expected."""
        pathlib.Path(MAP or "").write_text(json.dumps(_tests))


if TESTS is not None:

    def pytest_configure(config: pytest.Config) -> None:
        """Stop at the first failure."""
        config.option.maxfail = 1

    def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
        """Keep the tests that were asked for, in the order asked for."""
        asked = json.loads(pathlib.Path(TESTS or "").read_text())
        order = {name: number for number, name in enumerate(asked["run"], 1)}
        others = set(asked["known"]) - order.keys()
        items[:] = sorted((i for i in items if i.nodeid not in others), key=lambda item: order.get(item.nodeid, 0))
