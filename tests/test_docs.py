"""README and docs: every Python block runs, in order; every doctest; every public name is in the reference."""

import contextlib
import doctest
import importlib
import io
import linecache
import pathlib
import pkgutil
import re

import pytest

import pydatatracker
from pydatatracker.containers.mixin import TrackingMixin

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if page.exists()]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python blocks run one after the other in one namespace; a text block right after one is what it prints."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    text = page.read_text()
    previous: tuple[int, str] | None = None
    for number, block in enumerate(BLOCK.finditer(text)):
        kind, code = block.groups()
        if kind == "python":
            name = f"<{page.name} block {number}>"
            linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, name, "exec"), names)
            previous = (block.end(), printed.getvalue())
        elif kind == "text" and previous is not None and text[previous[0] : block.start()].strip() == "":
            assert code == previous[1]


def modules() -> list[str]:
    """Names of all modules of the package that can be imported here."""
    found = [info.name for info in pkgutil.walk_packages(pydatatracker.__path__, "pydatatracker.")]
    return [name for name in found if not name.endswith("__main__")]


NEEDS = {"pydatatracker.query": "duckdb"}  # compiled, and not there for every interpreter


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_run(name: str) -> None:
    """Every example in a docstring prints what it says."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason="an extra that is not installed")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_every_public_name_is_in_the_reference() -> None:
    """What is exported, and what every container can do, is in the reference and has a docstring."""
    reference = (ROOT / "docs" / "reference.md").read_text()
    methods = [name for cls in TrackingMixin.__mro__ for name in vars(cls) if not name.startswith("_")]
    assert [name for name in [*pydatatracker.__all__, *methods] if name not in reference] == []
    assert [name for name in methods if not getattr(TrackingMixin, name).__doc__] == []
    exported = [getattr(pydatatracker, name) for name in pydatatracker.__all__ if name != "__version__"]
    assert [thing for thing in exported if not thing.__doc__] == []
