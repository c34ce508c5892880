"""Watching, beside subinterpreters: the core is in the main one only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch needs CPython 3.12")

PREAMBLE = """
import sys, threading
try:
    import _interpreters as interpreters
    execute = interpreters.exec
    make = interpreters.create
except ImportError:
    import _xxsubinterpreters as interpreters
    execute = interpreters.run_string
    make = lambda kind: interpreters.create(isolated=kind == "isolated")
from pydatatracker import watch
"""

IMPORT = """
try:
    import pydatatracker
    from pydatatracker import TrackedDict
except ImportError as error:
    print("refused:", len(str(error).splitlines()))
else:
    print("imported")
"""

OTHERS = """
class P:
    pass
dicts = [{"k": 0} for _ in range(500)]
for i in range(40):
    for d in dicts:
        d["k"] = i
        d["z"] = 2
        del d["z"]
    for _ in range(500):
        p = P()
        p.x = i
        vars(p)["y"] = i
"""


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_the_import_in_a_subinterpreter_is_one_error(kind: str, tmp_path: Path) -> None:
    """An ImportError of one line says that the core is elsewhere."""
    code = f"{PREAMBLE}\nimport pydatatracker.containers\nprint(execute(make({kind!r}), {IMPORT!r}), flush=True)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (0, "refused: 1\nNone\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_a_watch_is_not_disturbed_by_another_interpreter(kind: str, tmp_path: Path) -> None:
    """Dicts of an interpreter with its own GIL change meanwhile.

    Dict watchers belong to one interpreter, so theirs never reach the process-wide table of watched objects.
    """
    code = f"""{PREAMBLE}
d = {{"a": None, "inner": {{}}}}
w = watch(d, tracking_max_changes=None)
other = make({kind!r})
thread = threading.Thread(target=execute, args=(other, {OTHERS!r}))
thread.start()
n = 0
while n < 1000 or (thread.is_alive() and n < 100_000):
    d["a"] = n
    d["inner"]["b"] = n
    n += 1
thread.join()
interpreters.destroy(other)
seen = w.tracking_changes()[1:]
assert len(seen) == 2 * n, (len(seen), n)
assert [change.after for change in seen] == [i // 2 for i in range(2 * n)]
assert {{change.pointer for change in seen}} == {{"/a", "/inner/b"}}
assert w.missed == 0
w.close()
print("right")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (0, "right\n") == (done.returncode, done.stdout), done.stderr
