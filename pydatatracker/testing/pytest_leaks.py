"""Find tests that leave state behind, by ``pytest --tracked-watch``.

The globals that are named are watched for the whole run. What differs after a test, and after the fixtures of the test
were undone, is a leak: the next test may fail because of it, or pass. A fixture of a module may change a global for all
tests of the module; what is left when it ends is a leak of the module. What is set and set back is none.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

import pytest

from pydatatracker import _core, process
from pydatatracker._core import MISSING
from pydatatracker.change.rewind import HistoryLostError
from pydatatracker.change.stack import as_text
from pydatatracker.history.net_changes import NetChange, net_changes
from pydatatracker.targets import Targets, parsed
from pydatatracker.testing.watching import printable, say
from pydatatracker.values.compare import PLAIN
from pydatatracker.values.encode import encode

__all__ = ["Leaks", "begin"]

_TITLE: Final = "tracked leaks"
_RECORDS: Final = 100_000  # of a module that are kept: a test that makes more changes cannot be judged
_FRAMES: Final = 60  # of a stack: pytest's own are between those of the test and the change
_SHOWN: Final = 20  # paths of a test
_IN_BETWEEN: Final = "changed in between"
_LEAKS: Any = pytest.StashKey()
_BEYOND_MODULE: Final = frozenset(("package", "session"))  # scopes
_BEYOND_TEST: Final = _BEYOND_MODULE | {"module", "class"}


def begin(config: pytest.Config, names: Sequence[str], fails: bool) -> None:
    """Watch what ``--tracked-watch`` names, from now to the end of the run."""
    problems: list[str] = []
    try:
        targets = Targets(
            parsed(names), problems.append, tracking_max_changes=_RECORDS, tracking_capture_stack=_FRAMES, keep=True
        )
        process.use(targets)
        targets.begin()
    except (ValueError, RuntimeError) as error:
        raise pytest.UsageError(f"--tracked-watch: {error}") from None
    leaks = config.stash[_LEAKS] = Leaks(config, targets, problems, fails)
    config.pluginmanager.register(leaks, "pydatatracker-leaks")
    config.pluginmanager.register(sys.modules[__name__], "pydatatracker-leaks-fixtures")


@pytest.fixture(autouse=True, scope="module")
def _tracked_leaks_of_module(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compare before and after the fixtures of a module."""
    leaks = request.config.stash[_LEAKS]
    before = leaks.marks()
    yield
    leaks.judge(f"{request.node.nodeid} (its fixtures)", before, _BEYOND_MODULE)


@pytest.fixture(autouse=True)
def _tracked_leaks(request: pytest.FixtureRequest, _tracked_leaks_of_module: None) -> Iterator[None]:
    """Compare before and after a test and its own fixtures.

    It is set up before them, and undone after them.
    """
    leaks = request.config.stash[_LEAKS]
    before = leaks.marks()
    yield
    leaks.judge(request.node.nodeid, before, _BEYOND_TEST)


def _by_path(module: Any, since: int) -> tuple[list[NetChange], bool]:
    """Return what differs by the first and the last change of each path.

    What differs as a whole is listed without what is below it. True: this is all there is to know. Else `net_changes`
    is more exact: a container was replaced and put back, say. It cannot know the items of a list or deque that was
    compared. O(changes), where `net_changes` takes the time of the whole module.
    """
    found: dict[str, NetChange] = {}
    for change in _core.changes_of(module, since):
        known = found.get(change.pointer)
        before = change.before if known is None else known.before
        slot = change.before is not MISSING or change.after is not MISSING
        after = change.after if slot else _IN_BETWEEN
        found[change.pointer] = NetChange(change.path, change.pointer, change.action, before, after, change)
    different: list[NetChange] = []
    is_exact = True
    below: dict[str, Any] = {}  # by segment: the same; None at a path that differs
    for each in sorted(found.values(), key=lambda each: len(each.path)):
        at: Any = below
        *above, last = each.pointer.split("/")
        for segment in above:
            at = at.setdefault(segment, {})
            if at is None:
                break
        if at is not None and _differ(each.before, each.after):
            at[last] = None
            different.append(each)
            is_exact = is_exact and each.after is not _IN_BETWEEN
            is_exact = is_exact and (each.before is MISSING or type(each.before) in PLAIN)  # others may have changed
            is_exact = is_exact and not any("/".join(above[:n]) in found for n in range(1, len(above) + 1))
    return different, is_exact


def _differ(before: Any, after: Any) -> bool:
    if before is MISSING or after is MISSING:
        return before is not after
    return bool(encode(before, limit=None) != encode(after, limit=None))


