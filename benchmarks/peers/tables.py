"""Write the results as Markdown tables and as a plot."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from features import FEATURES, NO_API

# key of work.py: heading
COLUMNS = {
    "store": "`d[k] = v`",
    "append": "`l.append(v)`",
    "add": "`s.add(v)`",
    "setattr": "`o.a = v`",
    "update": "`d.update` of 1,000",
    "deep": "five levels deep",
    "observed": "with an observer",
    "stacked": "with its line of code",
    "line": "with a line in a file",
    "earlier 10": "earlier state, 10 keys",
    "earlier 1000": "of 1,000",
    "earlier 100000": "of 100,000",
    "create": "create, 100 items",
    "elsewhere": "unrelated code",
    "memory": "bytes of a change",
}
SUMMARY = ("store", "append", "setattr", "stacked", "line")  # columns of the README
MARKERS = ("machine", "costs", "features", "reasons")  # of docs/peers.md
README_MARKERS = ("machine", "summary")
Results = dict[str, Any]


def libraries(results: Results) -> dict[str, Any]:
    """Return the results of the libraries that did not fail."""
    return {name: each for name, each in results.items() if name != "machine" and "failed" not in each}


def number(value: float | None, key: str = "") -> str:
    """Return a ratio, or bytes, as text."""
    if value is None:
        return "-"
    if key == "memory":
        return f"{round(value):,}"
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def nanoseconds(value: float | None) -> str:
    """Return seconds as text, in ns or us."""
    if value is None:
        return "-"
    ns = value * 1e9
    return f"{ns:.0f} ns" if ns < 9_995 else f"{ns / 1e3:,.0f} us"


def table(rows: list[list[str]]) -> str:
    """Return a Markdown table; the first row is its heading."""
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *others])


def machine(results: Results) -> str:
    """Return where and when the libraries were measured."""
    on = results["machine"]
    return (
        f"Measured on {on['date']} with {on['python']} on {on['system']}, {on['processor']}, {on['cores']} cores; the "
        f"load of the machine when the run began was {on['load']}."
    )


def ratios(results: Results, columns: Sequence[str]) -> str:
    """Return the table of costs with some of its columns."""
    found = libraries(results)
    rows = [["", *(COLUMNS[key] for key in columns), "records"]]
    base = next((each["builtin"] for name, each in found.items() if name == "ours"), {})
    rows.append(["the builtin itself", *(nanoseconds(base.get(key)) for key in columns), "nothing"])
    for each in found.values():
        cells = []
        for key in columns:
            on_attribute = " (a)" if key in each["attributes"] and each["work"][key] is not None else ""
            cells.append(number(each["work"][key], key) + on_attribute)
        title = each["title"] if each["version"] in ("", "0.1.0") else f"{each['title']} {each['version']}"
        rows.append([title, *cells, each["records"]])
    return table(rows)


def summary(results: Results) -> str:
    """Return the columns of the table of costs that the README has."""
    return ratios(results, SUMMARY)


def costs(results: Results) -> str:
    """Return the table of costs."""
    lines = [ratios(results, list(COLUMNS))]
    for name, each in results.items():
        if "failed" in each:
            lines.append(f"Left out: {name} ({each['failed']}).")
    return "\n\n".join(lines)


def features(results: Results) -> str:
    """Return the table of features."""
    found = {name: each for name, each in libraries(results).items() if name != "subclass"}
    rows = [["", *(each["short"] for each in found.values())]]
    for group, key, text, _ in FEATURES:
        if group:
            rows.append([f"**{group}**", *([""] * len(found))])
        rows.append([text, *(cell(each["features"][key]) for each in found.values())])
    return table(rows)


def cell(verdict: tuple[bool, str]) -> str:
    """Return one cell of that table."""
    can, reason = verdict
    return "yes" if can else "-" if reason == NO_API else "no"


def reasons(results: Results) -> str:
    """Return why a cell is "no", in one item for each library."""
    lines = []
    for name, each in libraries(results).items():
        if name == "subclass":
            continue
        why = [
            f"{text}: {reason}"
            for _, key, text, _ in FEATURES
            for can, reason in [each["features"][key]]
            if not can and reason != NO_API
        ]
        if why:
            lines.append(f"- {each['short']}: " + "; ".join(why) + ".")
    return "\n".join(lines)


def _text(text: str, match: object) -> str:
    """Return the text: what stands in for a match, as it is."""
    return text


def fill(page: str, results: Results, markers: Sequence[str] = MARKERS) -> str:
    """Return the page with what is between its markers replaced."""
    made = {"machine": machine, "summary": summary, "costs": costs, "features": features, "reasons": reasons}
    for name in markers:
        start, end = f"<!-- peers: {name} -->", f"<!-- /peers: {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"the page needs {start} and {end}, once")
        page = pattern.sub(functools.partial(_text, f"{start}\n\n{made[name](results)}\n\n{end}"), page)
    return page


WIDTH, LEFT, RIGHT, TOP, STEP = 920, 236, 560, 64, 27
STYLE = """
  text { font-family: ui-sans-serif, system-ui, sans-serif; fill: #1f2430; font-size: 12px }
  .title { font-size: 14px; font-weight: 600 } .what { fill: #4b5263; font-size: 11px }
  .ours { font-weight: 600 } line { stroke: #d5d9e3 } line.one { stroke: #5b6478 }
  .observed { fill: none; stroke: #4a62b3; stroke-width: 1.6 }
  .store { fill: #4a62b3 } .append { fill: #c2571a } .setattr { fill: #2e8b57 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7ee } .what { fill: #b3bac9 } line { stroke: #3a404c } line.one { stroke: #a3abbd }
    .observed { stroke: #8ea2e6 } .store { fill: #8ea2e6 } .append { fill: #f0985f } .setattr { fill: #6fcf97 }
  }
"""
MARKS = {"store": "d[k] = v", "append": "l.append(v)", "setattr": "o.a = v", "observed": "with an observer"}


def mark(kind: str, x: float, y: float) -> str:
    """Return the mark of an operation: circle, ring, diamond or square."""
    if kind in ("store", "observed"):
        return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    turned = f' transform="rotate(45 {x:.1f} {y:.1f})"' if kind == "append" else ""
    return f'<rect class="{kind}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"{turned}/>'


def wrapped(text: str, width: int = 58) -> list[str]:
    """Return a text in lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def draw(results: Results) -> str:
    """Return a plot: what a change costs, beside what is recorded."""
    found = libraries(results)

    def cost(name: str) -> float:
        values = [found[name]["work"][kind] for kind in ("observed", "store", "setattr")]
        return next((value for value in values if value is not None), math.inf)

    names = sorted((name for name in found if cost(name) < math.inf), key=cost)
    values = [v for name in names for kind in MARKS if (v := found[name]["work"][kind]) is not None]
    decades = max(1, math.ceil(math.log10(max([10.0, *values]))))

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * math.log10(max(value, 1.0)) / decades

    height = TOP + STEP * len(names) + 34
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-label="What a change costs with each library, beside what it records">'
        ),
        f"<style>{STYLE}</style>",
        '<text class="title" x="20" y="24">What a change costs, as a multiple of the builtin</text>',
        f'<text class="title" x="{RIGHT + 22}" y="24">What is recorded</text>',
    ]
    for n, (kind, text) in enumerate(MARKS.items()):
        x = 24 + 118 * n
        parts += [mark(kind, x, 43), f'<text class="what" x="{x + 11}" y="47">{escape(text)}</text>']
    bottom = TOP + STEP * len(names)
    for decade in range(decades + 1):
        x = across(10.0**decade)
        one = ' class="one"' if decade == 0 else ""
        parts.append(f'<line{one} x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="what" text-anchor="middle" x="{x:.1f}" y="{bottom + 18}">{10**decade:,} x</text>')
    for n, name in enumerate(names):
        y = TOP + STEP * n + STEP / 2
        each = found[name]
        ours = ' class="ours"' if name in ("ours", "watch") else ""
        parts.append(f'<text{ours} x="20" y="{y + 4:.1f}">{escape(each["title"].replace("`", ""))}</text>')
        parts += [mark(kind, across(v), y) for kind in MARKS if (v := each["work"][kind]) is not None]
        lines = wrapped(each["records"] if name != "subclass" else "nothing")
        for k, line in enumerate(lines):
            place = y + 4 + 12 * k - 6 * (len(lines) - 1)
            parts.append(f'<text class="what" x="{RIGHT + 22}" y="{place:.1f}">{escape(line)}</text>')
    parts.append("</svg>\n")
    return "\n".join(parts)
