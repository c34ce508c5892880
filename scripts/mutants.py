"""Change the library in one spot at a time, and see whether a test fails.

``python scripts/mutants.py [NUMBER] [--seed N] [--in FOLDER]`` samples mutants over the modules below, runs the tests
of their folder on each, and prints those that no test noticed. A survivor is a missing test, or has no effect.

The installed package is editable, so a mutant is written into the source file, which must be unchanged in git, and the
file is put back afterwards. mutmut and cosmic-ray copy the package instead, and a copy has no compiled core.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[1]
# what is mutated, and the tests that have to notice
TESTS = {
    "history": ["tests/history", "tests/cli/test_blame.py"],
    "io": ["tests/io", "tests/history/test_replica.py"],
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

Edit = tuple[ast.expr, str]  # a node, and the source that replaces it


def mutants_of(tree: ast.Module) -> Iterator[Edit]:
    """Yield every edit of a module, annotations and texts left out."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            annotation = getattr(node, field, None)
            if isinstance(annotation, ast.AST):
                skipped.update(ast.walk(annotation))
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and node not in skipped:
            source = _mutated(node)
            if source is not None:
                yield node, source


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


def applied(source: str, node: ast.expr, new: str) -> str:
    """Return the source with one node replaced. O(source)."""
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: (node.end_lineno or node.lineno) - 1])) + (node.end_col_offset or 0)
    raw = source.encode()
    return (raw[:start] + f"({new})".encode() + raw[end:]).decode()


def survives(tests: list[str], seconds: float) -> bool:
    """Return whether all tests pass; one that hangs has noticed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    """Run a sample; return 1 if mutants survived."""
    parser = argparse.ArgumentParser(description="Test the tests with mutants.")
    parser.add_argument("number", nargs="?", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in", dest="part", choices=TESTS, help="only this folder")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for the tests of one mutant")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # so that the file is put back
    found: list[tuple[str, pathlib.Path, Edit]] = []
    for part in [given.part] if given.part else TESTS:
        base = ROOT / "pydatatracker" / part
        for path in [base] if base.is_file() else sorted(base.rglob("*.py")):
            found += [(part, path, edit) for edit in mutants_of(ast.parse(path.read_text("utf-8")))]
    random.Random(given.seed).shuffle(found)
    lived = 0
    print(f"{min(given.number, len(found))} of {len(found):,} mutants", flush=True)
    for part, path, (node, new) in found[: given.number]:
        name = path.relative_to(ROOT)
        if subprocess.run(["git", "diff", "--quiet", "--", name], cwd=ROOT, check=False).returncode:
            raise SystemExit(f"{name} has changes; commit them first")
        source, began = path.read_text("utf-8"), time.monotonic()
        try:
            path.write_text(applied(source, node, new), "utf-8")
            alive = survives(TESTS[part], given.timeout)
        finally:
            path.write_text(source, "utf-8")
        lived += alive
        old = ast.get_source_segment(source, node) or ""
        fate = "SURVIVED" if alive else "killed"
        print(f"{fate:8} {time.monotonic() - began:4.0f} s  {name}:{node.lineno}  {old}  ->  {new}", flush=True)
    print(f"{lived} survived")
    return int(lived > 0)


if __name__ == "__main__":
    sys.exit(main())
