"""``pytest --tracked-watch`` finds the tests that leave state behind."""

from __future__ import annotations

import itertools
import os
import sys
import textwrap
from typing import Any

import pytest

from pydatatracker import _core

pytest_plugins = ["pytester"]

CAN_WATCH = pytest.mark.skipif(_core.can_watch() != 0, reason="watch() needs CPython 3.12 or newer with the GIL")
EDITABLE = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
SETTINGS = """
import os

CONFIG = {"debug": False, "hosts": ["a"]}
LIMIT = 3
CACHE = {}

def compute(n):
    return CACHE.setdefault(n, n * n)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run pytest on a file of tests with a module of settings."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "COV_", "PYDATATRACKER_")):
            monkeypatch.delenv(name)
    pytester.makepyfile(settings=SETTINGS)

    def run(tests: str, *args: str) -> pytest.RunResult:
        pytester.makepyfile("import collections, pytest, settings\n" + textwrap.dedent(tests))
        options = [
            "-W",
            "error",
            "-W",
            EDITABLE,
            "--strict-markers",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:hypothesispytest",
        ]
        return pytester.runpytest_subprocess("-p", "no:benchmark", *options, *args)

    return run


def leaks(result: pytest.RunResult) -> list[str]:
    """Return the lines of the section."""
    lines = iter(result.outlines)
    for line in lines:
        if line.startswith("=") and " tracked leaks " in line:
            section = itertools.takewhile(lambda line: not line.startswith("="), lines)
            return [line for line in section if line]
    return []


@CAN_WATCH
def test_a_test_that_leaves_state_behind_is_named_with_its_line(run: Any) -> None:
    """With the path, before and after, whoever stored it."""
    result = run(
        """
        def test_messenger():
            collections.ChainMap(settings.CONFIG)["debug"] = True

        def test_through_its_own_code():
            settings.compute(3)

        def test_binds_anew():
            settings.LIMIT = 4
            settings.LIMIT = 5

        def test_list():
            settings.CONFIG["hosts"].append("b")

        def test_fine():
            settings.LIMIT = 6
            settings.LIMIT = 5
            assert settings.CONFIG["debug"]
        """,
        "--tracked-watch",
        "settings",
    )
    result.assert_outcomes(passed=5)
    found = leaks(result)
    file = found[0].split("::")[0]
    wanted = [
        (
            "test_messenger",
            "settings/CONFIG/debug: False -> True",
            'collections.ChainMap(settings.CONFIG)["debug"] = True',
        ),
        ("test_through_its_own_code", "settings/CACHE/3: nothing -> 9", "return CACHE.setdefault(n, n * n)"),
        ("test_binds_anew", "settings/LIMIT: 3 -> 5", "settings.LIMIT = 5"),
        ("test_list", "settings/CONFIG/hosts/1: nothing -> 'b'", "found by comparing: no line is known"),
    ]
    for (test, path, line), shown in zip(wanted, zip(*[iter(found)] * 3, strict=True), strict=True):
        assert (f"{file}::{test}", f"  {path}", True) == (shown[0], shown[1], shown[2].endswith(line))


@CAN_WATCH
def test_data_of_any_shape_is_reported(run: Any) -> None:
    """What holds itself, a graph, and what is deeper than the stack."""
    result = run(
        """
        def test_loop():
            loop = settings.CACHE["loop"] = {}
            loop["me"] = [loop]

        def test_graph():
            nodes = [{"n": n} for n in range(30)]
            for node in nodes:
                node["all"] = {str(n): other for n, other in enumerate(nodes)}
            settings.CACHE["graph"] = nodes[0]

        def test_in_the_graph():
            for node in settings.CACHE["graph"]["all"].values():
                node["n"] = -1

        def test_deep():
            settings.CACHE["deep"] = deep = {}
            for _ in range(2000):
                deep["d"] = deep = {}

        def test_after_it():
            settings.LIMIT = 4
        """,
        "--tracked-watch",
        "settings",
    )
    result.assert_outcomes(passed=5)
    found = leaks(result)
    starts = (
        "  settings/CACHE/loop: nothing -> {",
        "  settings/CACHE/graph: nothing -> {",
        "  settings/CACHE/graph/n: ",
    )
    for start in (*starts, "  settings/CACHE/deep: nothing -> {", "  settings/LIMIT: 3 -> 4"):
        assert [line for line in found if line.startswith(start)], (start, found)
    assert 5 == sum("::" in line for line in found)
    nodes = [line for line in found if line.endswith(" -> -1")]
    assert 20 == len(nodes) == len(set(nodes))
    assert all("settings/CACHE/graph/n: " in line or line.count("/all/") == 1 for line in nodes)  # the shortest paths


@CAN_WATCH
def test_what_is_restored_is_no_leak(run: Any) -> None:
    """By monkeypatch, by fixtures of any scope, by unittest, or by hand."""
    result = run(
        """
        import unittest

        @pytest.fixture
        def debug():
            settings.CONFIG["debug"] = True
            yield
            settings.CONFIG["debug"] = False

        @pytest.fixture(autouse=True)
        def always():
            settings.CONFIG["x"] = 1
            yield
            del settings.CONFIG["x"]

        @pytest.fixture(scope="class")
        def of_class():
            settings.CONFIG["class"] = 1
            yield
            del settings.CONFIG["class"]

        @pytest.fixture(scope="module")
        def limit():
            settings.LIMIT = 100
            yield
            settings.LIMIT = 3

        @pytest.fixture(scope="session")
        def session():
            settings.SESSION = 1
            yield
            del settings.SESSION

        def test_one(debug, limit): pass
        def test_two(limit): assert settings.LIMIT == 100
        def test_patch(monkeypatch):
            monkeypatch.setattr(settings, "LIMIT", 9)
            monkeypatch.setitem(settings.CONFIG, "new", 1)
            monkeypatch.setattr(settings, "compute", None)
            monkeypatch.setattr(settings, "NEW", 1, raising=False)
        class TestClass:
            def test_a(self, of_class): pass
            def test_b(self, of_class, session): pass
        class TestCase(unittest.TestCase):
            def setUp(self): settings.LIMIT = 1
            def tearDown(self): settings.LIMIT = 100
            def test_it(self): pass
        def test_by_hand():
            old = settings.CONFIG
            settings.CONFIG = {}
            settings.CONFIG = old
        def test_what_was_in_its_place():
            old, hosts = settings.CONFIG, settings.CONFIG["hosts"]
            settings.CONFIG = {"debug": True, "hosts": [], "new": {}}
            settings.CONFIG["debug"] = None
            settings.CONFIG["new"]["a"] = settings.CONFIG["b"] = 1
            settings.CONFIG["hosts"].append("b")
            settings.CONFIG = old
            hosts.append("c")
            old["d"] = hosts.pop()
            del old["d"]
        def test_new_code():
            settings.helper = lambda: 1
        """,
        "--tracked-watch",
        "settings",
    )
    result.assert_outcomes(passed=9)
    assert [] == leaks(result)


@CAN_WATCH
def test_fixtures_of_a_module_that_leave_state_behind(run: Any) -> None:
    """They are named once, at the end of the module."""
    result = run(
        """
        @pytest.fixture(scope="module")
        def limit():
            settings.LIMIT = 100

        def test_one(limit): pass
        def test_two(limit): pass
        """,
        "--tracked-watch",
        "settings:LIMIT",
    )
    result.assert_outcomes(passed=2)
    first, path, line = leaks(result)
    assert first.endswith(".py (its fixtures)")
    assert ("  settings/LIMIT: 3 -> 100", True) == (path, line.endswith("in limit: settings.LIMIT = 100"))


@CAN_WATCH
@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_leaks_can_fail_the_run(run: Any, more: tuple[str, ...]) -> None:
    """``--tracked-leaks=fail`` makes each an error, without a traceback."""
    if more:
        pytest.importorskip("xdist")
    result = run(
        """
        def test_leaves():
            settings.CONFIG["debug"] = True

        def test_fine(): pass
        """,
        *("--tracked-watch", "settings:CONFIG", "--tracked-leaks=fail", *more),
    )
    result.assert_outcomes(passed=2, errors=1)
    assert 1 == result.ret
    assert 3 == len(leaks(result))
    text = result.stdout.str()
    assert "it leaves state behind:" in text
    assert "pytest_leaks.py" not in text


@CAN_WATCH
def test_only_what_is_named_counts(run: Any) -> None:
    """Other globals, and modules that a test imports, are not looked at."""
    result = run(
        """
        def test_it(pytester=None):
            settings.LIMIT = 9
            settings.CONFIG["debug"] = 1
            import other
            other.X["a"] = 1
        """,
        *("--tracked-watch", "settings:CON*", "--tracked-watch", "other", "--tracked-watch", "setings:X"),
        *("--tracked-watch", "settings:CONFG"),
    )  # fmt: skip
    result.assert_outcomes(failed=1)  # there is no module of this name
    found = leaks(result)
    assert "  settings/CONFIG/debug: False -> 1" == found[1]
    assert [
        "--watch other: no module other was imported", "--watch setings:X: no module setings was imported",
        "--watch settings:CONFG: settings has no CONFG; did you mean settings:CONFIG?",
    ] == [line.partition("; did you mean settings?")[0] if "setings" in line else line for line in found[3:]]  # fmt: skip


@CAN_WATCH
def test_a_module_that_a_test_imports_is_judged_from_then_on(run: Any, pytester: pytest.Pytester) -> None:
    """That it was imported is no leak, what a later test does to it is one."""
    pytester.makepyfile(late="X = {}\nX['own'] = 1")
    result = run(
        """
        def test_imports():
            import late
        def test_changes():
            import late
            late.X["a"] = 1
        """,
        "--tracked-watch",
        "late",
    )
    assert ["::test_changes", "  late/X/a: nothing -> 1"] == [leaks(result)[0][-14:], leaks(result)[1]]


@CAN_WATCH
def test_the_log_of_the_process_has_what_is_named(
    run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with PYDATATRACKER_LOG writes the changes, too."""
    from pydatatracker.io import read_changes

    log = pytester.path / "log.jsonl"
    monkeypatch.setenv("PYDATATRACKER_LOG", str(log))
    run(
        "def test_it():\n    settings.CONFIG['debug'] = True\n    settings.LIMIT = 7",
        "--tracked-watch",
        "settings:CONFIG",
    )
    assert ["/CONFIG", "/CONFIG/debug"] == [line.pointer for line in read_changes(log)]


def test_a_text_that_names_no_data_is_a_usage_error(run: Any) -> None:
    """Before any test runs."""
    result = run("def test_it(): pass", "--tracked-watch", "a b")
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    assert "names no data" in result.stderr.str()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython 3.11 cannot watch")
def test_where_nothing_can_be_watched_it_says_so(run: Any) -> None:
    """No test runs without what was asked for."""
    result = run("def test_it(): pass", "--tracked-watch", "settings")
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    assert "needs CPython 3.12" in result.stderr.str()
