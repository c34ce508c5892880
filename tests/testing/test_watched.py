"""The fixture `watched`: what changed in a test, tracked or not."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDeque,
    TrackedList,
    TrackedSet,
    track,
    tracking_transaction,
)

pytest_plugins = ["pytester"]

EDITABLE = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
Watched = Callable[[Any], Any]
watches = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run pytest on a file of tests; return its result."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_", "COV_")) or name == "PYDATATRACKER_LOG":
            monkeypatch.delenv(name)

    def run(tests: str, *args: str) -> pytest.RunResult:
        pytester.makepyfile("import pytest\nfrom pydatatracker import track\n" + textwrap.dedent(tests))
        options = [
            "-W",
            "error",
            "-W",
            EDITABLE,
            "-p",
            "no:cacheprovider",
            "-p",
            "no:hypothesispytest",
            "-p",
            "no:benchmark",
        ]
        return pytester.runpytest_subprocess(*options, *args)

    return run


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x: Any = 1


def test_tracked_containers(watched: Watched) -> None:
    """What changed since `watched` was called can be asked at any time."""
    config = track({"port": 80, "users": [{"name": "eve"}]}, tracking_max_changes=0)
    config["port"] = 1
    seen = watched(config)
    assert ([], None, [], [], 0) == (seen.changes, seen.last, seen.paths, seen.pointers, len(seen))
    assert seen
    config["port"] = 2
    config["users"][0]["name"] = "ann"
    config["port"] = 3
    config.lock()
    config.unlock()
    assert ["/port", "/users/0/name"] == seen.pointers
    assert [("port",), ("users", 0, "name")] == seen.paths
    assert [(1, 2), ("eve", "ann"), (2, 3)] == [(change.before, change.after) for change in seen.changes]
    assert 3 == seen.last.after
    assert "<recording of TrackedDict: <change" in repr(seen)


@pytest.mark.parametrize(
    ("x", "change"),
    [
        (TrackedList([1]), lambda x: x.append(2)),
        (TrackedSet({1}), lambda x: x.add(2)),
        (TrackedCounter(), lambda x: x.update("aa")),
        (TrackedDeque([1]), lambda x: x.rotate(1) or x.append(1)),
        (Point(), lambda x: setattr(x, "x", 2)),
    ],
)
def test_other_containers(watched: Watched, x: Any, change: Callable[[Any], Any]) -> None:
    """Lists, sets, twins and objects are recorded, each call as one change."""
    seen = watched(x)
    change(x)
    assert 1 == len(seen.changes)


def test_many_changes_and_transactions(watched: Watched) -> None:
    """No change is left out, also of those that were rolled back."""
    config = track({})
    seen = watched(config)
    for n in range(6000):
        config["n"] = n
    assert (6000, 5999) == (len(seen), seen.last.after)
    with pytest.raises(ZeroDivisionError), tracking_transaction(config):
        config["x"] = 1 / 0
    with pytest.raises(ZeroDivisionError), tracking_transaction(config):
        config["x"] = 1
        raise ZeroDivisionError
    assert ["add", "remove"] == [change.action for change in seen.changes[6000:]]


@watches
def test_plain_objects(watched: Watched) -> None:
    """A plain dict is recorded where it is, with its lists."""
    config = {"port": 80, "hosts": ["a"]}
    seen = watched(config)
    assert type(config) is dict
    config["port"] = 1  # type: ignore[index]
    config["hosts"].append("b")  # type: ignore[attr-defined]
    assert ["/port", "/hosts/1"] == seen.pointers
    again = watched(config)
    config["port"] = 2
    assert (3, 1) == (len(seen), len(again))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="watch() works here")
def test_plain_objects_on_an_old_python(watched: Watched) -> None:
    """On CPython 3.11 the error says that tracked data works there."""
    with pytest.raises(
        TypeError, match=r"watched\(\) cannot record a dict: watch\(\) needs CPython 3.12 .* track\(\) works"
    ):
        watched({})


@pytest.mark.parametrize("x", [[1], 1, "x", None, (1,)])
def test_what_cannot_be_recorded(watched: Watched, x: Any) -> None:
    """What nothing can watch is a TypeError that names it."""
    with pytest.raises(TypeError, match=rf"watched\(\) cannot record a {type(x).__name__}: "):
        watched(x)


def test_a_failure_shows_the_changes(run: Any) -> None:
    """A test that fails shows what changed; one that passes does not.

    The changes are in order, each once, with their calls. Those of fixtures, before and after the test, are not there.
    """
    result = run(
        """
        @pytest.fixture
        def config():
            made = track({"port": 80, "other": 1})
            made["port"] = 81
            yield made
            made["port"] = "TEARDOWN"

        def test_fails(config, watched):
            watched(config), watched(config)
            config["port"] = 8080
            config["other"] = 2
            assert config["port"] == 80

        def test_passes(config, watched):
            watched(config)
            config["port"] = "PASSED"

        def test_both(config, watched, unmodified):
            watched(config)
            unmodified(config)
            config["port"] = 5
        """
    )
    result.assert_outcomes(passed=1, failed=2)
    text = str(result.stdout)
    assert 2 == text.count("- tracked changes -")
    assert 3 == text.count("change:  ")
    assert text.index("after:       8080") < text.index("after:       2")
    assert 'config["port"] = 8080' in text.partition("tracked changes")[2]
    assert "TEARDOWN" not in text.partition("tracked changes")[2]
    assert "PASSED" not in text


def test_the_number_that_is_shown(run: Any) -> None:
    """`--tracked-changes` bounds what a recording shows, too."""
    tests = """
        def test_many(watched):
            d = track({})
            watched(d)
            for n in range(30):
                d[n] = n
            assert False
        """
    assert "and 20 more; --tracked-changes=30 shows them" in str(run(tests).stdout)
    assert "- tracked changes -" not in str(run(tests, "--tracked-changes=0").stdout)


def test_the_page_of_a_failure_has_what_was_recorded(run: Any, pytester: pytest.Pytester) -> None:
    """--tracked-report writes a page of the changes that `watched` recorded."""
    run(
        """
        def test_fails(watched):
            config = track({"port": 80})
            watched(config)
            config["port"] = 8080
            assert 0
        """,
        "--tracked-report",
        "pages",
    )
    (page,) = (pytester.path / "pages").iterdir()
    assert "8080" in page.read_text("utf-8")
