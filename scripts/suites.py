"""Run test suites of other packages with their data tracked or watched.

Each suite of ``SUITES`` runs twice on the newest interpreter at hand: without this library, and with it, as
``suites_plugin.py`` does it. Whatever passes without has to pass with it; what cannot is in ``EXPECTED``, with the
reason. The tests come from the wheel, from the sdist, or from Debian's source package where neither has them.
Everything is made under ``build/suites``. Arguments are names of suites, all of them by default; exit status 1 if a
test fails with the library alone. ``leaks`` stands for the suites whose globals are watched by the pytest plugin: it
prints which tests leave state behind.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from interpreters import interpreters

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "suites"
TOOLS = (
    *("babel", "dill", "docutils", "freezegun", "mesa[viz]", "mock", "numpy", "pycodestyle", "pygments", "pytest>=8.4"),
    *("pytest-asyncio", "pytest-mock", "pytest-xdist", "pytz", "scipy", "trio"),
)


@dataclass(frozen=True)
class Suite:
    """A suite: its distribution, where its tests are, and what is done."""

    distribution: str
    tests: tuple[str, ...]
    mode: str  # of suites_plugin.py
    source: str = "wheel"  # or sdist, or debian
    folder: str = "tests"  # of the source


MESA_LEFT_OUT = ("--ignore=tests/examples",)  # some need a browser, some take minutes with all cells of a grid watched
SUITES = {
    "networkx-tracked": Suite("networkx", ("--pyargs", "networkx"), "tracked-graphs"),
    "networkx": Suite("networkx", ("--pyargs", "networkx"), "watch=networkx:Graph"),
    "sortedcontainers": Suite(
        "sortedcontainers",
        ("tests",),
        "watch=sortedcontainers:SortedDict,sortedcontainers:SortedList,sortedcontainers:SortedSet",
        "debian",
    ),
    "transitions": Suite("transitions", ("tests",), "watch=transitions.*", "sdist"),
    "mesa": Suite("mesa", ("tests", *MESA_LEFT_OUT), "watch=mesa.*", "sdist"),
    "babel-leaks": Suite("babel", ("tests", "--ignore=tests/messages/data"), "leaks=babel.*", "sdist"),
    "docutils-leaks": Suite("docutils", ("test",), "leaks=docutils.*", "sdist", "test"),
    "jinja2-leaks": Suite("jinja2", ("tests",), "leaks=jinja2.*", "sdist"),
    "pygments-leaks": Suite("pygments", ("tests", "--ignore=tests/contrast"), "leaks=pygments.*", "sdist"),
}
LEAKS = tuple(name for name in SUITES if name.endswith("-leaks"))

# Tests that fail only with the library, by suite, with the reason. All else is a fault.
CLASSES = "classes/tests"
EXPECTED = {
    "networkx-tracked": {
        f"{CLASSES}/{test}": "the fixture of the test stores plain dicts, which are not instances of the factory"
        for test in (
            "test_digraph.py::TestDiGraph::test_nodes",
            "test_graph.py::TestGraph::test_edges",
            "test_graph.py::TestGraph::test_nodes",
            "test_multidigraph.py::TestMultiDiGraph::test_nodes",
            "test_multigraph.py::TestMultiGraph::test_edges",
            "test_multigraph.py::TestMultiGraph::test_nodes",
            "test_special.py::TestSpecialDiGraph::test_nodes",
            "test_special.py::TestSpecialGraph::test_edges",
            "test_special.py::TestSpecialGraph::test_nodes",
            "test_special.py::TestSpecialMultiDiGraph::test_nodes",
            "test_special.py::TestSpecialMultiGraph::test_edges",
            "test_special.py::TestSpecialMultiGraph::test_nodes",
            "test_special.py::TestThinDiGraph::test_nodes",
            "test_special.py::TestThinGraph::test_edges",
            "test_special.py::TestThinGraph::test_nodes",
        )
    },
    "sortedcontainers": {
        "tests/test_coverage_sorteddict.py::test_ref_counts": "counts the objects of the process; the history has some",
    },
}


def environment(interpreter: str, tag: str) -> Path:
    """Make the environment, or bring it up to date; return its Python."""
    home = WORK / tag
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([interpreter, "-m", "venv", home], check=True)
    pip = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "-U", "pip"], check=True)
    subprocess.run([*pip, "--group", "build", "--group", "programs", *TOOLS], cwd=ROOT, check=True)
    build = f"-Cbuild-dir={WORK / 'build' / tag}"
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", build, "-e", "."], cwd=ROOT, check=True)
    return python


def from_sdist(python: Path, suite: Suite, folder: Path) -> None:
    """Fetch the sdist of the distribution."""
    pip = [python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", suite.distribution]
    subprocess.run([*pip, "-d", folder, f"{suite.distribution}=={version(python, suite)}"], check=True)


def version(python: Path, suite: Suite) -> str:
    """Return the version that is installed."""
    code = f"import importlib.metadata as m; print(m.version({suite.distribution!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def from_debian(python: Path, suite: Suite, folder: Path) -> None:
    """Fetch Debian's source package, with lists of apt of our own."""
    apt = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial", "sources"):
        (apt / part).mkdir(parents=True)
    for source in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.*")]:
        if source.exists():
            text = source.read_text("utf-8").replace("Types: deb\n", "Types: deb-src\n")
            text = "\n".join(f"deb-src{line[3:]}" if line.startswith("deb ") else line for line in text.splitlines())
            (apt / "sources" / source.name).write_text(text + "\n", "utf-8")
    options = [
        f"-oDir::Etc::sourcelist={os.devnull}",
        f"-oDir::Etc::sourceparts={apt / 'sources'}",
        f"-oDir::State::lists={apt / 'lists'}",
        f"-oDir::Cache={apt / 'cache'}",
        "-oAPT::Sandbox::User=root",
    ]
    subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    command = ["apt-get", *options, "-qq", "source", "--download-only", suite.distribution]
    subprocess.run(command, cwd=folder, check=True)


