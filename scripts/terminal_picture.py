"""Draw the output of a terminal as SVG.

rich parses the colours and positions the letters; the frame is ours. The frame of rich fetches a font from another
host, which a picture in a README may not do, so ours names fonts that are installed.
"""

import io
import re
from html import escape

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

__all__ = ["draw"]

# A dark page of its own, so that it reads the same on GitHub's white and on its dark pages. Every colour has at least
# 6:1 against the ground, faint letters too (https://www.w3.org/TR/WCAG22/#contrast-minimum requires 4.5:1).
_GROUND = (22, 27, 34)
_NORMAL = [
    *((146, 153, 159), (255, 123, 114), (86, 211, 100), (227, 179, 65)),
    *((121, 192, 255), (210, 168, 255), (86, 212, 221), (230, 237, 243)),
]
_THEME = TerminalTheme(_GROUND, (230, 237, 243), _NORMAL)
_ASPECT = 0.6  # width to height of a letter: most monospace fonts are within a hundredth of it

_FRAME = """\
<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>@TITLE@</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", Consolas, monospace;
}}
.{unique_id}-title {{ font: 600 16px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; opacity: 0.75 }}
{styles}
</style>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw(name: str, title: str, session: list[tuple[str, str]], columns: int) -> str:
    """Return a terminal as SVG, after commands that were typed in turn.

    :param name: ids begin with it, so the same session makes the same file.
    :param session: each command, and its output with ANSI colours.
    """
    console = Console(
        file=io.StringIO(), record=True, width=columns, force_terminal=True, color_system="truecolor", highlight=False
    )
    for number, (command, shown) in enumerate(session):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        console.print(Text.from_ansi(shown.rstrip("\n")), no_wrap=True, overflow="ignore", crop=False)
    frame = _FRAME.replace("@TITLE@", escape(title).replace("{", "{{").replace("}", "}}"))
    made = console.export_svg(title=title, theme=_THEME, code_format=frame, font_aspect_ratio=_ASPECT, unique_id=name)
    made = re.sub(
        r' clip-path="[^"]*"', "", made
    )  # lines are cut already; rich also cuts the descenders of the last one
    made = re.sub(r"<text[^>]*>\s*</text>", "", made)  # the ends of lines
    made = re.sub(r"\d+\.\d{4,}", lambda number: f"{float(number[0]):g}", made)
    made = made.replace("</text><text", "</text>\n<text")  # so that a changed word is one changed line
    return "\n".join(line.strip() for line in made.splitlines() if line.strip()) + "\n"
