"""Build and test on every interpreter of ``interpreters.py``.

Each has a virtual environment and a build directory of its own under ``build/all``, so that nothing is built
twice and ``.venv`` is left alone. Every interpreter is tried, also after a failure; the exit status is 1
if one failed. Arguments go to pytest.
"""

import subprocess
import sys
import time
from pathlib import Path

from interpreters import interpreters

ROOT = Path(__file__).resolve().parent.parent


def test(tag: str, interpreter: str, arguments: list[str]) -> bool:
    """Make the environment, install editable, run pytest.

    Return whether all of it succeeded.
    """
    home = ROOT / "build" / "all" / tag
    python = home / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q"]
    commands = [
        [*pip, "-U", "pip"],
        [*pip, "--group", "build", "--group", "test"],
        [*pip, "--no-build-isolation", "--no-deps", f"-Cbuild-dir={home / 'build'}", "-e", "."],
        [python, "-m", "pytest", "-n", "auto", "--dist", "loadgroup", *arguments],
    ]
    if not python.exists():
        commands.insert(0, [interpreter, "-m", "venv", home / "venv"])
    return all(subprocess.run(command, cwd=ROOT).returncode == 0 for command in commands)


def main() -> int:
    """Run all, then print one line for each interpreter."""
    rows = []
    for tag, interpreter in interpreters().items():
        print(f"== {tag}: {interpreter}", flush=True)
        start = time.monotonic()
        passed = test(tag, interpreter, sys.argv[1:])
        rows.append((tag, "passed" if passed else "FAILED", time.monotonic() - start))
    for tag, verdict, seconds in rows:
        print(f"{tag:8} {verdict} in {seconds:.0f} s")
    return 0 if all(verdict == "passed" for _, verdict, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
