"""What importing the package costs, with and without the compiled core.

Each import runs in a process of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builds import FREE_THREADED

import pydatatracker
from pydatatracker import _core

PACKAGE = Path(pydatatracker.__file__).parent

AFTER_IMPORT = """
import sys, threading
before = set(sys.modules)
import pydatatracker
from pydatatracker import _core
new = {name.partition(".")[0] for name in set(sys.modules) - before}
own = {"pydatatracker", "cython_runtime"} | {name for name in new if name.startswith("_cython_")}
print(sorted(new - own - set(sys.stdlib_module_names)))
print(threading.active_count())
"""


# What a program that only records may import. The modules that these import are theirs to choose.
USUAL = (
    "collections.abc",
    "contextlib",
    "contextvars",
    "enum",
    "functools",
    "gc",
    "itertools",
    "operator",
    "os",
    "threading",
)
USUAL += ("time", "types", "typing", "warnings", "weakref")
OWN = (
    "_core",
    "_forks",
    "_guarded",
    "_lazy",
    "change",
    "change.bulk_rows",
    "change.entry",
    "change.key_order",
    "change.library",
)
OWN += ("change.rewind", "change.stack", "change.text", "containers", "containers.attributes", "containers.copying")
OWN += (
    "containers.fields",
    "containers.mixin",
    "containers.mixing",
    "containers.twins",
    "containers.wiring",
    "history",
    "history.methods",
)
OWN += ("observers", "values", "values.pickles", "values.pointer", "values.standins", "values.text")
CHANGE = "d = pydatatracker.TrackedDict(a=[1]); d['a'].append(2); d['b'] = 3; d.last_change().after"
LATER = """
import pydatatracker.change.stack as module, traceback, typing
assert type(module.traceback).__name__ == "_Later"
print(typing.get_type_hints(pydatatracker.ChangeLogEntry.culprit.fget) == {"return": traceback.FrameSummary | None})
print(module.as_text(traceback.FrameSummary("f.py", 7, "g")), module.summary(None) == [], module.traceback is traceback)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder that has the package as a wheel installs it.

    The finder of an editable install imports modules of its own.
    """
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(PACKAGE, folder / "pydatatracker", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_core.__file__, folder / "pydatatracker")
    return folder


def imported(folder, program, usual):
    """Return what a program imports of the library and of the package.

    ``usual``: modules that do not count, with those that they import.
    """
    lines = [f"import sys, {', '.join(usual)}", "before = set(sys.modules)", program]
    lines += ["print(*sorted(set(sys.modules) - before))"]
    result = python("-SP", "-c", "\n".join(lines), PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    assert "" == result.stderr
    names = result.stdout.split()
    own = {name.removeprefix("pydatatracker.") for name in names if name.startswith("pydatatracker.")}
    return {name for name in names if name.partition(".")[0] in sys.stdlib_module_names} - {"__future__"}, own


def python(*arguments, **variables):
    """Run this interpreter with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True, text=True, timeout=60, env=os.environ | variables,
    )  # fmt: skip


def test_the_uncompiled_tree_says_what_to_do(tmp_path):
    """Without the compiled core the import error names the command to run."""
    shutil.copytree(PACKAGE, tmp_path / "pydatatracker", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    # -S, because the finder of an editable install would find the compiled core.
    result = python("-S", "-c", "import pydatatracker", PYTHONPATH=str(tmp_path))
    assert 1 == result.returncode
    said = result.stderr.splitlines()[-1]
    assert said.startswith("ImportError: pydatatracker is not compiled here: ")
    assert "just build" in said


def test_a_plain_import_brings_the_usual_modules():
    """`import pydatatracker` gives the usual modules, and `dir()` their names."""
    names = "[pydatatracker.observers.ChangeCollector, pydatatracker.containers, pydatatracker.actors, pydatatracker.history]"
    result = python(
        "-c", f"import pydatatracker; print(len({names}), sorted(set(pydatatracker.__all__) - set(dir(pydatatracker))))"
    )
    assert ("4 []", "") == (result.stdout.strip(), result.stderr)
    result = python("-c", "import pydatatracker; pydatatracker.nonsense")
    assert result.stderr.endswith("AttributeError: module 'pydatatracker' has no attribute 'nonsense'\n")


MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_the_first_one(module):
    """Every module can be imported before any other."""
    result = python("-c", f"import {module}")
    said = result.stderr.splitlines()[-1:]
    missing = said and said[0].startswith(("ModuleNotFoundError", "ImportError"))
    if missing and ("pydatatracker" not in said[0].split(";")[0].split("pip")[0] or "integrations" in module):
        pytest.skip(said[0])  # the module needs an extra, or a library, that is not installed
    assert [] == said


def test_importing_costs_no_third_party_package_and_no_thread():
    """`import pydatatracker` imports only the standard library and itself.

    It starts no thread.
    """
    result = python("-c", AFTER_IMPORT)
    assert "" == result.stderr
    assert ["[]", "1"] == result.stdout.splitlines()


def test_importing_needs_no_module_of_the_standard_library(installed):
    """`import pydatatracker` imports what Python has imported anyway.

    And `_lazy`, which imports the rest on first use.
    """
    assert (set(), {"_forks", "_lazy"}) == imported(installed, "import pydatatracker", ("os", "time", "_weakref"))


def test_recording_needs_few_modules(installed):
    """A program that records and reads a change imports what is listed here.

    So it does not import logging, traceback, datetime, inspect, dataclasses, json or asyncio.
    """
    library, own = imported(installed, f"import pydatatracker; {CHANGE}", USUAL)
    assert (set(), set()) == (library, own - set(OWN))


def test_what_is_imported_later_is_the_module_itself(installed):
    """Annotations name such a module before its first use, which replaces it."""
    result = python("-SP", "-c", f"import pydatatracker; {CHANGE}\n{LATER}", PYTHONPATH=str(installed))
    assert ("True\nf.py:7 in g True True\n", "") == (result.stdout, result.stderr)


def test_module_names_are_the_packages_own():
    """The `__module__` of public classes lies in the package.

    Pickles store this name, so it has to stay importable.
    """
    for name in pydatatracker.__all__:
        module = getattr(getattr(pydatatracker, name), "__module__", "pydatatracker")
        assert module.split(".")[0] == "pydatatracker", name


def test_all_is_true():
    """`__all__` has only names that exist, each once (ruff sorts them)."""
    names = list(pydatatracker.__all__)
    assert len(set(names)) == len(names)
    assert [] == [name for name in names if not hasattr(pydatatracker, name)]


def test_an_import_leaves_the_gil_as_it_is():
    """A free-threaded CPython stays without the GIL, and warns of nothing."""
    code = "import sys, pydatatracker; pydatatracker.TrackedDict(a=1)['a'] = 2; print(sys._is_gil_enabled())"
    if sys.version_info < (3, 13):
        code = code.replace("sys._is_gil_enabled()", "True")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code], capture_output=True, text=True, env=environment
    )
    assert (f"{not FREE_THREADED}\n", "") == (done.stdout, done.stderr)
