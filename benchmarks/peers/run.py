"""Compare this library with others: `just benchmark-peers`.

Makes build/peers/venv on the newest CPython at hand from 3.12 on, with the libraries of requirements.txt and a wheel of
this one, and build/peers/old with version 0.1.0. Each library is measured (work.py) and tried (features.py) in a
process of its own, one after the other. The tables go into docs/peers.md, the plot into docs/pictures/peers.svg, and
the raw results into build/peers. A library that cannot be installed or fails is left out of the tables, with a note.

Arguments are names of libraries: only these are run, and the results of the others are those of the run before.
``--quick`` measures a few turns, ``--no-setup`` uses the environment as it is, ``--tables`` only writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "build" / "peers"
PYTHON = WORK / "venv" / "bin" / "python"
OLD = WORK / "old"
RESULTS = WORK / "results.json"
PAGE = ROOT / "docs" / "peers.md"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "pictures" / "peers.svg"
SECONDS = 120  # for one library

sys.path.insert(0, str(ROOT / "scripts"))
import tables  # noqa: E402
from interpreters import interpreters  # noqa: E402
from subjects import NAMES  # noqa: E402


def newest() -> str:
    """Return the newest CPython from 3.12 on that has a GIL."""
    found = [path for tag, path in interpreters().items() if not tag.endswith("t") and int(tag[3:]) >= 12]
    if not found:
        sys.exit("peers: no CPython 3.12 or newer with venv and C headers was found; name one in PYTHONS")
    return found[-1]


def pip(*arguments: Any) -> bool:
    """Run pip of the environment; return whether it succeeded."""
    command = [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def set_up() -> None:
    """Make the environment, or bring it up to date."""
    if not PYTHON.exists():
        subprocess.run([newest(), "-m", "venv", WORK / "venv"], check=True)
    pip("-U", "pip")
    if not pip("-r", HERE / "requirements.txt"):
        for line in (HERE / "requirements.txt").read_text("utf-8").splitlines():
            if line and not line.startswith("#") and not pip(line):
                print(f"peers: cannot install {line}", file=sys.stderr)
    if not OLD.exists() and not pip("--no-deps", "--target", OLD, "pydatatracker==0.1.0"):
        print("peers: cannot install pydatatracker 0.1.0", file=sys.stderr)
    # no editable install: its import hook would come before build/peers/old
    ours = ["--no-build-isolation", "--no-deps", "--force-reinstall", f"-Cbuild-dir={WORK / 'build'}", "."]
    if not pip("--group", "build", "msgspec>=0.19") or not pip(*ours):
        sys.exit("peers: this library cannot be installed")


def run(script: str, name: str, *arguments: str) -> dict[str, Any]:
    """Run a script for one library; return what it printed, or a failure."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYDATATRACKER"))}
    if name == "old":
        kept["PYTHONPATH"] = str(OLD)
    command = [PYTHON, "-W", "ignore", HERE / script, name, *arguments]
    try:
        done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"took longer than {SECONDS} s"}
    if done.returncode:
        return {"failed": ([line for line in done.stderr.splitlines() if line.strip()] or ["no message"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Run all, and write the page and the plot."""
    parser = argparse.ArgumentParser(description="Compare this library with others.")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="measure a few turns")
    parser.add_argument("--no-setup", action="store_true", help="use build/peers as it is")
    parser.add_argument("--tables", action="store_true", help="write the page from the results of the run before")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - {*NAMES}):
        parser.error(f"no such library: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if not options.tables:
        if not options.no_setup:
            set_up()
        results["machine"] = run("machine.py", "")
        for name in options.names or NAMES:
            begun = time.monotonic()
            each = run("work.py", name, *(["--quick"] if options.quick else []))
            if "failed" not in each:
                tried = run("features.py", name)
                each = tried if "failed" in tried else {**each, **tried}
            results[name] = each
            verdict = f"left out: {each['failed']}" if "failed" in each else "done"
            print(f"{name:12} {verdict}, {time.monotonic() - begun:.0f} s", flush=True)
        WORK.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1), "utf-8")
    PAGE.write_text(tables.fill(PAGE.read_text("utf-8"), results), "utf-8")
    README.write_text(tables.fill(README.read_text("utf-8"), results, tables.README_MARKERS), "utf-8")
    PICTURE.write_text(tables.draw(results), "utf-8")
    print(", ".join(str(path.relative_to(ROOT)) for path in (PAGE, README, PICTURE)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
