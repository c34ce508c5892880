"""Change the library in one spot at a time, and see whether a test fails.

``python scripts/mutants.py [NUMBER] [--seed N] [--in FOLDER] [--only TEXT]`` samples mutants over the modules below,
runs the tests on each, and prints those that no test noticed. A survivor is a missing test, or changes nothing that
anybody can see; then `tests/mutants_equivalent.txt` says why. The result is 0 if no survivor is left unexplained.

The first run finds out which tests execute which line (`build/mutants/`). A mutant is given these tests, the fastest
first, until one fails; then, with ``--slow``, all others of its folder, which includes those that start a process.
A test that hangs has noticed. What is known is kept in `build/mutants/results.jsonl`: a run that was interrupted goes
on where it was, ``--for SECONDS`` interrupts it, and only survivors run again when tests have changed.

The sample is drawn by the seed from the text of the mutants, so a change elsewhere does not draw another one.

The installed package is editable, so a mutant is written into the source file, which must be unchanged in git, and the
file is put back afterwards. mutmut and cosmic-ray copy the package instead, and a copy has no compiled core.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
KEPT = ROOT / "build" / "mutants"
EQUIVALENT = ROOT / "tests" / "mutants_equivalent.txt"
# what is mutated, and the tests that have to notice
TESTS = {
    "history": ["tests/history", "tests/cli/test_blame.py"],
    "io": ["tests/io", "tests/history/test_replica.py", "tests/exporters/test_replaced_logs.py"],
    "exporters": ["tests/exporters"],
    "observers": ["tests/observers"],
    "process.py": ["tests/cli/test_process_log.py", "tests/cli/test_run.py"],
}
COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n0", "--tb=no", "-p", "no:cacheprovider", "-p", "mutants_plugin"]
TOO_SLOW = 1.0  # seconds; a test above it waits for --slow

Edit = tuple[ast.expr, str]  # a node, and the source that replaces it


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One edit of one module."""

    part: str  # the key of TESTS
    path: str  # from the root of the repository
    place: str  # of the function or class: "Delivery.run"
    edit: Edit
    lines: range  # of the statement
    number: int  # among equal edits of one place
    text: str  # of the statements around it, as a digest: a result holds until they change

    @property
    def name(self) -> str:
        """Name it independently of line numbers."""
        again = f" #{self.number + 1}" if self.number else ""
        return f"{self.path}::{self.place}: {ast.unparse(self.edit[0])}  ->  {self.edit[1]}{again}"


def mutants_of(part: str, path: pathlib.Path) -> Iterator[Mutant]:
    """Yield every edit of a module, annotations and texts left out."""
    name, source = path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    seen: Counter[tuple[str, str, str]] = Counter()

    def visit(node: ast.AST, place: str, lines: range, text: str) -> Iterator[Mutant]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            place = f"{place}.{node.name}".lstrip(".")
        if isinstance(node, ast.stmt):
            inner = [child.lineno for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            lines = range(node.lineno, min([(node.end_lineno or node.lineno) + 1, *inner]))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not place:
                text = hashlib.sha256(ast.unparse(node).encode()).hexdigest()[:12]
        if isinstance(node, ast.expr):
            new = _mutated(node)
            if new is not None:
                key = (place, ast.unparse(node), new)
                yield Mutant(part, name, place, (node, new), lines, seen[key], text)
                seen[key] += 1
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from visit(child, place, lines, text)

    yield from visit(ast.parse(source), "", range(0), "")


def _mutated(node: ast.expr) -> str | None:
    match node:
        case ast.Compare(left, [operator], [right]) if type(operator) in COMPARED:
            return ast.unparse(ast.Compare(left, [COMPARED[type(operator)]()], [right]))
        case ast.BoolOp(operator, values):
            return ast.unparse(ast.BoolOp(ast.And() if isinstance(operator, ast.Or) else ast.Or(), values))
        case ast.BinOp(left, operator, right) if type(operator) in COMPUTED:
            return ast.unparse(ast.BinOp(left, COMPUTED[type(operator)](), right))
        case ast.UnaryOp(ast.Not(), operand):
            return ast.unparse(operand)
        case ast.Constant(bool() as value):
            return repr(not value)
        case ast.Constant(int() as value):
            return repr(value + 1)
    return None


def sample(parts: list[str], seed: int) -> list[Mutant]:
    """Return all mutants in the order in which the seed draws them."""
    found = []
    for part in parts:
        base = ROOT / "pydatatracker" / part
        for path in [base] if base.is_file() else sorted(base.rglob("*.py")):
            found += mutants_of(part, path)
    return sorted(found, key=lambda mutant: hashlib.sha256(f"{seed}:{mutant.name}".encode()).digest())


def applied(source: str, node: ast.expr, new: str) -> str:
    """Return the source with one node replaced. O(source)."""
    raw = source.encode()
    lines = raw.splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: (node.end_lineno or node.lineno) - 1])) + (node.end_col_offset or 0)
    return (raw[:start] + f"({new})".encode() + raw[end:]).decode()


