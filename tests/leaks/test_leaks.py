"""Every script of this folder ends with exit status 0.

Each runs in its own process. A script that fails says in one sentence what was left.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
SUPPORT = HERE.parent / "support"
SCRIPTS = sorted(set(HERE.glob("*.py")) - {HERE / "test_leaks.py"})


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_nothing_is_left_after(script: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The script ends well; its docstring says what must not leak."""
    paths = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("PYDATATRACKER_LOG", None)
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
