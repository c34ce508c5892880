"""The looks of the `report` page in a real browser.

Alignment, the meaning of colours, and legibility.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from browser import Browser
from chromium import browser
from command import change
from report_page import page, shop, slide, written

__all__ = ["browser", "page", "shop"]  # the fixtures


def middle(page: Browser, selector: str) -> float:
    box = page.run(
        f"(({{ left, width }}) => [left, width])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
    )
    return float(box[0] + box[1] / 2)


def press_at(page: Browser, x: float, selector: str) -> None:
    """Press the mouse at x, at half the height of an element."""
    y = page.run(
        f"(({{ top, height }}) => top + height / 2)(document.querySelector('{selector}').getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    page.settle()


PAINTED = """(() => {  // the columns of pixels in which ticks are
  const canvas = document.querySelector('#canvas'), scale = canvas.width / canvas.clientWidth;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const left = canvas.getBoundingClientRect().left;
  return [...Array(canvas.width).keys()].filter(n => [0, 1, 2].some(lane =>
    data[(Math.round((lane * 22 + 15) * scale) * canvas.width + n) * 4 + 3])).map(n => left + (n + 0.5) / scale);
})()"""


def test_cursor_tick_and_slider_line_up(page: Browser) -> None:
    """The cursor is on the change's tick at every position of the slider.

    A press at that position selects the change again. No tick is cut off at the edges.
    """
    painted = page.run(PAINTED)
    left, right = page.run(
        "(({ left, right }) => [left, right])(document.querySelector('#canvas').getBoundingClientRect())"
    )
    assert 6 * 3 == len(painted)  # each tick is three pixels wide
    assert left + 2 < painted[0]
    assert right - 2 > painted[-1]
    for n in range(1, 7):
        slide(page, n)
        assert painted[n * 3 - 2] == pytest.approx(middle(page, "#tick"), abs=0.01)
        assert painted[n * 3 - 2] == pytest.approx(middle(page, "#cursor") + 0.5, abs=0.01)
    for scale, selector in (("by-number", "#rail"), ("by-time", "#rail"), ("by-number", "#canvas")):
        page.click(f"#{scale}")
        for n in range(7):
            slide(page, n)
            x = middle(page, "#cursor")
            slide(page, 6 - n)
            press_at(page, x, selector)
            assert x == middle(page, "#cursor")
            assert scale == "by-time" or n == int(page.run("document.querySelector('#slider').value"))
    assert "slider" == page.run("document.activeElement.id")


def test_the_tick_of_the_change_is_in_the_lane_of_its_actor(page: Browser) -> None:
    """The tick of the current change is in the lane of its actor.

    It has the colour of its action. Before the first change no tick is shown.
    """
    actors = [re.sub(r"\d+$", "", text) for text in page.texts("button.lane")]
    for n, actor, action in ((1, "(no actor)", "init"), (3, "deploy", "add"), (4, "cleaner", "remove")):
        slide(page, n)
        name = f"#lanes > :nth-child({actors.index(actor) + 1})"
        tops = page.run(
            f"['#tick', {json.dumps(name)}].map(e => document.querySelector(e).getBoundingClientRect().top)"
        )
        assert 3 == pytest.approx(tops[0] - tops[1])
        assert f"is-{action}" == page.run("document.querySelector('#tick').className")
    slide(page, 0)
    assert page.run("document.querySelector('#tick').hidden")


@pytest.mark.parametrize("dark", [False, True])
def test_a_colour_is_an_action_and_the_legend_says_which(page: Browser, dark: bool, tmp_path: Path) -> None:
    """Each action has one colour in ticks, legend and list.

    Names of actors never have one of these colours.
    """
    page.picture(tmp_path / "page.png", dark=dark)
    assert ["add", "update", "remove", "init"] == page.texts("#legend span")
    legend = page.run(
        "[...document.querySelectorAll('#legend span')].map(e => getComputedStyle(e, '::before').backgroundColor)"
    )
    of = dict(zip(page.texts("#legend span"), legend, strict=True))
    assert 4 == len(set(legend))
    words = page.run(
        "[...document.querySelectorAll('#list .action')].map(e => [e.textContent.slice(2), getComputedStyle(e).color])"
    )
    assert {(action, of[action]) for action in of} == set(map(tuple, words))
    ticks = set()
    for n in range(1, 7):
        slide(page, n)
        ticks.add(
            tuple(
                page.run(
                    "(e => [e.className.slice(3), getComputedStyle(e).backgroundColor])(document.querySelector('#tick'))"
                )
            )
        )
    assert set(of.items()) == ticks
    named = page.run(
        "[...document.querySelectorAll('button.lane span, #list .actor, #tree .writer')].flatMap(e => ['color', 'backgroundColor'].map(k => getComputedStyle(e)[k]))"
    )
    assert set(legend).isdisjoint(named)


@pytest.mark.parametrize("dark", [False, True])
def test_an_inherited_writer_can_be_read(page: Browser, dark: bool, tmp_path: Path) -> None:
    """A writer inherited from the container is marked, and can be read.

    Its tooltip and the help explain it. Its text has full contrast.
    """
    page.picture(tmp_path / "page.png", dark=dark)
    slide(page, 1)
    page.run("[...document.querySelectorAll('#tree .key')].find(e => e.textContent === 'cfg').click()")
    page.settle()
    slide(page, 3)
    titles = page.run(
        "Object.fromEntries([...document.querySelectorAll('#tree .row')].filter(e => !e.hidden)"
        ".map(e => [e.querySelector('.key').textContent, e.querySelector('.writer').title]))"
    )
    assert titles["tls"].startswith("last written by deploy, seq ")
    assert titles["ports"].startswith("stored with its container, written by (no actor), seq ")
    ink, opacity, tinted = page.run(
        "(e => [e.color, e.opacity, e.backgroundColor])(getComputedStyle(document.querySelector('#tree .writer.inherited')))"
    )
    assert ("1", "rgba(0, 0, 0, 0)") == (opacity, tinted)
    style = page.run(
        "(s => [...s.matchAll(/--(paper|mark|[a-z]+-back): *([^;]+);/g)].map(e => e[1]))(document.querySelector('style').textContent)"
    )
    for name in {*style, "panel"}:
        page.run(f"document.body.style.background = 'var(--{name})'; 0")
        ground = page.run("getComputedStyle(document.body).backgroundColor")
        assert _contrast(ink, ground) >= 4.5, name
    page.press("?")
    assert "was stored with it" in page.text("#help")
    assert 1 == len(page.texts("#help .writer.inherited"))


@pytest.mark.parametrize("width", [1400, 1000, 920])
def test_a_pointer_without_room_shows_its_end_and_keeps_its_beginning(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    """A long pointer shows its end; screen readers get all of it.

    All pointers begin at one edge, with an ellipsis for the part that is cut.
    """
    pointers = [f"/products/\U0001f375{'x' * n}/price" for n in range(40)]
    lines = [
        change(seq=n, action="add", path=pointer.split("/")[1:], pointer=pointer, after=n)
        for n, pointer in enumerate(pointers)
    ]
    (tmp_path / "long.jsonl").write_bytes(b"".join(lines))
    browser.open(written(tmp_path, tmp_path / "long.jsonl"))
    browser.until("document.querySelector('#position').textContent")
    browser.picture(tmp_path / "page.png", width=width, height=1400)
    assert pointers == browser.texts("#list .where")
    seen = browser.run(
        "[...document.querySelectorAll('#list .row:not([hidden]) .where')].map(e => { const [off, dots, end] = e.children, box = e.getBoundingClientRect();"
        " return [off.textContent, dots.getBoundingClientRect().left - box.left, box.right - end.getBoundingClientRect().right]; })"
    )
    assert {0} == {round(left, 3) for _, left, _ in seen}
    assert all(room >= -0.5 for _, _, room in seen)
    cut = [(off, room) for off, _, room in seen if off]
    assert cut
    assert all(room < 25 for _, room in cut)  # the room is used, but for less than one more character
    assert not any("\ud800" <= off[-1] <= "\udfff" for off, _ in cut)
    names = [
        node["name"]["value"]
        for node in browser.call("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") == "option" and not node.get("ignored")
    ]
    assert set(pointers) <= {word for name in names for word in name.split()}


def test_the_heads_of_the_three_parts_are_in_one_line(page: Browser) -> None:
    """The headings of the three parts are on one line.

    The checkbox in the middle heading does not make it higher, and is centred on its label.
    """
    heads = page.run(
        "[...document.querySelectorAll('main h2')].map(e => e.getBoundingClientRect()).map(e => [e.top, e.height])"
    )
    assert [heads[0]] * 3 == heads
    box, label = page.run(
        "['#follow', 'h2 label'].map(e => document.querySelector(e).getBoundingClientRect()).map(e => e.top + e.height / 2)"
    )
    assert label == pytest.approx(box, abs=1)


@pytest.mark.parametrize("dark", [False, True])
def test_it_has_a_light_and_a_dark_look(page: Browser, dark: bool, tmp_path: Path) -> None:
    """The page follows the theme of the system, with enough contrast.

    At least 4.5, as WCAG AA requires.
    """
    page.picture(tmp_path / "page.png", dark=dark)
    colours = page.run("['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])")
    dim = page.run("getComputedStyle(document.querySelector('#facts')).color")
    ink, paper = colours
    assert dark == (_luminance(ink) > _luminance(paper))
    for each in (ink, dim):
        assert _contrast(each, paper) >= 4.5
    for name in ("paper", "panel", "mark"):  # backgrounds of actions in the list: usual, under the mouse, current
        page.run(f"document.body.style.background = 'var(--{name})'; 0")
        ground = page.run("getComputedStyle(document.body).backgroundColor")
        for action in ("add", "update", "remove", "init", "other"):
            page.run(f"document.body.style.color = 'var(--{action})'; 0")
            assert _contrast(page.run("getComputedStyle(document.body).color"), ground) >= 4.5, (name, action)


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
