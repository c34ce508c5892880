"""pydatatracker.integrations.django, in a process of its own.

Django is configured once in a process, so the checks are in `django_project/checks.py`, which runs once per test run.
"""

import ast
import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest
from command import environment

pytest.importorskip("django", minversion="5.2")

PROJECT = pathlib.Path(__file__).parent / "django_project"
NAMES = [
    node.name.removeprefix("check_")
    for node in ast.parse((PROJECT / "checks.py").read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    folder = tmp_path_factory.mktemp("django") / "project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__", "migrations"))
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-P", "checks.py"],
        cwd=folder,
        env=environment(PYTHONPATH=f"{folder}:{root}" if (root / "pydatatracker").is_dir() else str(folder)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_check_holds(results: dict[str, Any], name: str) -> None:
    """Each check of the project ran and found what it expected."""
    assert results[name] is None, results[name]


def test_a_missing_library_is_named() -> None:
    """Without Django the import says what to install."""
    code = "import sys; sys.modules['django'] = None; import pydatatracker.integrations.django"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert 'ImportError: pydatatracker.integrations.django needs Django: pip install "django>=5.2"' in done.stderr
