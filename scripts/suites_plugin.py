"""Track or watch the data of another package's tests: `suites.py`.

SUITES_MODE says what is done before the tests are collected: nothing; ``tracked-graphs``, the dicts of networkx are
TrackedDict; ``watch=NAME,...``, every instance of the classes that are named is watched, a name being MODULE:CLASS or
MODULE.* for all classes of a package; ``leaks=`` is what the plugin of the library does. SUITES_REPORT names a
file to write: the outcome of each test.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

MODE = os.environ.get("SUITES_MODE", "")
REPORT = os.environ.get("SUITES_REPORT")
WORSE = ("passed", "skipped", "xfailed", "xpassed", "failed")

_outcomes: dict[str, str] = {}
_watches: list[Any] = []  # a watch that nobody holds might end


def _modules(package: str) -> Iterator[Any]:
    """Return the modules of a package that can be imported."""
    top = importlib.import_module(package)
    yield top
    for found in pkgutil.walk_packages(top.__path__, f"{package}.", onerror=lambda _: None):
        try:
            yield importlib.import_module(found.name)
        except ImportError:
            continue  # needs something that is not installed


def _classes(name: str) -> list[type]:
    """Return the class that is named, or all of a package."""
    module, _, cls = name.partition(":")
    if cls:
        return [getattr(importlib.import_module(module), cls)]
    package = module.removesuffix(".*")
    found = {
        value
        for each in _modules(package)
        for value in vars(each).values()
        if isinstance(value, type) and value.__module__.partition(".")[0] == package
    }
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__))


def pytest_configure() -> None:
    """Do what SUITES_MODE says, in each process of the run."""
    if MODE == "tracked-graphs":
        import networkx

        from pydatatracker import TrackedDict

        for factory in ("node", "node_attr", "adjlist_outer", "adjlist_inner", "edge_attr", "graph_attr"):
            setattr(networkx.Graph, f"{factory}_dict_factory", TrackedDict)
    elif MODE.startswith("watch="):
        import pydatatracker

        for name in MODE.removeprefix("watch=").split(","):
            for cls in _classes(name):
                _watches.append(pydatatracker.watch(cls))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst outcome of a test's phases."""
    outcome = str(report.outcome)
    if hasattr(report, "wasxfail"):
        outcome = "xpassed" if report.passed else "xfailed"
    known = _outcomes.get(report.nodeid, "passed")
    _outcomes[report.nodeid] = max(known, outcome, key=WORSE.index)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what cannot be collected."""
    if report.failed:
        _outcomes[report.nodeid] = "failed"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes, in the process that collects them."""
    if REPORT is not None and not hasattr(session.config, "workerinput"):
        pathlib.Path(REPORT).write_text(json.dumps(_outcomes), "utf-8")