def tests_of(python: Path, suite: Suite) -> Path:
    """Return the folder from which pytest runs, with the tests in it."""
    folder = WORK / "sources" / suite.distribution
    ready = folder / "ready"
    if suite.source == "wheel" or ready.exists():
        folder.mkdir(parents=True, exist_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        {"sdist": from_sdist, "debian": from_debian}[suite.source](python, suite, folder)
        (archive,) = [path for path in folder.glob("*.tar.gz") if ".debian." not in path.name]
        with tarfile.open(archive) as tar:
            tar.extractall(folder / "unpacked", filter="data")
        (tree,) = (folder / "unpacked").iterdir()
        shutil.move(tree / suite.folder, folder / suite.folder)
        ready.touch()
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", "utf-8")  # not the package's own
    return folder


def outcomes(python: Path, suite: Suite, mode: str, arguments: list[str]) -> dict[str, str]:
    """Run a suite; return the outcome of each test."""
    folder = tests_of(python, suite)
    report = folder / "outcomes.json"
    report.unlink(missing_ok=True)
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "scripts"),
        "PYTHONHASHSEED": "0",
        "SUITES_MODE": mode,
        "SUITES_REPORT": str(report),
    }
    options = ["-q", "-n", "auto", "-W", "ignore", "-p", "no:cacheprovider", "-p", "suites_plugin"]
    if suite.mode.startswith("leaks="):
        options[2] = "0"  # what a test leaves behind is seen by the next one of the same process
        if mode:
            options += ["--tracked-watch", mode.removeprefix("leaks="), "--tracked-leaks", "report"]
    command = [python, "-P", "-m", "pytest", *options, *suite.tests, *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    (folder / f"{mode.partition('=')[0] or 'alone'}.txt").write_text(done.stdout + done.stderr, "utf-8")
    if not report.exists():
        sys.exit(f"pytest ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    found: dict[str, str] = json.loads(report.read_text("utf-8"))
    return found


def compare(python: Path, name: str, arguments: list[str]) -> bool:
    """Run a suite without and with the library; return whether it passed."""
    suite = SUITES[name]
    expected = EXPECTED.get(name, {})
    start = time.monotonic()
    alone = outcomes(python, suite, "", arguments)
    between = time.monotonic()
    beside = outcomes(python, suite, suite.mode, arguments)
    seconds = f"{between - start:.0f} s without, {time.monotonic() - between:.0f} s with"
    passed = {test for test, outcome in alone.items() if outcome == "passed"}
    failed = {test: beside.get(test, "not run") for test in sorted(passed) if beside.get(test) != "passed"}
    faults = {test: outcome for test, outcome in failed.items() if test not in expected}
    print(f"{name}: of {len(passed)} tests that pass, {len(passed) - len(failed)} pass with the library ({seconds})")
    for test, reason in expected.items():
        if test in failed:
            print(f"    expected: {test}: {reason}")
        elif test in passed:
            print(f"    passes now, remove it from EXPECTED: {test}")
    for test, outcome in faults.items():
        print(f"    {outcome}: {test}")
    if suite.mode.startswith("leaks="):
        show_leaks(WORK / "sources" / suite.distribution / "leaks.txt")
    sys.stdout.flush()
    return not faults and bool(passed)


def show_leaks(output: Path) -> None:
    """Print what the pytest plugin says of tests that leave state behind."""
    lines = output.read_text("utf-8").splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("=") and " tracked leaks " in line), len(lines))
    for line in itertools.takewhile(lambda line: not line.startswith("="), lines[start + 1 :]):
        print(f"    {line}")


def main() -> int:
    """Run the suites that are named, or all."""
    given = [each for argument in sys.argv[1:] for each in (LEAKS if argument == "leaks" else (argument,))]
    names = [argument for argument in given if argument in SUITES]
    arguments = [argument for argument in given if argument not in SUITES]
    tag, interpreter = list(interpreters().items())[-1]
    python = environment(interpreter, tag)
    results = [compare(python, name, arguments) for name in names or SUITES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
