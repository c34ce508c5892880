"""The command line as a whole: help, usage, extras, demo, example."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import change, environment, log, run, run_in_terminal

import pydatatracker.cli
from pydatatracker.cli import catalog
from pydatatracker.io import read_changes, schema

__all__ = ["log"]  # the fixtures

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(catalog.COMMANDS)

# A finder that comes first and raises for click, as if click were not installed.
BLOCKER = """
import sys
class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "click":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker)
"""


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_an_example(tmp_path: Path, command: str, option: str) -> None:
    """The help of every command ends with an example."""
    done = run(*command.split(), option, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(f"Usage: pydatatracker {command or '[OPTIONS]'}")
    _, example = done.stdout.split("\nExample:\n")
    assert f"pydatatracker {command}".rstrip() in example


def test_the_help_names_every_command(tmp_path: Path) -> None:
    """The help lists exactly the commands that the package defines."""
    text = run("--help", cwd=tmp_path).stdout
    assert COMMANDS == sorted(re.findall(r"^  ([a-z][a-z-]+)  ", text, re.MULTILINE))
    folder = Path(pydatatracker.cli.__file__).parent
    defined = [(name, path.stem) for path in (folder / "commands").glob("*.py")
               for name in re.findall(r'@cli\.command\(\s*"([a-z-]+)"', path.read_text())]  # fmt: skip
    assert sorted((name, module) for name, (module, _) in catalog.COMMANDS.items()) == sorted(defined)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_fits_the_terminal(tmp_path: Path, columns: int) -> None:
    """Help fits terminals of 60 columns and more.

    Only the example may be wider.
    """
    for command in ("", *COMMANDS):
        status, shown = run_in_terminal(*command.split(), "--help", cwd=tmp_path, columns=columns)
        assert status == 0
        assert columns >= max(map(len, shown.split("Example:")[0].splitlines()))


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("nonsense",),
        ("show", "--seq", "x"),
        ("show", "--since", "noon"),
        ("run",),
        ("run", "-m"),
        ("run", "--nonsense"),
        ("--nonsense",),
    ],
)
def test_wrong_usage(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Wrong usage exits with status 2, and explains the error on stderr.

    No file is written.
    """
    done = run(*args, cwd=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Usage: pydatatracker")
    assert "Error: " in done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("args", [(), ("show", "--help"), ("demo",), ("show", "x.jsonl"), ("run", "x.py")])
def test_a_missing_extra_is_one_sentence(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Without click the command exits with 2 and says what to install."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = run(*args, cwd=tmp_path, PYTHONPATH=path)
    assert (2, "") == (done.returncode, done.stdout)
    assert 'The command line of pydatatracker needs click: pip install "pydatatracker[cli]"\n' == done.stderr


def test_the_library_needs_no_extra(tmp_path: Path) -> None:
    """The package, entry point and process log do not import click."""
    program = (
        "import sys, pydatatracker.cli, pydatatracker.io;"
        "pydatatracker.TrackedDict()[1] = 2; print('click' in sys.modules)"
    )
    done = run("-c", program, cwd=tmp_path, python=(), PYDATATRACKER_LOG="x.jsonl")
    assert (0, "False\n", "") == (done.returncode, done.stdout, done.stderr)


def test_help_imports_little(tmp_path: Path) -> None:
    """``--help`` imports its own modules, not the core or click."""
    program = (
        "import sys; before = set(sys.modules); import pydatatracker.cli; pydatatracker.cli.main(['--help']);"
        "print(*sorted(set(sys.modules) - before))"
    )
    found = set(run("-c", program, cwd=tmp_path, python=()).stdout.splitlines()[-1].split())
    own = {name for name in found if name.startswith("pydatatracker")}
    assert {
        "pydatatracker",
        "pydatatracker._forks",
        "pydatatracker._lazy",
        "pydatatracker.cli",
        "pydatatracker.cli.catalog",
    } == own
    assert set() == found & {"click", "msgspec", "typing", "re", "inspect", "dataclasses", "logging", "shutil"}


def test_version(tmp_path: Path) -> None:
    """``--version`` prints the version of the package."""
    assert f"pydatatracker {pydatatracker.__version__}\n" == run("--version", cwd=tmp_path).stdout


def test_schema(tmp_path: Path) -> None:
    """``schema`` prints the schema of the package, as JSON."""
    done = run("schema", cwd=tmp_path)
    assert (0, schema()) == (done.returncode, json.loads(done.stdout))


def test_the_three_ways_in_are_one(tmp_path: Path) -> None:
    """The three ways to start the command line print the same help.

    They are ``python -m pydatatracker``, ``scripts/cli.py`` and the console script.
    """
    expected = run("--help", cwd=tmp_path).stdout
    assert expected == run(ROOT / "scripts" / "cli.py", "--help", cwd=tmp_path, python=()).stdout
    script = Path(sys.executable).with_name("pydatatracker")
    if script.exists():  # a package that was only copied here has none
        done = subprocess.run([script, "--help"], cwd=tmp_path, env=environment(), capture_output=True, check=True)
        assert expected == done.stdout.decode()


def test_the_shell_completes(tmp_path: Path) -> None:
    """Completion suggests the commands that begin with what was typed."""
    done = run(cwd=tmp_path, _PYDATATRACKER_COMPLETE="bash_complete", COMP_WORDS="pydatatracker s", COMP_CWORD="1")
    assert ["plain,schema", "plain,seal-key", "plain,show", "plain,sql", "plain,stats"] == sorted(
        done.stdout.splitlines()
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_of_that_shell(tmp_path: Path, shell: str) -> None:
    """Each shell accepts its completion script.

    The syntax is checked where the shell is installed.
    """
    script = tmp_path / "script"
    script.write_text(run("completion", shell, cwd=tmp_path).stdout)
    assert "_PYDATATRACKER_COMPLETE" in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True)


def test_bash_completes(tmp_path: Path) -> None:
    """Bash completes commands, their options and choices."""
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    starter = tmp_path / "pydatatracker"
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pydatatracker "$@"\n')
    starter.chmod(0o755)
    program = """
    eval "$(pydatatracker completion bash)"
    for words in "s" "show --fol" "convert --to p"; do
        COMP_WORDS=(pydatatracker $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
        _pydatatracker_completion pydatatracker; echo "${COMPREPLY[@]}"
    done
    """
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, env=environment(PATH=path), capture_output=True, check=True
    )
    assert ["schema seal-key show sql stats", "--follow", "parquet"] == done.stdout.decode().splitlines()


# ---- the demonstration and the example


def test_the_demonstration_traces_an_error_to_its_line(tmp_path: Path) -> None:
    """The demo shows three actors, an error, and the line that caused it.

    The command that it suggests next works.
    """
    done = run("demo", cwd=tmp_path, TMPDIR=str(tmp_path))
    assert (0, "") == (done.returncode, done.stderr)
    assert "The checkout failed: TypeError: " in done.stdout
    (cause,) = re.findall(r'File "(.*shop\.py)", line (\d+), in start_sale\n +(.*)\n', done.stdout)
    assert cause[2] == Path(cause[0]).read_text().splitlines()[int(cause[1]) - 1].strip()
    assert cause[2].startswith('products["cup"]["price"] = f"')
    assert {"importer", "pricing", "checkout"} <= set(done.stdout.split())
    command = shlex.split(done.stdout.splitlines()[-1].split("Next: ")[1])
    assert "pydatatracker" == command[0]
    then = run(*command[1:], cwd=tmp_path)
    assert (0, "") == (then.returncode, then.stderr)
    assert "pricing update /products/cup/price 9.0 -> '8.10'" in then.stdout
    assert f":{cause[1]} in start_sale: {cause[2].partition('  #')[0]}" in then.stdout


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_demonstration_in_a_terminal(tmp_path: Path, columns: int) -> None:
    """In a terminal the demo is in colour and as wide as the terminal."""
    status, shown = run_in_terminal("demo", cwd=tmp_path, columns=columns, TMPDIR=str(tmp_path))
    assert status == 0
    assert "\x1b[1m$ pydatatracker run --log" in shown
    assert "\x1b[33mupdate\x1b[0m" in shown
    assert "\x1b" not in run_in_terminal("demo", cwd=tmp_path, TMPDIR=str(tmp_path), NO_COLOR="1")[1]


def test_the_example_on_a_document_of_its_own(tmp_path: Path) -> None:
    """The example without a file makes one, changes it and logs it."""
    done = run("run", ROOT / "examples" / "inventory.py", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    lines = list(read_changes(tmp_path / "changes.jsonl", strict=True))
    assert ("init", sys.version) == (lines[0].action, lines[0].after["python"])
    assert {"", "cleaner", "sorter", "auditor"} >= {line.actor for line in lines}
    assert f"{len(lines) - 1} changes in " in done.stdout


def test_the_example_on_any_json_file(tmp_path: Path) -> None:
    """The example accepts any JSON document, and refuses other files."""
    (tmp_path / "my.json").write_text('[{"b": null, "words": ["y", "x"], "deep": {"e": {}}}, 3]')
    done = run("run", ROOT / "examples" / "inventory.py", "my.json", cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    lines = [(line.actor, line.action, line.pointer) for line in read_changes(tmp_path / "changes.jsonl")]
    expected = [
        ("", "init", ""),
        ("cleaner", "remove", "/0/b"),
        ("cleaner", "remove", "/0/deep/e"),
        ("sorter", "update", "/0/words"),
        ("auditor", "add", "/0/review"),
    ]
    assert expected == lines[:5]
    (tmp_path / "my.json").write_text("{")
    done = run(ROOT / "examples" / "inventory.py", "my.json", cwd=tmp_path, python=())
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("my.json cannot be read as JSON: ")


def test_show_ignores_the_log_of_its_environment(tmp_path: Path) -> None:
    """``show`` ignores PYDATATRACKER_LOG in its environment."""
    (tmp_path / "x.jsonl").write_bytes(change(pointer="/a", path=["a"], after=1))
    done = run("show", "x.jsonl", cwd=tmp_path, PYDATATRACKER_LOG="y.jsonl")
    assert (0, ["x.jsonl"]) == (done.returncode, [path.name for path in tmp_path.iterdir()])


@pytest.mark.parametrize(
    "args",
    [
        ("show", "LOG", "--since", "-99999999999d"),
        ("at", "LOG", "-99999999999w"),
        ("show", "LOG", "--grep", "a{99999999999}"),
        ("at", "LOG", "5", "--root", "#" + "9" * 5000),
        ("at", "LOG", "9" * 5000),
        ("show", "-f", "log.gz"),
    ],
    ids=lambda args: " ".join(args)[:40],
)
def test_impossible_arguments_are_one_sentence(log: pathlib.Path, args: tuple[str, ...]) -> None:
    """Impossible arguments exit with status 2, without a traceback."""
    (log.parent / "log.gz").write_bytes(b"\x1f\x8b\x08\x00")
    done = run(*(log if each == "LOG" else each for each in args), cwd=log.parent)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("package", ["jsonpatch", "zstandard"])
def test_a_missing_package_is_one_sentence(log: pathlib.Path, package: str) -> None:
    """A missing package exits with status 2 and says what to install."""
    if package == "zstandard":
        if sys.version_info >= (3, 14):
            pytest.skip("zstd is in the standard library from 3.14 on")
        (log.parent / "log.zst").write_bytes(pytest.importorskip("zstandard").compress(log.read_bytes()))
    folder = log.parent / "blocking"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Blocker:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocker)\n"
    )
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    args = ["diff", str(log), "0..2"] if package == "jsonpatch" else ["verify", "log.zst"]
    done = subprocess.run(
        [sys.executable, "-m", "pydatatracker", *args],
        cwd=log.parent, env=environment(PYTHONPATH=path), capture_output=True, check=False,
    )  # fmt: skip
    assert (2, b"") == (done.returncode, done.stdout)
    assert f'pydatatracker: this needs {package}: pip install "pydatatracker[cli]"' == done.stderr.decode().strip()
