"""README and docs: blocks run, doctests pass, public names are documented.

A page is run from top to bottom in one empty folder and one namespace:

- ``python``: is run. With ``title="shop.py"`` it is written to that file instead.
- ``text`` right after a Python block: the output of that block.
- ``console``: each ``$ command`` is run. If the block shows output, it must equal theirs, except for times and ids;
  ``...`` stands for any lines.
- ``sh``: each line is run and must succeed. Lines that install something, or call a recipe, are only checked.
- any other kind with a title (``json``, ``toml``): is written to a file.
"""

import contextlib
import doctest
import importlib
import io
import linecache
import os
import pathlib
import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest
from command import environment
from peers import CREDENTIALS, brokers, bucket  # noqa: F401  # fixtures
from story import TIME

import pydatatracker
from pydatatracker.containers.mixin import TrackingMixin

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))] if page.exists()]
BLOCK = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
PEERS = re.compile(r"^<!-- needs: ([\w. ]+) -->$", re.MULTILINE)
ID = re.compile(r"\b[0-9a-f]{32}\b")
PUBLIC = ("observers", "exporters", "io", "testing")  # besides the top level
KINDS = {"python", "text", "console", "sh", "json", "toml", "pycon", "xml", "yaml"}


class Player:
    """Runs the blocks of one page."""

    def __init__(self, page: pathlib.Path, folder: pathlib.Path) -> None:
        self.page = page
        self.folder = folder
        self.names: dict[str, object] = {"__name__": "page"}
        self.text = page.read_text("utf-8")

    def play(self) -> None:
        """Run all blocks in order."""
        printed: tuple[int, str] | None = None
        for number, block in enumerate(BLOCK.finditer(self.text)):
            indent, kind, title, code = block.groups()
            code = "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True))
            assert kind in KINDS, f"{kind}: blocks of this kind are neither run nor checked"
            if title is not None:
                (self.folder / title).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / title).write_text(code, "utf-8")
            elif kind == "python":
                printed = (block.end(), self.run_python(f"{self.page.name} block {number}", code))
            elif kind == "text" and printed is not None and self.text[printed[0] : block.start()].strip() == "":
                assert code == printed[1]
            elif kind == "console" and os.name != "nt":  # the commands are for a POSIX shell
                self.run_console(code)
            elif kind == "sh" and os.name != "nt":
                for line in code.splitlines():
                    self.run_line(line.partition("  #")[0].strip())

    def run_python(self, name: str, code: str) -> str:
        """Run one block and return what it prints."""
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name, "exec"), self.names)
        return printed.getvalue()

    def run_console(self, code: str) -> None:
        """Run the commands of a block, and compare output that it shows."""
        lines = code.splitlines()
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        compares = len(commands) < len(lines)
        printed = []
        for command in commands:
            status, shown = self.shell(command)
            assert compares or status == 0, f"{command}: exit status {status}\n{shown}"
            printed.append(f"$ {command}\n{shown}")
        if compares:
            got, want = self.plain("".join(printed)), self.plain(code)
            assert doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS), f"{want}\n-- but printed:\n{got}"

    def run_line(self, line: str) -> None:
        """Run one line of a shell block, or check it if it installs something."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        if not line:
            return
        if line.startswith("pip install "):
            name, _, extras = line.removeprefix("pip install ").strip("\"'").partition("[")
            assert name == project["name"], line
            assert set(filter(None, extras.rstrip("]").split(","))) <= {*project["optional-dependencies"]}, line
        elif found := re.match(r"(?:sh scripts/)?just ([\w-]+)", line):
            assert re.search(rf"^{found[1]}\b[^\n]*:", (ROOT / "justfile").read_text("utf-8"), re.MULTILINE), line
        else:
            status, shown = self.shell(line)
            assert status == 0, f"{line}: exit status {status}\n{shown}"

    def shell(self, command: str) -> tuple[int, str]:
        """Run a command in the page's folder; return exit status and output."""
        path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=environment(PATH=path, PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def plain(self, output: str) -> str:
        """Remove what differs between runs.

        That is times, ids and trailing blanks. The folder of the page is shown as /home/ann.
        """
        for folder in {str(self.folder), str(self.folder.resolve())}:
            output = output.replace(folder + os.sep, "/home/ann/")
        return re.sub(r" +$", "", ID.sub("<id>", TIME.sub("<time>", output)), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(
    page: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Every block of a page runs, and prints what the page shows."""
    player = Player(page, tmp_path)
    needs = PEERS.search(player.text)
    for peer in needs[1].split() if needs else []:
        if peer == "s3":
            monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("bucket").endpoint)
            monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
            for name, value in CREDENTIALS.items():
                monkeypatch.setenv(f"AWS_{name.upper()}", value)
        elif peer == "kafka":
            monkeypatch.setenv("KAFKA_BROKERS", request.getfixturevalue("brokers"))
        else:
            pytest.importorskip(peer, reason=f"{peer}, which the page uses, is not installed")
    monkeypatch.chdir(tmp_path)
    player.play()


def modules() -> list[str]:
    """Return the names of all modules of the package."""
    found = [info.name for info in pkgutil.walk_packages(pydatatracker.__path__, "pydatatracker.")]
    return [name for name in found if not name.endswith("__main__")]


# Compiled packages, which do not exist for every interpreter.
NEEDS = {"pydatatracker.query": "duckdb", "pydatatracker.query.s3": "obstore"}
NEEDS |= {"pydatatracker.integrations.pydantic": "pydantic", "pydatatracker.integrations.yaml": "yaml"}
NEEDS |= {f"pydatatracker.integrations.{name}": name for name in ("celery", "flask", "structlog")}


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_run(name: str) -> None:
    """Every example in a docstring prints what it shows."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason="an extra is not installed")
    if name.startswith("pydatatracker.integrations.") and "._" not in name:
        pytest.importorskip(name.split(".")[2], reason="a library is not installed")
    if name == "pydatatracker.watching" and sys.version_info < (3, 12):
        pytest.skip("watch() needs CPython 3.12")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_every_public_name_is_in_the_reference() -> None:
    """Every public name is in the reference and has a docstring.

    That is every exported name and every public method of containers.
    """
    reference = (DOCS / "reference.md").read_text("utf-8")
    methods = [name for cls in TrackingMixin.__mro__ for name in vars(cls) if not name.startswith("_")]
    assert [name for name in [*pydatatracker.__all__, *methods] if name not in reference] == []
    assert [name for name in methods if not getattr(TrackingMixin, name).__doc__] == []
    exported = [getattr(pydatatracker, name) for name in pydatatracker.__all__ if name != "__version__"]
    assert [thing for thing in exported if not thing.__doc__] == []


def test_every_public_name_is_on_a_page_of_the_api() -> None:
    """Every name that a public package exports is on a page of the API."""
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    shown = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", pages, re.MULTILINE)}
    public = [pydatatracker, *(importlib.import_module(f"pydatatracker.{name}") for name in PUBLIC)]
    assert set() == {name for package in public for name in package.__all__ if not name.startswith("__")} - shown
