"""The contents of the sdist and the wheels.

`just wheel` builds them, and sets DIST_DIR for these tests.
"""

import os
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

DIST = os.environ.get("DIST_DIR", "")
pytestmark = [
    pytest.mark.dist,
    pytest.mark.skipif(not DIST, reason="no built distributions: run `just wheel`, or name their folder in DIST_DIR"),
]
WHEELS = sorted(Path(DIST).glob("*.whl")) if DIST else []


@pytest.fixture(params=WHEELS, ids=lambda path: path.name)
def wheel(request):
    """Open one of the wheels."""
    with zipfile.ZipFile(request.param) as archive:
        yield archive


@pytest.fixture
def sdist_names():
    """Return every file of the sdist, without the leading folder."""
    (path,) = Path(DIST).glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [PurePosixPath(member.name) for member in archive if member.isfile()]
    return {"/".join(name.parts[1:]) for name in names}


def metadata(wheel, name):
    """Parse METADATA or WHEEL of the wheel's dist-info."""
    (path,) = [entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}")]
    return Parser().parsestr(wheel.read(path).decode())


def test_wheel_holds_what_a_user_and_a_type_checker_need(wheel):
    """A wheel has all that a user and a type checker need.

    That is the package, the compiled core, its stub, py.typed, the schema and the report page.
    """
    names = set(wheel.namelist())
    needed = {
        "__init__.py",
        "__main__.py",
        "_core.pyi",
        "py.typed",
        "io/schema/change.schema.json",
        "report/assets/main.js",
        "report/assets/report.css",
        "report/assets/report.html",
        "cli/__init__.py",
    }
    assert set() == {f"pydatatracker/{name}" for name in needed} - names
    assert 1 == len(
        [name for name in names if name.startswith("pydatatracker/_core.") and name.endswith((".so", ".pyd"))]
    )


def test_wheel_holds_nothing_but_the_package(wheel):
    """A wheel contains only the package.

    No source of the core, no tests, and no build leftovers.
    """
    names = wheel.namelist()
    assert {"pydatatracker"} == {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert [] == [
        name
        for name in names
        if name.endswith((".pyx", ".pxd", ".pxi", ".c", ".h", ".html", ".pyc")) and "/report/assets/" not in name
    ]


def test_wheel_holds_every_python_file_of_the_sdist(wheel, sdist_names):
    """A wheel has every module of the package that the sdist has."""
    package = {name for name in sdist_names if name.startswith("pydatatracker/")}
    assert set() == package - set(wheel.namelist())


def test_wheel_tag_and_metadata(wheel):
    """A Linux wheel is manylinux2014 and needs msgspec only.

    It contains the licence.
    """
    assert any(name.endswith("/LICENSE") for name in wheel.namelist())
    tags = metadata(wheel, "WHEEL").get_all("Tag")
    if not os.environ.get("DIST_OF_THIS_MACHINE"):  # `just wheel-newest` builds a wheel that is not published
        assert all("manylinux" in tag or "linux" not in tag for tag in tags)
        assert any("manylinux2014" in tag or "linux" not in tag for tag in tags)
    needs = metadata(wheel, "METADATA").get_all("Requires-Dist")
    assert ["msgspec"] == [need.split(">")[0].strip() for need in needs if "extra ==" not in need]


def test_extras_are_the_promised_ones(wheel):
    """The extras are those that messages and documentation name."""
    extras = metadata(wheel, "METADATA").get_all("Provides-Extra")
    assert {"all", "cli", "http", "kafka", "otel", "prometheus", "query", "s3", "seal", "sql"} == set(extras)


def test_wheel_has_the_console_script(wheel):
    """The wheel installs a `pydatatracker` command."""
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert b"pydatatracker = pydatatracker.cli:main" in wheel.read(entry_points).replace(b"=", b" = ").replace(
        b"  ", b" "
    )


def test_sdist_holds_every_source(sdist_names):
    """The sdist has what build, tests and docs need, and no build results."""
    needed = {
        "pyproject.toml",
        "CMakeLists.txt",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "justfile",
        "scripts/just",
    }
    needed |= {f"src/pydatatracker/{name}" for name in ("_core.pyx", "_core.pxd", "record/ring.pyx", "native/compat.h")}
    needed |= {"tests/packaging/test_dist.py"}
    assert set() == needed - sdist_names
    made = (".so", ".pyd", ".pyc", ".c", ".whl", ".lock")
    assert [] == [name for name in sorted(sdist_names) if name.endswith(made) or name.startswith(("build/", "dist/"))]
