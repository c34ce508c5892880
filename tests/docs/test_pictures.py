"""The pictures of README and docs: complete, safe, and up to date."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest
from story import TIME, play, typed

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = [
    (page, alt, page.parent / target)
    for page in PAGES
    for alt, target in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", page.read_text("utf-8"))
]
PICTURES = sorted((ROOT / "docs" / "pictures").iterdir())
DESIGN = ROOT / "docs" / "pictures" / "design.svg"
PLOT = ROOT / "docs" / "pictures" / "peers.svg"
DRAWN = [path for path in PICTURES if path.suffix == ".svg" and path != DESIGN]
SVG = "{http://www.w3.org/2000/svg}"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
of_each = pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)


def lines(path: Path) -> list[str]:
    """Return the lines of the terminal in a picture."""
    rows: dict[float, str] = defaultdict(str)
    for text in ElementTree.parse(path).iterfind(f".//{SVG}g/{SVG}text"):
        said = (text.text or "").replace("\N{NO-BREAK SPACE}", " ")
        column = round(float(text.attrib["x"]) * len(said) / float(text.attrib["textLength"]))
        row = float(text.attrib["y"])
        rows[row] = rows[row].ljust(column) + said
    return [rows[row].rstrip() for row in sorted(rows)]


def test_every_picture_is_shown_and_every_picture_shown_is_there() -> None:
    """Every picture exists, is shown, and has a text alternative."""
    assert set(PICTURES) == {path.resolve() for _, _, path in SHOWN}
    assert [] == [page.name for page, alt, _ in SHOWN if len(alt.split()) < 5]


@of_each
def test_a_drawn_picture_needs_nothing_from_elsewhere(path: Path) -> None:
    """An SVG loads nothing, runs no script and names no local folder."""
    text = path.read_text("utf-8")
    assert f"{SVG}svg" == ElementTree.fromstring(text).tag
    assert {'"http://www.w3.org/2000/svg"'} == set(re.findall(r"[\"'][a-z]+://[^\s\"']*[\"']|[a-z]+://\S*", text))
    assert [] == re.findall(r"url\(|href|@import|@font-face|<script|<image|<foreignObject", text)
    assert [] == re.findall(r"/(?:tmp|home|root|usr|work|opt|Users|private)/|[A-Z]:\\", text)


@pytest.mark.parametrize("path", [path for path in DRAWN if path != PLOT], ids=lambda path: path.name)
def test_a_picture_of_a_terminal_shows_what_the_commands_print(path: Path, tmp_path: Path) -> None:
    """A picture shows what its commands print now, except for times.

    If the new output is right, run `just pictures`.
    """
    play(tmp_path)
    shown = lines(path)
    commands = [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
    printed = [f"$ {command}\n{COLOUR.sub('', typed(command, tmp_path))}" for command in commands]
    again = [line.rstrip() for line in "".join(printed).splitlines() if line.strip()]
    assert [TIME.sub("", line) for line in again] == [TIME.sub("", line) for line in shown], "run `just pictures`"


def test_the_picture_of_the_design_is_what_its_script_draws() -> None:
    """The picture of the design is up to date, and its files exist.

    `just pictures` draws it again.
    """
    script = runpy.run_path(str(ROOT / "scripts" / "design_picture.py"))
    assert script["draw"]() == DESIGN.read_text("utf-8")
    missing = [name for name in script["files"]() if not (ROOT / name).exists()]
    if not (ROOT / "src").exists():  # the source is not here when a wheel is tested
        missing = []
    assert [] == missing
