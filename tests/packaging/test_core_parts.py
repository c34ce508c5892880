"""The parts of the compiled core: included once, with a contract.

A contract says what a part owns, what it may touch and what it keeps true.
"""

import pathlib
import re

import pytest

CORE = pathlib.Path(__file__).parent.parent.parent / "src" / "pydatatracker"
PARTS = sorted(path.relative_to(CORE).as_posix() for path in CORE.rglob("*") if path.suffix in (".pyx", ".pxd", ".h"))

pytestmark = pytest.mark.skipif(
    not CORE.is_dir(), reason="the source of the core is missing, as when a wheel is tested"
)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_begins_with_its_contract(part: str) -> None:
    """Each part begins with `Owns`, `May touch` and `Invariant`."""
    head = "\n".join((CORE / part).read_text("utf-8").split("\n")[:50])
    assert [] == [word for word in ("Owns:", "May touch:", "Invariant") if word not in head]


def test_every_part_is_included_once() -> None:
    """Each part is included once.

    A part that no file includes would look like live code.
    """
    included = re.findall(r'^include "(.+)"$', (CORE / "_core.pyx").read_text("utf-8"), re.MULTILINE)
    assert sorted(included) == [part for part in PARTS if part.endswith(".pyx") and part != "_core.pyx"]