def run(tests: list[str], seconds: float | None, **variables: str) -> tuple[int | None, str]:
    """Return pytest's status, None if it takes too long, and what it said."""
    # no bytecode: two mutants of equal length within a second would be taken for one another
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    process = subprocess.Popen(
        [*PYTEST, *tests], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        said = process.communicate(timeout=seconds)[0]
        return process.returncode, said
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # with whatever the tests have started
        except ProcessLookupError:
            pass
        process.wait()


def tests_of(part: str, sources: str) -> dict[str, dict[str, Any]]:
    """Return lines and duration of each test of a part, measured once."""
    path = _map_of(part)
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["sources"] == sources:
            return dict(kept["tests"])
    print(f"measure the tests of {part}", flush=True)
    with tempfile.NamedTemporaryFile() as file:
        run(TESTS[part], None, MUTANTS_IN=" ".join(TESTS), MUTANTS_MAP=file.name)
        tests: dict[str, dict[str, Any]] = json.loads(pathlib.Path(file.name).read_text())
    for name, test in tests.items():
        if test.get("failed"):
            print(f"fails without a mutant, so it judges none: {name}", flush=True)
    path.write_text(json.dumps({"sources": sources, "tests": tests}))
    return tests


def judged(mutant: Mutant, tests: dict[str, dict[str, Any]], slow: bool) -> tuple[str, str]:
    """Return the fate of a mutant that is in its file, and who noticed."""
    order = sorted(
        (name for name, test in tests.items() if test.get("passed")), key=lambda name: tests[name]["seconds"]
    )
    executing = [name for name in order if not set(mutant.lines).isdisjoint(tests[name]["lines"].get(mutant.path, ()))]
    first = [name for name in executing if tests[name]["seconds"] < TOO_SLOW] or executing or order
    rounds = [first, [name for name in order if name not in set(first)]]
    for names in rounds if slow else rounds[:1]:
        if not names:
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"run": names, "known": list(tests)}, file)
            file.flush()
            seconds = 30 + 3 * sum(tests[name]["seconds"] for name in names)
            paths = TESTS[mutant.part] if names is not first else sorted({*_files_of(names), *_newer(mutant.part)})
            status, said = run(paths, seconds, MUTANTS_TESTS=file.name)
        if status is None:
            return "killed", f"no end within {seconds:.0f} s"
        if status == 4:
            raise SystemExit(said)
        if status not in (0, 5):  # 5: no tests
            noticed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
            return "killed", noticed[0] if noticed else f"pytest ended with {status}"
    return "SURVIVED", f"{len(first)} tests"


def _files_of(names: list[str]) -> set[str]:
    return {name.partition("::")[0] for name in names}


def _newer(part: str) -> set[str]:
    # files of tests that were written since the map was: what they execute is not known, so they run
    written = _map_of(part).stat().st_mtime
    found = [ROOT / path for path in TESTS[part]]
    files = [file for path in found for file in ([path] if path.is_file() else path.rglob("test_*.py"))]
    return {file.relative_to(ROOT).as_posix() for file in files if file.stat().st_mtime > written}


def _map_of(part: str) -> pathlib.Path:
    return KEPT / f"{part.partition('.')[0]}.json"


def equivalent() -> dict[str, str]:
    """Read the mutants that no test can notice, with the reason for each."""
    reasons: dict[str, str] = {}
    name = ""
    for line in EQUIVALENT.read_text("utf-8").splitlines() if EQUIVALENT.exists() else []:
        if line.startswith(" "):
            reasons[name] = f"{reasons[name]} {line.strip()}".lstrip()
        elif line and not line.startswith("#"):
            name = line
            reasons[name] = ""
    return reasons


