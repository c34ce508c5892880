"""The pytest plugin, in separate runs of pytest.

The runs treat warnings as errors.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import pydatatracker
from pydatatracker.testing.pytest_plugin import pytest_addoption

pytest_plugins = ["pytester"]

# as in pyproject.toml: an editable install imports its finder before pytest begins
EDITABLE = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
# the modules that pytest imports in a run that does not use the package
LOADED = [
    "pydatatracker",
    "pydatatracker._forks",
    "pydatatracker._lazy",
    "pydatatracker.testing",
    "pydatatracker.testing.pytest_plugin",
]
TITLE = re.compile(r"-+ tracked changes -+")

HEAD = """
import pytest
from pydatatracker import MISSING, TrackedDict, track
from pydatatracker.testing import ModifiedError, assert_unmodified, expect_changes

CONFIG = track({"ports": [80]})

def spoil(config):
    config["ports"].append(443)

"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run pytest on a file of tests; return its result."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "COV_")) or name == "PYDATATRACKER_LOG":
            monkeypatch.delenv(name)

    def run(tests: str, *args: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + textwrap.dedent(tests))
        options = ["-W", "error", "-W", EDITABLE, "--strict-markers", "-p", "no:cacheprovider"]
        options += ["-p", "no:hypothesispytest", "-p", "no:benchmark"]  # they need longer to load than the tests to run
        return pytester.runpytest_subprocess(*options, *args)

    return run


def sections(result: pytest.RunResult) -> list[list[str]]:
    """Return the lines of each section "tracked changes"."""
    found: list[list[str]] = []
    inside = False
    for line in result.outlines:
        if TITLE.fullmatch(line):
            found.append([])
            inside = True
        elif re.match(r"[-_=]{3,}.*[-_=]{3,}$", line):
            inside = False
        elif inside:
            found[-1].append(line)
    return found


FAILING = {
    "directly": """
        with assert_unmodified(CONFIG):
            spoil(CONFIG)
    """,
    "as the cause": """
        try:
            with assert_unmodified(CONFIG):
                spoil(CONFIG)
        except AssertionError as error:
            raise RuntimeError("wrapped") from error
    """,
    "as the context": """
        try:
            with assert_unmodified(CONFIG):
                spoil(CONFIG)
        finally:
            raise RuntimeError("another")
    """,
    "in a group in a group": """
        try:
            with assert_unmodified(CONFIG):
                spoil(CONFIG)
        except AssertionError as error:
            raise ExceptionGroup("outer", [ValueError(), ExceptionGroup("inner", [error])])
    """,
    "as a refused change": """
        with CONFIG.tracking_break("/**", do="raise"):
            spoil(CONFIG)
    """,
    "as an unexpected change": """
        with expect_changes(CONFIG, {"/new": (MISSING, 1)}):
            CONFIG["new"] = 1
            spoil(CONFIG)
    """,
    "as an exception of somebody else": """
        class Own(Exception):
            pass
        with CONFIG.tracking_break("/**", do=lambda change: None):
            CONFIG["ports"].append(443)
        error = Own()
        error.changes = (CONFIG.last_change(),)
        raise error
    """,
}


def test_a_failure_shows_the_offending_change(run: Any) -> None:
    """A failure shows its changes once, in full, with their stacks if known.

    It does so however the error is raised.
    """
    tests = [
        f"def test_{n}():\n" + textwrap.indent(textwrap.dedent(body), "    ") for n, body in enumerate(FAILING.values())
    ]
    result = run("\n".join(tests))
    result.assert_outcomes(failed=len(FAILING))
    for name, shown in zip(FAILING, sections(result), strict=True):
        assert 1 == sum(line.startswith("change: ") for line in shown), name
        assert 1 == sum(line.startswith("path:") and "/ports/" in line and "in TrackedList" in line for line in shown)
        assert 1 == sum(line.startswith("after:") and line.endswith("443") for line in shown), name
        if "refused" not in name and "somebody" not in name:
            assert any(line.strip() == 'config["ports"].append(443)' for line in shown), name
            assert any(line.endswith("in spoil") for line in shown), name
            assert not any("_pytest" in line or "pluggy" in line for line in shown), name