def _once(found: list[NetChange]) -> list[NetChange]:
    """Return each difference at its shortest path only. O(found)."""
    shortest: dict[Any, NetChange] = {}
    for each in sorted(found, key=lambda each: len(each.path)):
        shortest.setdefault((each.change.seq, each.path[-1:]), each)
    kept = set(map(id, shortest.values()))
    return [each for each in found if id(each) in kept]


class Leaks:
    """The part of the plugin for a run with ``--tracked-watch``."""

    def __init__(self, config: pytest.Config, targets: Targets, problems: list[str], fails: bool) -> None:
        self._config = config
        self._targets = targets
        self._problems = problems
        self._fails = fails
        self._reported: set[tuple[str, str]] = set()  # module and pointer of what a report has, in this module of tests
        self._found: list[str] = []  # of the test that ends
        self._shown: list[str] = []  # of the run
        self._setups: list[tuple[str, int, int]] = []  # scope of a fixture, and the changes that it made
        self._of_workers: list[set[str]] = []  # problems

    def marks(self) -> list[tuple[Any, int]]:
        """Return the modules that are watched, each with its last change."""
        found = []
        for module in self._targets.modules():
            module.last_change()  # what is compared is looked at
            found.append((module, _core.newest_seq()))
        return found

    def judge(self, who: str, before: list[tuple[Any, int]], scopes: frozenset[str]) -> None:
        """Report what differs, but for what fixtures of these scopes set up."""
        lines: list[str] = []
        for module, seq in before:
            lines += self._leaks_of(module, seq, scopes)
        if scopes is _BEYOND_MODULE:
            self._reported.clear()
        if not lines:
            return
        text = "\n".join([who, *lines])
        self._found.append(text)
        if self._fails:
            pytest.fail(f"it leaves state behind:\n{text}", pytrace=False)

    def _leaks_of(self, module: Any, since: int, scopes: frozenset[str]) -> Iterator[str]:
        name = printable(module.tracking_name or "")
        module.last_change()
        differences, is_exact = _by_path(module, since)
        if not any(self._counts(module, each, scopes) for each in differences):
            return
        if not is_exact:
            try:
                differences = net_changes(module, since)
            except (HistoryLostError, RecursionError):
                pass  # items of lists that are compared are not kept, or the data is deeper than the stack
        found = _once([each for each in differences if self._counts(module, each, scopes)])
        for n, each in enumerate(found):
            self._reported.add((name, each.pointer))
            if n == _SHOWN:
                yield f"  {name}: and {len(found) - n} more paths"
            if n < _SHOWN:
                yield f"  {name}{printable(each.pointer)}: {say(each.before)} -> {say(each.after)}"
                culprit = each.change.culprit
                where = "found by comparing: no line is known" if culprit is None else as_text(culprit)
                code = "" if culprit is None or not culprit.line else f": {printable(culprit.line.strip())}"
                yield f"    {where}{code}"

    def _counts(self, module: Any, each: NetChange, scopes: frozenset[str]) -> bool:
        seq = each.change.seq
        if not self._targets.is_data(module.tracking_uuid, each):
            return False
        if scopes is _BEYOND_MODULE and (printable(module.tracking_name or ""), each.pointer) in self._reported:
            return False  # a test did it
        return not any(scope in scopes and first < seq <= last for scope, first, last in self._setups)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, None]:
        """Note what fixtures change that outlive the test."""
        first = _core.newest_seq()
        yield
        last = _core.newest_seq()
        if last > first and fixturedef.scope != "function":
            self._setups.append((fixturedef.scope, first, last))

    # ---- the report

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Give the report of a test what it left behind; xdist sends it."""
        outcome = yield
        if call.when == "teardown" and self._found and outcome.excinfo is None:
            outcome.get_result().tracked_leaks = self._found
            self._found = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect what tests left behind, those of other processes too."""
        self._shown += getattr(report, "tracked_leaks", ())

    def pytest_sessionfinish(self) -> None:
        """Find out what never appeared; a worker of xdist tells the others."""
        self._targets.end()
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["tracked_problems"] = self._problems

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect what did not appear in a worker."""
        self._of_workers.append(set(getattr(node, "workeroutput", {}).get("tracked_problems", ())))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what was left behind, and what never appeared."""
        problems = sorted(set.intersection(*self._of_workers)) if self._of_workers else self._problems
        if self._shown or problems:
            terminalreporter.section(_TITLE)
            for text in (*self._shown, *problems):
                terminalreporter.line(text)

    def pytest_unconfigure(self) -> None:
        """End all watches."""
        self._targets.close()
