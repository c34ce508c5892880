"""What a notebook and rich get of a change: escaped, bounded, withheld.

None of it needs Jupyter or rich.
"""

from __future__ import annotations

import html.parser
import subprocess
import sys
from typing import Any

import pytest

from pydatatracker import (
    ChangeLogEntry,
    TrackedAttr,
    TrackedCounter,
    TrackedDeque,
    TrackedOrderedDict,
    track,
    tracking_actor,
)
from pydatatracker.change.html import ROWS, html_of, table
from pydatatracker.io import parse, to_line

MARKUP = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
SECRET = "hunt" + "er2"  # in two parts: the line of source is shown, too


class Page(html.parser.HTMLParser):
    """Reads HTML; ``tags`` has the names, ``text`` what a reader sees."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "


def forms(change: ChangeLogEntry) -> list[Any]:
    """Return a change as it is, read from its dict, and as a line."""
    return [change, ChangeLogEntry.from_dict(change.to_dict()), parse(to_line(change))]


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x: Any = 1
        self.tags: Any = {1}


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError(MARKUP)


def everything() -> list[ChangeLogEntry]:
    """Return changes of all shapes, with values that could do harm."""
    d = track({"l": [3, 1, 2], "s": {1}}, tracking_capture_stack=True, tracking_redact=["/**/password"])
    with tracking_actor(MARKUP, note=MARKUP):
        d[MARKUP] = MARKUP
    d["deep"] = {"password": SECRET, "open": 1}
    d["password"] = SECRET
    d.update({"password": SECRET + "0", "other": MARKUP})
    d["l"][0:2] = [MARKUP, b"\0", None]
    d["l"].clear()
    d["l"] += [3, 2, 1]
    d["l"].sort()
    d["s"] |= {MARKUP, 2}
    d["s"].clear()
    d["bidi"] = "\u202eevil\x1b[31m\ud800"
    d["hostile"] = Hostile()
    d["big"] = "x" * 10**6
    d["big"] = list(range(10**4))
    d.lock()
    d.unlock()
    point = Point()
    point.x = MARKUP
    point.tags.add(2)
    rest: list[Any] = [TrackedOrderedDict(a=1), TrackedCounter("aab"), TrackedDeque([1, 2, 3], maxlen=3)]
    rest[0].move_to_end("a")
    rest[0][MARKUP] = 1
    rest[1].update("abc")
    rest[2].append(MARKUP)
    rest[2].rotate(1)
    return [change for x in (d, point, *rest) for change in x.tracking_changes()]


def test_every_change_is_harmless_html() -> None:
    """The HTML of every change has the text of the data, and no tag of it.

    It is well-formed, bounded, can be encoded, loads nothing, and shows no withheld value; so it is for a change of
    this process, one that was read, and a line of a log.
    """
    for change in everything():
        for form in forms(change):
            source = form._repr_html_()
            page = Page(source)
            source.encode("utf-8")
            assert {
                "div",
                "style",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
                "span",
                "code",
                "br",
                "details",
                "summary",
                "pre",
            } >= {*page.tags}
            assert {"class", "title"} >= page.attributes
            assert SECRET not in source
            assert "url(" not in source
            assert "http" not in source
            assert len(source) < 20_000
            assert change.action in page.text


def test_the_table_has_what_a_reader_looks_for() -> None:
    """A row has number, time, actor, action, path, both values and the line."""
    d = track({"port": 80}, tracking_capture_stack=True)
    with tracking_actor("ann"):
        d["port"] = 8080
    change = d.last_change()
    text = " ".join(Page(change._repr_html_()).text.split())
    for part in (
        str(change.seq),
        f"{change.created_time:%Y-%m-%d %H:%M:%S}",
        "ann",
        "update",
        "/port",
        "80 → 8080",
        "test_shown_changes.py:",
        'd["port"] = 8080',
    ):
        assert part in text


def test_values_are_shown_as_they_were_then() -> None:
    """A list that was stored and changed later is shown as it was stored."""
    d = track({}, tracking_auto_convert=False)
    value = [1]
    d["a"] = value
    value.append(2)
    assert "[1] " in Page(html_of(d.last_change())).text + " "


def test_a_long_history_is_cut() -> None:
    """A table has the newest hundred changes, and says how many there are."""
    d = track({})
    for n in range(500):
        d["n"] = n
    source = table(d.tracking_changes())
    assert ROWS + 1 == source.count("<tr>")
    assert "the newest 100 of 501 changes" in source
    assert "498 → 499" not in source  # each value has an element of its own
    assert "<code>498</code> → <code>499</code>" in source


def test_a_gap_is_a_row() -> None:
    """The line of a gap says which changes are missing, and why."""
    line = parse(b'{"v":1,"action":"gap","from":6,"to":9,"reason":"queue <full>"}')
    text = Page(line._repr_html_()).text
    assert "6-9" in text
    assert "queue <full>" in text
    assert "gap" in text


@pytest.mark.parametrize(
    "raw",
    [
        b'{"action":"add","location":"name","value":"Ann"}',
        b'{"v":1,"seq":1,"action":"add","pointer":"/a","path":["a"],"after":1,"created_time":"yesterday","stack":[7]}',
        b'{"v":1,"seq":1,"action":"<b>","stack":[{"filename":5,"lineno":"x","name":null}],"culprit":0,"changes":[[1,2]]}',
        b'{"v":1,"seq":1,"action":"add","splice":[0,[1],["<b>"]],"context":{"<i>":1}}',
    ],
)
def test_a_foreign_line_can_be_shown(raw: bytes) -> None:
    """A line of 0.1.0, or one with wrong types, is shown as far as it goes."""
    assert "<table>" in parse(raw)._repr_html_()
    assert not {"b", "i"} & {*Page(parse(raw)._repr_html_()).tags}


def test_showing_a_change_imports_neither_ipython_nor_rich() -> None:
    """The hooks that notebooks and rich look for import nothing of them.

    Not even `import pydatatracker` followed by a look at all its names does.
    """
    program = (
        "import sys, inspect, pydatatracker\n"
        "d = pydatatracker.TrackedDict(a=1); d['a'] = 2\n"
        "c = d.last_change(); c._repr_html_(); list(c.__rich_repr__()); d.tracking_report()._repr_html_()\n"
        "inspect.getmembers(pydatatracker)\n"
        "print({'IPython', 'rich', 'hypothesis', 'pytest'} & {name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout


@pytest.mark.parametrize("name", ["ipython", "rich", "hypothesis"])
def test_a_missing_library_is_named(name: str) -> None:
    """Without its library, an integration says what to install."""
    missing = {"ipython": "IPython"}.get(name, name)
    program = f"import sys; sys.modules[{missing!r}] = None; import pydatatracker.integrations.{name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (
        f"ImportError: pydatatracker.integrations.{name} needs {missing}: pip install {name}"
        == done.stderr.splitlines()[-1]
    )
