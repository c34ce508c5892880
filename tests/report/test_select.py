"""Spans, the histogram and search of the `report` page, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from chromium import browser
from command import change, run
from report_page import current, written

__all__ = ["browser"]  # the fixture

DENSE = 5_000  # changes: more than a timeline has pixels


def dense() -> bytes:
    """Return a log in bursts, 90 of 100 changes by one actor."""
    lines = [change(seq=1, action="init", path=[], pointer="", after={"n": 0})]
    for n in range(1, DENSE):
        lines.append(
            change(
                seq=n + 1, pointer="/n", path=["n"], before=n - 1, after=n, actor="rare" if n % 100 > 90 else "busy",
                time_ns=(1_795_437_930 + n // 1000 * 5) * 10**9 + n * 10**6,
            )
        )  # fmt: skip
    return b"".join(lines)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    (folder / "dense.jsonl").write_bytes(dense())
    return written(folder, folder / "dense.jsonl")


@pytest.fixture
def page(browser: Browser, file: Path) -> Browser:
    browser.open(file)
    browser.until("document.querySelector('#position').textContent")
    browser.settle()
    return browser


def fill(page: Browser, field: str, value: str) -> None:
    page.run(
        f"(() => {{ const e = document.getElementById('{field}'); e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    page.settle()


def drag(page: Browser, *xs: float, selector: str = "#canvas") -> None:
    """Drag the mouse over parts of the width of an element."""
    left, width, y = page.run(
        f"(({{ left, width, top, height }}) => [left, width, top + height / 2])(document.querySelector('{selector}').getBoundingClientRect())"
    )
    points = [left + width * x for x in xs]
    page.call("Input.dispatchMouseEvent", type="mousePressed", x=points[0], y=y, button="left", buttons=1, clickCount=1)
    for x in points[1:]:
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
    page.call("Input.dispatchMouseEvent", type="mouseReleased", x=points[-1], y=y, button="left", clickCount=1)
    page.settle()


BARS = """(() => {  // for each lane the heights of its columns of pixels
  const canvas = document.querySelector('#canvas'), scale = canvas.width / canvas.clientWidth;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return [...Array(canvas.clientHeight / 22).keys()].map(lane => [...Array(canvas.width).keys()].map(x => {
    let high = 0;
    for (let y = lane * 22; y < lane * 22 + 20; y++) if (data[(Math.round(y * scale) * canvas.width + x) * 4 + 3] > 128) high++;
    return high;
  }));
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_many_changes_are_a_histogram(page: Browser, dark: bool, tmp_path: Path) -> None:
    """More changes than pixels are bars, as high as their number."""
    page.picture(tmp_path / "page.png", dark=dark)
    page.settle()
    assert "true" == page.run("document.getElementById('by-time').ariaPressed")
    busy, rare, _ = page.run(BARS)
    assert 1 < max(rare) * 2 < max(busy)
    assert 0.3 < busy.count(0) / len(busy)  # the pauses
    page.click("#by-number")
    busy, rare, _ = page.run(BARS)
    filled = [n for n, high in enumerate(busy) if high]
    assert len(filled) < 0.8 * (filled[-1] - filled[0])  # gaps between the bars
    assert 0 < sum(rare) * 4 < sum(busy)
    assert page.text("#density").startswith("a full bar: ")
    assert [] == [each for each in page.trouble if "getImageData" not in each]  # which is the test's own


def test_dragging_over_the_timeline_selects_a_span(page: Browser) -> None:
    """A drag over the lanes lists the changes between its ends.

    A click selects one change. The rail moves only the cursor.
    """
    page.click("#by-number")
    drag(page, 0.3, 0.35, 0.6)
    first, last = map(int, page.run("document.getElementById('span').value").split(".."))
    assert (0.28 * DENSE < first < 0.32 * DENSE, 0.58 * DENSE < last < 0.62 * DENSE) == (True, True)
    assert f"{last - first + 1:,} of {DENSE:,} changes" == page.text("#count")
    assert f"change {last:,} of {DENSE:,}" == current(page)
    assert not page.run("document.getElementById('band').hidden")
    page.press("Escape")
    assert ("", "", True) == (
        page.text("#count"), page.run("document.getElementById('span').value"), page.run("document.getElementById('band').hidden"),
    )  # fmt: skip
    drag(page, 0.6, 0.6)
    drag(page, 0.2, 0.9, selector="#rail")
    assert "" == page.text("#count")
    drag(page, 0.9, 0.8)  # to the left
    first, last = map(int, page.run("document.getElementById('span').value").split(".."))
    assert first < last
    assert f"change {first:,} of {DENSE:,}" == current(page)
    assert [] == page.trouble


def test_a_span_is_selected_from_the_keyboard(page: Browser) -> None:
    """Shift with the arrows selects a span; Escape ends it."""
    page.press("Home", "ArrowRight")
    for key, expected in (("ArrowRight", "2..3"), ("ArrowRight", "2..4"), ("ArrowLeft", "2..3"), ("PageDown", "2..23")):
        page.call("Input.dispatchKeyEvent", type="keyDown", key=key, modifiers=8)
        page.call("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=8)
        page.settle()
        assert expected == page.run("document.getElementById('span').value")
    assert f"22 of {DENSE:,} changes" == page.text("#count")
    page.press("Home")
    assert f"change 2 of {DENSE:,}" == current(page)
    page.press("Escape", "Home")
    assert f"change 1 of {DENSE:,}" == current(page)


@pytest.mark.parametrize(
    ("span", "left"), [("10..20", 11), ("10..", 4991), ("..20", 20), ("7", 1), ("#7..#9", 3), ("9..8", 0)]
)
def test_a_span_is_that_of_the_command_line(page: Browser, file: Path, span: str, left: int) -> None:
    """The field has the syntax of --seq, and # for positions."""
    fill(page, "span", span)
    assert f"{left:,} of {DENSE:,} changes" == page.text("#count")
    if "#" not in span and left:
        done = run("show", "--json", "--seq", span, "dense.jsonl", cwd=file.parent)
        assert left == done.stdout.count("\n")


@pytest.mark.parametrize("span", ["x", "1...2", "-3", "..", "#", "1..2..3"])
def test_an_invalid_span_is_marked(page: Browser, span: str) -> None:
    """An invalid span selects everything and is marked."""
    fill(page, "span", span)
    assert ("true", "") == (page.run("document.getElementById('span').ariaInvalid"), page.text("#count"))
    assert "written as 10..20" in page.text("#complaint")


# ---- search

THINGS: list[Any] = [
    "Tea", {"$redacted": True}, None, True, 1.5, 2**70, [1, {"deep": "TEA pot"}], {"$tuple": [1, 2]}, "ünï \u202e", 'quo"te', "",
]  # fmt: skip


def things() -> bytes:
    lines = [change(seq=1, action="init", path=[], pointer="", after={})]
    for n, thing in enumerate(THINGS):
        lines.append(
            change(seq=n + 2, action="add", path=[f"k{n}"], pointer=f"/k{n}", after=thing, actor="ann" if n % 2 else "")
        )
    lines.append(change(seq=50, pointer="/k0", path=["k0"], before="Tea", after="cup", actor="teacher"))
    lines.append(
        change(seq=51, action="update", method="update", path=[], pointer="", changes=[["k1", {"$redacted": True}, "row tea"]])
    )  # fmt: skip
    return b"".join(lines)


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        ("tea", [2, 8, 50, 51]), ("TEA POT", [8]), ("/k3", [5]), ("ann", [3, 5, 7, 9, 11]), ("<redacted>", [3, 51]), ("none", [4]),
        ("1180591620717411303424", [7]), ("(1, 2)", [9]), ("ünï", [10]), ("\\u202e", [10]), ('quo\\"te', [11]), ("nowhere", []),
        ("missing", []),
    ],
)  # fmt: skip
def test_search_finds_values_as_they_are_shown(browser: Browser, tmp_path: Path, words: str, seqs: list[int]) -> None:
    """Search counts and marks matches, and goes through them."""
    (tmp_path / "log.jsonl").write_bytes(things())
    browser.open(written(tmp_path, tmp_path / "log.jsonl"))
    browser.until("document.querySelector('#position').textContent")
    browser.press("Home", "s")
    browser.run(f"document.getElementById('find').value = {json.dumps(words)}; 0")
    found = []
    for key in ["Enter"] * (len(seqs) + 1):
        browser.press(key)
        found.append(int(browser.text("#list .row.current .seq")))
    if not seqs:
        assert ("0 matches", [1]) == (browser.text("#found"), found)
        assert browser.run("document.getElementById('find-next').disabled")
        return
    assert [*seqs, seqs[0]] == found
    many = f"1 of {len(seqs)} match{'es'[: 2 * (len(seqs) > 1)]}"
    assert many == browser.text("#found")
    assert {str(seq) for seq in seqs} == set(browser.texts("#list .row.match .seq"))
    browser.run("document.activeElement.blur()")
    browser.press("N")
    assert seqs[-1] == int(browser.text("#list .row.current .seq"))
    browser.press("n")
    assert seqs[0] == int(browser.text("#list .row.current .seq"))
    assert len(THINGS) + 3 == len(browser.texts("#list .row"))  # nothing is filtered
    browser.press("s", "Escape")
    assert ("", []) == (browser.text("#found"), browser.texts("#list .row.match"))
    assert [] == browser.trouble


def test_search_stays_within_the_filters(page: Browser) -> None:
    """Search looks at the listed changes only, whatever is filtered."""
    fill(page, "span", "100..200")
    fill(page, "find", "rare")
    page.until("document.getElementById('found').textContent")
    assert "10 matches" == page.text("#found")
    fill(page, "span", "")
    page.until("document.getElementById('found').textContent !== '10 matches'")
    assert "450 of 450 matches" == page.text("#found")


def test_a_drag_over_a_pause_selects_nothing(page: Browser) -> None:
    """By time a drag selects what happened then; a double click a bar."""
    page.click("#by-time")
    busy, *_ = page.run(BARS)
    pause = next(n for n in range(100, len(busy)) if not any(busy[n - 12 : n + 13]))
    wide = len(busy)
    drag(page, (pause - 4) / wide, (pause + 4) / wide)
    assert "" == page.run("document.getElementById('span').value")
    drag(page, 0.0, (pause + 4) / wide)
    first, last = map(int, page.run("document.getElementById('span').value").split(".."))
    assert (1, True) == (first, 900 < last < 1100)
    page.press("Escape")
    page.run(
        "document.querySelector('#canvas').dispatchEvent(new MouseEvent('dblclick', { bubbles: true, clientX: document.querySelector('#canvas').getBoundingClientRect().left + 26 }))"
    )
    assert "2..99" == page.run("document.getElementById('span').value")
    assert not page.run("document.getElementById('band').hidden")
