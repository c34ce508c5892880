"""The form of docstrings: a first line that is one short sentence."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
READ = ("benchmarks", "examples", "pydatatracker", "scripts", "tests")
LATER: tuple[str, ...] = ()  # files and folders that are still to be rewritten; remove one once it passes
LONGEST = 72

FILES = [
    path
    for name in READ
    for path in sorted((ROOT / name).rglob("*.py"))
    if not any(path.is_relative_to(ROOT / later) for later in LATER)
]


def faults(source: str) -> list[str]:
    """Return line and reason for each docstring with a wrong first line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        text = ast.get_docstring(node)
        if text is None:
            continue
        first, *rest = text.split("\n")
        if len(first) > LONGEST:
            found.append(f"line {node.body[0].lineno}: {len(first)} characters; write {LONGEST} at most: {first}")
        if not first.endswith("."):
            found.append(f"line {node.body[0].lineno}: no sentence with a period: {first}")
        if rest and rest[0]:
            found.append(f"line {node.body[0].lineno}: no blank line below: {first}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_first_line_is_one_short_sentence(path: pathlib.Path) -> None:
    """A docstring begins with one sentence of at most 72 characters.

    Details follow below a blank line.
    """
    assert [] == faults(path.read_text("utf-8"))


def test_each_fault_is_found() -> None:
    """A long line, a missing period and a missing blank line are found."""
    good = '"""Do it.\n\nDetails, with no period"""\nclass A:\n    """An A."""\n    b = 1\n'
    assert [] == faults(good)
    assert ["line 1: 73 characters; write 72 at most: " + "x" * 72 + "."] == faults('"""' + "x" * 72 + '."""')
    assert ["line 2: no sentence with a period: Do it"] == faults('def f():\n    """Do it"""')
    assert ["line 2: no blank line below: Do it."] == faults('async def f():\n    """Do it.\n    More.\n    """')
