"""Try a release without publishing it: `just release-check`.

It checks the version and its changelog entry, builds the sdist and a wheel of the newest CPython at hand, checks both
with twine and check-wheel-contents, checks the types of a small project that uses the installed wheel, and writes a
bill of materials (CycloneDX) of the wheel with its dependencies. Every step prints one line; the first that fails ends
it. The files are in ``build/release``.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

from interpreters import interpreters

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "release"

CONSUMER = """
from typing import assert_type

from pydatatracker import ChangeLogEntry, TrackedDict, TrackedList, tracking_actor

config = TrackedDict(port=1)
assert_type(config, TrackedDict[str, int])
with tracking_actor("ann", reason="test"):
    config["port"] = 2
change = config.last_change()
assert_type(change, ChangeLogEntry | None)
names: list[str] = TrackedList(["a"])
config["port"] = "2"  # type: ignore[assignment]
"""


def version_of_source() -> str:
    """Return ``__version__`` of the package, without importing it."""
    for node in ast.parse((ROOT / "pydatatracker" / "__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    sys.exit("pydatatracker/__init__.py has no __version__")


def heading_of(version: str) -> str:
    """Return the date of the newest entry of the changelog.

    It may be "unreleased". An entry of another version ends the program.
    """
    headings = re.findall(r"^## (\S+) \(([^)]*)\)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if not headings or headings[0][0] != version:
        sys.exit(f"CHANGELOG.md: the first entry must be of {version}, as pydatatracker/__init__.py has it")
    if not re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", headings[0][1]):
        sys.exit(f"CHANGELOG.md: {version} has ({headings[0][1]}) where a date or (unreleased) must be")
    return str(headings[0][1])


def run(*command: object, cwd: object = WORK) -> str:
    """Run a command and return what it printed; exit with that if it fails."""
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=str(cwd), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nstatus {done.returncode} from: {' '.join(words)}")
    return done.stdout


def environment(interpreter: str, home: Path, *packages: object) -> Path:
    """Make a virtual environment with these packages; return its Python."""
    run(interpreter, "-m", "venv", home)
    run(home / "bin" / "python", "-m", "pip", "install", "-q", "-U", "pip")
    run(home / "bin" / "python", "-m", "pip", "install", "-q", *packages)
    return home / "bin" / "python"


def main() -> None:
    """Check all that a release needs."""
    version = version_of_source()
    print(f"version: {version}, changelog: {heading_of(version)}", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    newest = [path for tag, path in interpreters().items() if not tag.endswith("t")][-1]
    tools = environment(sys.executable, WORK / "tools", "--group", f"{ROOT / 'pyproject.toml'}:release")
    run(tools, "-m", "build", "--sdist", "--outdir", WORK, ROOT)
    (sdist,) = WORK.glob("*.tar.gz")
    run(newest, "-m", "venv", WORK / "builder")
    run(WORK / "builder" / "bin" / "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", WORK, sdist)
    (wheel,) = WORK.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        found = Parser().parsestr(archive.read(name).decode())["Version"]
    if version != found or sdist.name != f"pydatatracker-{version}.tar.gz":
        sys.exit(f"{wheel.name} and {sdist.name} must be of version {version}")
    print(f"built: {sdist.name}, {wheel.name}", flush=True)
    print(run(tools, "-m", "twine", "check", "--strict", sdist, wheel).strip(), flush=True)
    print(run(WORK / "tools" / "bin" / "check-wheel-contents", wheel).strip(), flush=True)
    installed = environment(newest, WORK / "user", wheel)
    types = environment(newest, WORK / "types", "mypy")
    with tempfile.TemporaryDirectory() as folder:  # elsewhere: mypy must find the installed package
        consumer = Path(folder, "consumer.py")
        consumer.write_text(CONSUMER)
        run(installed, "-P", consumer)
        checked = run(types, "-m", "mypy", "--strict", "--python-executable", installed, consumer, cwd=folder)
    print("a user's project, mypy --strict:", checked.strip(), flush=True)
    bill = WORK / f"pydatatracker-{version}.cdx.json"
    run(installed, "-m", "pip", "uninstall", "-qy", "pip")
    run(WORK / "tools" / "bin" / "cyclonedx-py", "environment", "--output-reproducible", "-o", bill, installed)
    parts = json.loads(bill.read_text("utf-8")).get("components", [])
    print(f"bill of materials: {bill.name}: {', '.join(sorted(part['name'] for part in parts))}")
    print("nothing was published: a release is a tag, see CONTRIBUTING.md")


if __name__ == "__main__":
    main()
