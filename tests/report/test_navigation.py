"""What the `report` page shows first, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser
from chromium import browser
from command import change
from report_page import written

__all__ = ["browser"]  # the fixture

FRAMES = [
    {"filename": "/app/main.py", "lineno": 3, "name": "main", "line": "run()"},
    {"filename": "/app/price.py", "lineno": 8, "name": "discount", "line": "order.price = price"},
    {"filename": "/lib/attrs.py", "lineno": 99, "name": "__setattr__", "line": "hook(self, value)"},
]


def lines() -> list[bytes]:
    """Return the lines of a log: users, odd keys, and a second container."""
    odd = {"a/b": 1, "m~n": 2, "ü\u202e": {"x": 3}, "<b>": 4, "": 5, "long": list(range(1000))}
    users = [{"name": "ann"}, {"name": "bob"}]
    return [
        change(seq=1, action="init", path=[], pointer="", after={"users": users, "odd": odd}),
        change(seq=2, pointer="/users/0/name", path=["users", 0, "name"], before="ann", after="eve", actor="x"),
        change(
            seq=3, pointer="/odd/a~1b", path=["odd", "a/b"], before=1, after=7, actor="y", stack=FRAMES, culprit=1
        ),
        change(seq=4, pointer="/users/1/name", path=["users", 1, "name"], before="bob", after="x", actor="x"),
        change(seq=5, pointer="/users", path=["users"], before=[{"name": "eve"}, {"name": "x"}], after=[], actor="y"),
        change(seq=6, action="init", path=[], pointer="", after={"k": 1}, root="b"),
        change(seq=7, pointer="/k", path=["k"], before=1, after=2, root="b", actor="y"),
        change(
            seq=8, action="add", method="update", pointer="/odd", path=["odd"], actor="x",
            changes=[["new", {"$missing": True}, 1], ["m~n", 2, 3]],
        ),
        change(seq=9, pointer="/odd/m~0n", path=["odd", "m~n"], before=3, after=4, actor="x"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("navigation")
    (folder / "log.jsonl").write_bytes(b"".join(lines()))
    return written(folder, folder / "log.jsonl")


def at(browser: Browser, file: Path, fragment: str = "") -> Browser:
    """Open the page at a fragment."""
    browser.open(f"{file.resolve().as_uri()}{fragment}")
    browser.until("document.querySelector('#position').textContent")
    browser.settle()
    return browser


# ---- the culprit


def test_the_line_that_did_it_comes_first(browser: Browser, file: Path) -> None:
    """The culprit is first and open; all calls are folded after it, with the culprit marked."""
    page = at(browser, file)
    page.click("#list .row:nth-child(3)")
    first = page.run("[...document.querySelector('#details').children].slice(0, 4).map(e => e.tagName)")
    assert ["H3", "OL", "DETAILS", "DL"] == first
    assert "Culprit" == page.text("#details h3")
    assert "/app/price.py:8 in discountorder.price = price" == page.text("#details ol")
    assert not page.run("document.querySelector('#details details').open")
    assert "Stack, 3 calls, innermost last" == page.text("#details summary")
    page.click("#details summary")
    box = "document.querySelector('#details details')"
    assert page.run(f"{box}.open && [...{box}.querySelectorAll('li')].map(e => e.className)") == ["", "made", ""]