def test_failures_without_changes_show_nothing(run: Any) -> None:
    """A test without changes has no section.

    It may pass, be skipped or fail in another way. An attribute `changes` may hold something else, or raise, and
    exceptions may refer to each other.
    """
    result = run(
        """
        def test_passes():
            with assert_unmodified(CONFIG):
                pass

        def test_skips():
            pytest.skip("no")

        @pytest.mark.parametrize("changes", [3, "text", [1], [], None, (x for x in ())])
        def test_fails(changes):
            error = ValueError()
            error.changes = changes
            raise error

        class Bad(Exception):
            @property
            def changes(self):
                raise RuntimeError("bad")

        def test_bad():
            error = Bad()
            error.__cause__ = other = ValueError()
            other.__cause__ = error
            raise error
        """
    )
    result.assert_outcomes(passed=1, skipped=1, failed=7)
    assert [] == sections(result)


def test_the_number_that_is_shown(run: Any) -> None:
    """Ten changes are shown, or as many as --tracked-changes says.

    The others are counted; 0 shows none.
    """
    tests = """
        def test_many():
            d = TrackedDict()
            with assert_unmodified(d):
                for n in range(30):
                    d[n] = n
        """
    (lines,) = sections(run(tests))
    assert 10 == sum(line.startswith("change: ") for line in lines)
    assert "and 20 more; --tracked-changes=30 shows them" == lines[-1]
    assert [] == sections(run(tests, "--tracked-changes=0"))


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "²", ""])
def test_a_bad_number_is_a_usage_error(number: str) -> None:
    """A wrong number is a usage error that says what is accepted."""
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    assert 7 == parser.parse(["--tracked-changes=7"]).tracked_changes
    with pytest.raises(pytest.UsageError, match="a whole number of 0 or more"):
        parser.parse([f"--tracked-changes={number}"])


def test_a_section_is_bounded(run: Any) -> None:
    """A section is bounded, for long values and long bulk changes."""
    result = run(
        """
        def test_long():
            d = TrackedDict()
            with assert_unmodified(d):
                d["long"] = "x" * 10**6
                d.update({n: "y" * 10**5 for n in range(1000)})
                d["not shown"] = 1
        """,
        "--tracked-changes",
        "2",
    )
    (lines,) = sections(result)
    assert "and 1 more; --tracked-changes=3 shows them" == lines[-1]
    assert max(map(len, lines)) <= 400
    assert len(lines) < 200


def test_a_page_of_each_failure(run: Any, pytester: pytest.Pytester) -> None:
    """--tracked-report writes a page for each failure that carries changes.

    It has their stacks. Its path is printed.
    """
    tests = """
        import pytest

        @pytest.mark.parametrize("name", ["a/../b", "a/b", "<b>"])
        def test_it(name):
            with assert_unmodified(CONFIG):
                spoil(CONFIG)

        def test_other():
            assert 0

        def test_good():
            CONFIG["n"] = 1
        """
    found = [line for lines in sections(run(tests, "--tracked-report", "pages/of it")) for line in lines]
    paths = sorted(line.removeprefix("as a page: ") for line in found if line.startswith("as a page: "))
    assert [str(path) for path in sorted(pathlib.Path("pages/of it").iterdir())] == paths
    assert 3 == len(paths)
    for path in paths:
        page = pathlib.Path(path).read_text("utf-8")
        data = json.loads(page.partition('data-live="no">')[2].partition("</script>")[0])
        assert [("/ports", "spoil")] == [
            (data["tables"]["places"][place][0][:6], data["tables"]["stacks"][stack][culprit]["name"])
            for place, stack, culprit in zip(
                *(data["columns"][each] for each in ("place", "stack", "culprit")), strict=True
            )
        ]
        assert [] == data["tables"]["roots"]
    assert 6 == len(
        {
            *paths,
            *(
                line
                for lines in sections(run(tests, "--tracked-report", "pages/of it"))
                for line in lines
                if line.startswith("as a page: ")
            ),
        }
    )


