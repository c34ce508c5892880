"""The comparison with other libraries: its page, and our own column."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "benchmarks" / "peers"
PAGE = ROOT / "docs" / "peers.md"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "pictures" / "peers.svg"


def run(*arguments: object) -> str:
    """Run Python in the folder of the comparison; return what it prints."""
    code = f"import sys; sys.path.insert(0, {str(PEERS)!r}); sys.argv = {[str(each) for each in arguments]!r}\n"
    code += "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    return python(code)


def python(code: str) -> str:
    """Run code in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def between(name: str, page: Path = PAGE) -> str:
    """Return what a page has between two markers."""
    (found,) = re.findall(rf"<!-- peers: {name} -->(.*?)<!-- /peers: {name} -->", page.read_text("utf-8"), re.DOTALL)
    return str(found).strip()


def rows(name: str, page: Path = PAGE) -> list[list[str]]:
    """Return the cells of the table between two markers."""
    lines = [line for line in between(name, page).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture(scope="module")
def known() -> dict[str, list[str]]:
    """Return the headings and rows that the recipe writes."""
    code = f"""
import json, sys
sys.path.insert(0, {str(PEERS)!r})
import tables
print(json.dumps({{"columns": list(tables.COLUMNS.values()), "features": [text for _, _, text, _ in tables.FEATURES],
                   "groups": [f"**{{group}}**" for group, *_ in tables.FEATURES if group]}}))
"""
    return dict(json.loads(python(code)))


def test_the_table_of_costs_has_the_form_that_the_recipe_writes(known: dict[str, list[str]]) -> None:
    """Each row has ratios or dashes, and what is recorded."""
    head, _, builtin, *others = rows("costs")
    assert ["", *known["columns"], "records"] == head
    assert "the builtin itself" == builtin[0]
    assert [] == [cell for cell in builtin[1:-1] if not re.fullmatch(r"-|[\d,]+ (?:ns|us)", cell)]
    ratio = re.compile(r"-|[\d,]+(?:\.\d)?(?: \(a\))?")
    for row in others:
        assert len(head) == len(row)
        assert [] == [cell for cell in row[1:-1] if not ratio.fullmatch(cell)], row[0]
        assert re.match(r"nothing|dirty flag|event: |record: ", row[-1]), row[0]
    assert any(row[0].startswith("pydatatracker ") for row in others)


def test_the_readme_has_the_same_figures() -> None:
    """Its table is part of that of the page, of the same run."""
    short, whole = rows("summary", README), rows("costs")
    columns = [whole[0].index(heading) for heading in short[0]]
    assert [[row[n] for n in columns] for row in whole] == short
    assert between("machine") == between("machine", README)


def test_the_table_of_features_has_the_form_that_the_recipe_writes(known: dict[str, list[str]]) -> None:
    """Each row of features.py is there, with yes, no or a dash."""
    head, _, *others = rows("features")
    assert ["", "this library", "`watch()`"] == head[:3]
    assert known["groups"] == [row[0] for row in others if row[0].startswith("**")]
    cells = [row for row in others if not row[0].startswith("**")]
    assert known["features"] == [row[0] for row in cells]
    assert [] == [row for row in cells if len(head) != len(row) or {*row[1:]} - {"yes", "no", "-"}]


def test_each_no_of_the_table_has_a_reason(known: dict[str, list[str]]) -> None:
    """The list below the table says why, for each library with a "no"."""
    head, _, *others = rows("features")
    reasons = dict(re.findall(r"^- (.+?): (.+)\.$", between("reasons"), re.MULTILINE))
    for column, name in list(enumerate(head))[1:]:
        refused = [row[0] for row in others if row[column] == "no"]
        assert [] == [text for text in refused if f"{text}: " not in reasons.get(name, "")], name


@pytest.mark.parametrize("name", ["ours", "watch"])
def test_our_own_column_holds(name: str) -> None:
    """What the page says of this library is what features.py finds now."""
    if name == "watch" and sys.version_info < (3, 12):
        pytest.skip("watch() needs CPython 3.12")
    found = json.loads(run(PEERS / "features.py", name).splitlines()[-1])
    head, _, *others = rows("features")
    column = head.index({"ours": "this library", "watch": "`watch()`"}[name])
    shown = [row[column] for row in others if not row[0].startswith("**")]
    package = ("compiled", "released", "alone", "typed")  # how it is installed here
    verdicts = [
        (key, "yes" if can else "-" if reason == "no such API" else "no", cell)
        for (key, (can, reason)), cell in zip(found["features"].items(), shown, strict=True)
        if key not in package
    ]
    assert [] == [each for each in verdicts if each[1] != each[2]]
    records = {row[0]: row[-1] for row in rows("costs")}
    assert found["records"] in [text for title, text in records.items() if "watch()" in title or name == "ours"]


@pytest.mark.parametrize("fault", [None, "ModuleNotFoundError: no module named 'atom'"])
def test_a_library_that_fails_is_left_out_with_a_note(fault: str | None) -> None:
    """The tables have the other libraries; the page says what failed and why."""
    code = f"""
import json, sys
sys.path.insert(0, {str(PEERS)!r})
import tables
work = dict.fromkeys(tables.COLUMNS, 2.0)
features = {{key: (True, "") for _, key, _, _ in tables.FEATURES}}
fine = {{"work": work, "builtin": {{}}, "attributes": ["memory"], "features": features, "records": "record: new value",
         "version": "1", "title": "fine", "short": "fine"}}
results = {{"machine": dict.fromkeys(["date", "python", "system", "processor", "cores", "load"], 1), "ours": fine}}
results["atom"] = {{"failed": {fault!r}}} if {fault!r} else fine
page = tables.fill(open({str(PAGE)!r}, encoding="utf-8").read(), results)
assert page == tables.fill(page, results)
print(tables.costs(results), tables.draw(results))
"""
    printed = python(code)
    assert (f"Left out: atom ({fault})." in printed) == (fault is not None)
    assert (1 if fault else 2) == printed.count("| fine 1 |")
    assert "2 (a)" in printed
    assert "</svg>" in printed


def test_a_page_without_a_marker_is_refused() -> None:
    """A marker that is missing is an error that names it."""
    code = f"""
import sys
sys.path.insert(0, {str(PEERS)!r})
import tables
try:
    tables.fill("", {{"machine": {{}}}})
except ValueError as error:
    print(error)
"""
    assert "the page needs <!-- peers: machine --> and <!-- /peers: machine -->, once\n" == python(code)


def test_the_plot_follows_the_theme_of_the_reader() -> None:
    """The plot has colours for light and dark, and names each library."""
    text = PICTURE.read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    titles = [row[0].replace("`", "") for row in rows("costs")[3:]]
    assert [] == [title for title in titles if title not in text and re.sub(r" [\d.]+$", "", title) not in text]


def test_an_unknown_library_is_an_error_that_names_those_that_are_known() -> None:
    """A name that does not exist changes nothing."""
    command = [sys.executable, PEERS / "run.py", "--no-setup", "nobody"]
    before = PAGE.read_bytes()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 2 == done.returncode
    assert "no such library: nobody; there are ours, watch, " in done.stderr
    assert before == PAGE.read_bytes()
