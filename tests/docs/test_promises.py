"""Every test that the page of promises names exists."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not installed")


def promises() -> list[list[str]]:
    """Return the rows of the page: promise, test, limit."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0] != "Promise"]


def named() -> list[str]:
    """Return every test that the page names."""
    return re.findall(r"`(tests/[\w/.]+::\w+)`", PAGE.read_text("utf-8")) if PAGE.exists() else []


def test_each_promise_has_a_test() -> None:
    """Each row of the page has a promise, a test and a column for its limits."""
    rows = promises()
    assert len(rows) == len(named())
    for row in rows:
        assert 3 == len(row), row
        assert re.fullmatch(r"`tests/[\w/.]+::\w+`", row[1]), row


@pytest.mark.parametrize("test", named())
def test_a_named_test_exists(test: str) -> None:
    """The file has the test, at its top level."""
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