def put_back() -> None:
    """Put a file back that a killed run has left with its mutant."""
    note = KEPT / "mutated.json"
    if note.exists():
        kept = json.loads(note.read_text())
        (ROOT / kept["path"]).write_text(kept["source"], "utf-8")
        note.unlink()


def try_out(mutant: Mutant, tests: dict[str, dict[str, Any]], slow: bool) -> tuple[str, str]:
    """Write a mutant, run its tests, and put the file back whatever happens."""
    path = ROOT / mutant.path
    source, times = path.read_text("utf-8"), path.stat()
    (KEPT / "mutated.json").write_text(json.dumps({"path": mutant.path, "source": source}))
    try:
        path.write_text(applied(source, *mutant.edit), "utf-8")
        return judged(mutant, tests, slow)
    finally:
        put_back()
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # its bytecode is good again


def digest_of(part: str) -> str:
    """Return a digest of the modules of a part and of where its tests are."""
    base = ROOT / "pydatatracker" / part
    digest = hashlib.sha256(" ".join(TESTS[part]).encode())
    for path in [base] if base.is_file() else sorted(base.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def git(*arguments: str) -> str:
    """Return what git says."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Run a sample; return 1 if mutants survived, or were not run."""
    parser = argparse.ArgumentParser(description="Test the tests with mutants.")
    parser.add_argument("number", nargs="?", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in", dest="parts", action="append", choices=TESTS, help="only this folder; may be repeated")
    parser.add_argument("--only", action="append", help="only those with this text in their name, such as sql.py")
    parser.add_argument("--slow", action="store_true", help="give survivors all tests of their folder")
    parser.add_argument("--for", dest="seconds", type=float, default=float("inf"), help="begin no mutant after it")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that the file is put back
    KEPT.mkdir(parents=True, exist_ok=True)
    put_back()
    if changed := git("status", "--porcelain", "--", "pydatatracker"):
        raise SystemExit(f"commit first:\n{changed}")
    began = time.monotonic()
    every = sample(list(TESTS), given.seed)
    excused = equivalent()
    texts = given.only or [""]
    drawn = [m for m in every[: given.number] if m.part in (given.parts or TESTS) and any(t in m.name for t in texts)]
    results = KEPT / "results.jsonl"
    known = {(line["name"], line["text"]): line for line in map(json.loads, results.open())} if results.exists() else {}
    measured: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {}
    now = git("rev-parse", "HEAD:tests") + git("status", "--porcelain", "--", "tests")
    fates: Counter[str] = Counter()
    print(f"{len(drawn)} of {len(every):,} mutants", flush=True)
    for mutant in drawn:
        line = known.get((mutant.name, mutant.text))
        if mutant.name in excused:
            line = {"fate": "equivalent"}
        elif line and line["fate"] == "SURVIVED" and (line["tests"] != now or (given.slow and not line["slow"])):
            line = None
        if line is None and time.monotonic() - began < given.seconds:
            if mutant.part not in measured:
                sources = digest_of(mutant.part)
                measured[mutant.part] = sources, tests_of(mutant.part, sources)
            start = time.monotonic()
            fate, by = try_out(mutant, measured[mutant.part][1], given.slow)
            line = {"name": mutant.name, "text": mutant.text, "fate": fate, "by": by, "tests": now, "slow": given.slow}
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            seconds = time.monotonic() - start
            print(f"{fate:8} {seconds:4.0f} s  line {mutant.lines[0]} of {mutant.name}  ({by})", flush=True)
        elif line is not None and line["fate"] == "SURVIVED":
            print(f"SURVIVED         line {mutant.lines[0]} of {mutant.name}", flush=True)
        fates[line["fate"] if line else "not run"] += 1
    print(", ".join(f"{number} {fate}" for fate, number in sorted(fates.items())))
    gone = sorted(excused.keys() - {mutant.name for mutant in every})
    for name in gone:
        print(f"{EQUIVALENT.name} names a mutant that does not exist: {name}")
    unexplained = sorted(name for name, reason in excused.items() if not reason)
    for name in unexplained:
        print(f"{EQUIVALENT.name} gives no reason for {name}")
    return int(bool(fates["SURVIVED"] or fates["not run"] or gone or unexplained))


if __name__ == "__main__":
    sys.exit(main())
