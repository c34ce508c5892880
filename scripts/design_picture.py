"""Draw docs/pictures/design.svg: the path of ``d["port"] = 80``.

It leads from the hook to a log line and to a blamed change. Every box names the file that does the step, so the picture
can be checked against the tree; it follows the reader's light or dark theme. Run by ``just pictures``; takes no
arguments.
"""

from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "design.svg"

CORE = "src/pydatatracker"
PACKAGE = "pydatatracker"

# (title, what happens, rows of steps); a step is (file below the row's folder, what it does)
ROWS = (
    ("Always: every store pays for this", CORE, (
        ("hooks/dict.pyx", "looks up the old value,\nlets dict store the new one"),
        ("write/commit.pyx", "adds sequence number,\ntime, actor and path"),
        ("record/ring.pyx", "writes one record\ninto the ring of the tree"),
    )),
    ("If an observer listens: before the statement returns", None, (
        (f"{CORE}/tell/notify.pyx", "calls observers by priority,\nif path and action match"),
        (f"{CORE}/line/line.pyx", "turns records\ninto JSON lines, in C"),
        (f"{PACKAGE}/io/writer.py", "writes the line\nwith one write()"),
        (f"{PACKAGE}/exporters/delivery.py", "queues, batches, retries:\nHTTP, S3, Kafka, SQL ..."),
    )),
    ("On a query: who set /port?", None, (
        (f"{CORE}/read/query.pyx", "finds the records\nat or below a container"),
        (f"{PACKAGE}/change/entry.py", "shows a record as a change:\npath, before, after, stack"),
        (f"{PACKAGE}/history/blame.py", "follows the path back\nto its last writer"),
    )),
    ("Later, from the file: pydatatracker blame changes.jsonl /port", PACKAGE, (
        ("io/reader.py", "reads lines, plain\nor compressed"),
        ("history/replica.py", "replays them\nto plain data"),
        ("cli/replay/rebuilt.py", "keeps the way there,\nso blame works on a file"),
    )),
)  # fmt: skip

WIDTH, BOX, HEIGHT, GAP, LEFT = 920, 202, 78, 22, 20
ROW = HEIGHT + 62

STYLE = """
  text { font-family: ui-sans-serif, system-ui, sans-serif; fill: #1f2430 }
  .title { font-size: 14px; font-weight: 600 } .file { font-size: 12px; font-family: ui-monospace, monospace }
  .what { font-size: 12px; fill: #4b5263 } .store { font-size: 14px; font-family: ui-monospace, monospace }
  rect { fill: #f4f6fb; stroke: #8a93a8 } rect.core { fill: #e6ecfb; stroke: #4a62b3 }
  path { fill: none; stroke: #5b6478; stroke-width: 1.4 } marker path { fill: #5b6478; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7ee } .what { fill: #b3bac9 } rect { fill: #23272f; stroke: #79829a }
    rect.core { fill: #25304f; stroke: #8ea2e6 } path { stroke: #a3abbd } marker path { fill: #a3abbd }
  }
"""


def files() -> list[str]:
    """Return every file that the picture names, relative to the repository."""
    return [f"{folder}/{name}" if folder else name for _, folder, steps in ROWS for name, _ in steps]


def box(x: int, y: int, name: str, what: str) -> list[str]:
    """Return the elements of one step."""
    core = ' class="core"' if name.startswith(CORE) else ""
    shown = name.removeprefix(f"{CORE}/").removeprefix(f"{PACKAGE}/")
    parts = [
        f'<rect{core} x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6"/>',
        f'<text class="file" x="{x + 12}" y="{y + 24}">{escape(shown)}</text>',
    ]
    for n, line in enumerate(what.splitlines()):
        parts.append(f'<text class="what" x="{x + 12}" y="{y + 45 + 17 * n}">{escape(line)}</text>')
    return parts


def draw() -> str:
    """Return the picture."""
    height = 66 + ROW * len(ROWS)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-label="The path of a store from the hook to a log line and to a blamed change">'
        ),
        f"<style>{STYLE}</style>",
        (
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
        ),
        f'<text class="store" x="{LEFT}" y="30">d["port"] = 80</text>',
        (
            f'<text class="what" x="{LEFT + 150}" y="30">blue: the compiled core ({CORE})   '
            f"grey: the Python package ({PACKAGE})</text>"
        ),
    ]
    for row, (title, folder, steps) in enumerate(ROWS):
        top = 66 + ROW * row
        parts.append(f'<text class="title" x="{LEFT}" y="{top}">{escape(title)}</text>')
        for n, (name, what) in enumerate(steps):
            x = LEFT + n * (BOX + GAP)
            parts += box(x, top + 14, f"{folder}/{name}" if folder else name, what)
            middle, start = top + 14 + HEIGHT // 2, x + BOX
            if n + 1 < len(steps) and steps[n + 1][0].endswith("delivery.py"):  # instead of a file, not after it
                parts.append(f'<text class="what" x="{start + 5}" y="{middle + 4}">or</text>')
            elif n + 1 < len(steps):
                parts.append(f'<path d="M{start},{middle} L{start + GAP},{middle}" marker-end="url(#head)"/>')
    parts.append("</svg>\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