@pytest.mark.parametrize("option", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_pages_are_for_failures_and_in_one_folder(run: Any, pytester: pytest.Pytester, option: tuple[str, ...]) -> None:
    """A page is in the folder that was named, wherever the test went.

    However long its name is. A test that is skipped or expected to fail has none.
    """
    tests = """
        import pytest

        def test_elsewhere(tmp_path, monkeypatch, watched):
            monkeypatch.chdir(tmp_path)
            seen = watched(CONFIG)
            spoil(CONFIG)
            assert not seen.changes

        def test_%s(watched):
            watched(CONFIG)
            spoil(CONFIG)
            assert 0

        def test_skipped(watched):
            watched(CONFIG)
            spoil(CONFIG)
            pytest.skip("not here")

        @pytest.mark.xfail
        def test_expected(watched):
            watched(CONFIG)
            spoil(CONFIG)
            assert 0
        """ % ("\u00fc\u732b" * 100)
    found = [line for lines in sections(run(tests, "--tracked-report", "pages", *option)) for line in lines]
    paths = sorted(line.removeprefix("as a page: ") for line in found if line.startswith("as a page: "))
    assert 2 == len(paths)
    assert [str(path) for path in sorted(pathlib.Path("pages").iterdir())] == paths


def test_a_page_that_cannot_be_written_is_said(run: Any, pytester: pytest.Pytester) -> None:
    """A page that cannot be written leaves the section, with the reason."""
    pytester.makefile(".txt", taken="x")
    tests = """
        def test_it():
            with assert_unmodified(CONFIG):
                spoil(CONFIG)
        """
    (lines,) = sections(run(tests, "--tracked-report", "taken.txt"))
    assert any(line.startswith("the page cannot be written: ") for line in lines)
    assert any("/ports/1" in line for line in lines)
    assert [] == [
        line for lines in sections(run(tests)) for line in lines if line.startswith(("as a page", "the page"))
    ]


def test_the_fixture_fails_the_test_that_modifies(run: Any) -> None:
    """The fixture fails the test that modifies, not its teardown.

    The test's own failure is reported first. Changes made before the call and by the teardown do not count.
    """
    result = run(
        """
        @pytest.fixture
        def config():
            config = track({"ports": [80]})
            yield config
            config.clear()

        def test_reads(config, unmodified):
            unmodified(config)
            assert config["ports"] == [80]

        def test_writes(config, unmodified):
            config["before"] = 1
            unmodified(config)
            spoil(config)

        def test_fails_itself(config, unmodified):
            unmodified(config)
            spoil(config)
            assert config["ports"] == "its own failure"

        def test_two(config, unmodified):
            other = TrackedDict(tracking_name="other")
            unmodified(config)
            unmodified(other)
            other["x"] = 1

        def test_plain(unmodified):
            unmodified({})
        """
    )
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(["*other was modified once:*"])
    result.stdout.fnmatch_lines(["*its own failure*"])
    result.stdout.fnmatch_lines(["*TypeError*wrap the data with*"])
    assert 2 == len(sections(result))
    text = result.stdout.str()
    assert "/before" not in "\n".join(map("\n".join, sections(result)))
    assert "/testing.py:" not in text  # no frame of the library is shown


def test_the_fixture_used_by_another_fixture(run: Any) -> None:
    """A fixture can use the fixture, which watches from then on.

    If the test never runs, its teardown fails.
    """
    result = run(
        """
        @pytest.fixture
        def config(unmodified):
            unmodified(CONFIG)
            return CONFIG

        @pytest.fixture
        def broken(config):
            spoil(config)
            raise RuntimeError("setup")

        def test_writes(config):
            spoil(config)

        def test_never_runs(broken):
            pass

        import unittest
        class Old(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def watched(self, unmodified):
                unmodified(CONFIG)
            def test_unittest(self):
                spoil(CONFIG)
        """
    )
    result.assert_outcomes(failed=2, errors=2)
    assert 3 == len(sections(result))


def test_an_expected_failure_is_one(run: Any) -> None:
    """`xfail` and pytest.raises work as usual."""
    result = run(
        """
        @pytest.mark.xfail(raises=ModifiedError, strict=True)
        def test_xfail(unmodified):
            unmodified(CONFIG)
            spoil(CONFIG)

        def test_raises():
            with pytest.raises(ModifiedError, match="once"), assert_unmodified(CONFIG):
                spoil(CONFIG)
        """
    )
    result.assert_outcomes(xfailed=1, passed=1)
    assert [] == sections(result)


def test_without_the_plugin(run: Any) -> None:
    """With -p no:pydatatracker there is no section and no option.

    The error still has the change.
    """
    tests = """
        def test_it():
            with assert_unmodified(CONFIG):
                spoil(CONFIG)
        """
    result = run(tests, "-p", "no:pydatatracker")
    result.assert_outcomes(failed=1)
    assert [] == sections(result)
    result.stdout.fnmatch_lines(["*/ports/1: add by append()*"])
    assert pytest.ExitCode.USAGE_ERROR == run(tests, "-p", "no:pydatatracker", "--tracked-changes=1").ret


def test_it_can_be_loaded_by_name(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin can be loaded by name where plugins are not autoloaded."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    tests = "def test_it(unmodified):\n    unmodified(CONFIG)\n    spoil(CONFIG)"
    run(tests).assert_outcomes(errors=1)
    result = run(tests, "-p", "pydatatracker")
    result.assert_outcomes(failed=1)
    assert 1 == len(sections(result))


HOSTILE = """
    class Bad:
        def __repr__(self):
            raise ValueError("no")

    def test_it(unmodified):
        d = TrackedDict()
        unmodified(d)
        d["\\ud800\\x1b[31m"] = Bad()
        d["\\x00"] = "\\udfff"
    """


def test_a_report_can_be_sent(run: Any, pytester: pytest.Pytester) -> None:
    """A report can be sent as JSON and written as JUnit, for any keys."""
    pytester.makeconftest(
        """
        import json

        def pytest_runtest_logreport(report):
            data = report._to_json()
            with open("reports.jsonl", "ab") as file:
                file.write(json.dumps(data["sections"], ensure_ascii=False).encode("utf-8") + b"\\n")
        """
    )
    result = run(HOSTILE, "--junitxml=report.xml")
    result.assert_outcomes(failed=1)
    sent = [json.loads(line) for line in (pytester.path / "reports.jsonl").read_bytes().splitlines()]
    assert ["tracked changes"] == [title for each in sent for title, _ in each]
    assert b"tracked changes" in (pytester.path / "report.xml").read_bytes() or (pytester.path / "report.xml").exists()


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_with_xdist(run: Any) -> None:
    """Workers of xdist send the section."""
    result = run(HOSTILE + "\n    def test_fine(): pass\n", "-n", "2")
    result.assert_outcomes(failed=1, passed=1)
    assert 1 == len(sections(result))


def test_loading_it_imports_nothing_of_the_package() -> None:
    """Loading the plugin does not import the rest of the package."""
    code = "import sys, pydatatracker.testing.pytest_plugin; print(sorted(m for m in sys.modules if m.startswith('pydatatracker')))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert str(LOADED) == done.stdout.strip()


def test_a_run_that_does_not_use_it_imports_nothing_of_the_package(run: Any, pytester: pytest.Pytester) -> None:
    """A run that does not use the plugin does not import the package.

    Even if tests fail.
    """
    pytester.makeconftest(
        """
        import sys

        def pytest_sessionfinish():
            sys.stderr.write(f"imported: {sorted(m for m in sys.modules if m.startswith('pydatatracker'))}")
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", pytester.makepyfile("def test_it(): assert 0"))
    result.assert_outcomes(failed=1)
    assert f"imported: {LOADED}" in result.stderr.str()


def test_an_uncompiled_tree_says_what_to_do(pytester: pytest.Pytester) -> None:
    """In an uncompiled source tree pytest fails and says what to do."""
    package = pytester.mkpydir("pydatatracker")
    source = pathlib.Path(pydatatracker.__file__)
    for name in ("__init__.py", "_lazy.py"):
        (package / name).write_text(source.with_name(name).read_text())
    file = pytester.makepyfile("def test_fine(): pass")
    # -S, because the finder of an editable install would find the compiled core
    path = os.pathsep.join([str(pytester.path), *(each for each in sys.path if each.endswith("site-packages"))])
    done = subprocess.run(
        [sys.executable, "-S", "-m", "pytest", str(file)],
        capture_output=True,
        text=True,
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert 0 != done.returncode
    assert "ImportError: pydatatracker is not compiled here: " in done.stderr
