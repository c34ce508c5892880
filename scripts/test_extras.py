"""Test each extra of pyproject.toml alone, as a user installs it.

Each has a fresh virtual environment under ``build/extras`` with nothing but the wheel and this extra. Each exporter
and command that the extra is for, and those that need none, are used once in a process of their own
(``tests/support/smokes.py``). Arguments are the names of extras; by default all of them, and none.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "extras"
sys.path.insert(0, str(ROOT / "tests" / "support"))
from smokes import OBSERVE, OWN, SERVER, SMOKES, arguments_of, write_files  # noqa: E402


def extras() -> list[str]:
    """Return the names of the extras; "" is an installation without any."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return ["", *tomllib.load(file)["project"]["optional-dependencies"]]


def build() -> Path:
    """Build the wheel with the warm build of `just build`, and return it."""
    shutil.rmtree(WORK / "wheel", ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, "-w", WORK / "wheel", ROOT], check=True)
    (wheel,) = (WORK / "wheel").glob("*.whl")
    return wheel


def install(wheel: Path, extra: str) -> Path:
    """Make a fresh environment with one extra; return its Python."""
    home = WORK / (extra or "none")
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin" / "python"
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    subprocess.run([python, "-m", "pip", "install", "-q", wanted], check=True)
    return python


def run(python: Path, folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder without anything of the source tree."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYDATATRACKER"))}
    command = [str(python), "-I", *map(str, args)]
    return subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def faults_of(python: Path, extra: str, folder: Path) -> tuple[int, list[str]]:
    """Use everything that the extra is for; return (uses, what failed)."""
    uses, faults = 0, []
    write_files(folder)
    for name, (needs, code) in SMOKES.items():
        if needs in ("", extra) or extra == "all":
            uses += 1
            done = run(python, folder, "-W", "error::ImportWarning", "-c", OBSERVE + SERVER + code, folder)
            if (done.stdout, done.returncode) != (OWN, 0):
                faults.append(f"{name}: {done.stdout}{done.stderr}")
    found = run(python, folder, "-c", "from pydatatracker.cli.catalog import COMMANDS; print(*COMMANDS)")
    for command in found.stdout.split():
        if command == "view":  # serves until it is ended
            continue
        uses += 1
        done = run(python, folder, "-m", "pydatatracker", command, *arguments_of(command, folder))
        said = done.stdout + done.stderr
        others = {"query": "query", "seal-key": "seal"}
        missing = "cli" if extra not in ("cli", "all") else others.get(command, "") if extra != "all" else ""
        if missing:
            is_right = done.returncode and f"pydatatracker[{missing}]" in done.stderr and "Traceback" not in said
        else:
            is_right = done.returncode in (0, 1) and "Traceback" not in said and "pip install" not in said
        if not is_right:
            faults.append(f"{command}: status {done.returncode}, {said}")
    return uses, faults


def main() -> int:
    """Test all, and print one line for each extra."""
    known = extras()
    wanted = sys.argv[1:] or known
    for extra in wanted:
        if extra not in known:
            sys.exit(f"there is no extra {extra}: {', '.join(filter(None, known))}")
    unused = set(known) - {needs for needs, _ in SMOKES.values()} - {"cli", "all"}
    if unused:
        sys.exit(f"tests/support/smokes.py uses nothing of {', '.join(sorted(unused))}")
    wheel, failed = build(), False
    for extra in wanted:
        begun = time.monotonic()
        python = install(wheel, extra)
        freeze = [python, "-m", "pip", "list", "--format=freeze"]
        listed = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout.split()
        with tempfile.TemporaryDirectory() as folder:
            uses, faults = faults_of(python, extra, Path(folder))
        failed |= bool(faults)
        packages = len({line.partition("==")[0] for line in listed} - {"pip", "setuptools"})
        verdict = f"{len(faults)} FAILED" if faults else "passed"
        print(
            f"{extra or '(none)':11} {uses} uses, {packages} packages: {verdict}, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
        for fault in faults:
            print(f"    {fault.strip()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
