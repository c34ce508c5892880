"""The page of `report`, opened from a disk in a real browser: what a person sees, clicks and types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, BrowserError
from chromium import browser
from command import change, run

from pydatatracker import TrackedDict, tracking_actor
from pydatatracker.observers import json_file_observer

__all__ = ["browser"]  # the fixture

MANY = 30_000  # changes of the long log


def written(folder: Path, log: Path) -> Path:
    done = run("report", log, "-o", folder / "page.html", cwd=folder)
    assert ("", 0) == (done.stderr, done.returncode)
    return folder / "page.html"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small log with stacks."""
    folder = tmp_path_factory.mktemp("shop")
    data: TrackedDict[str, Any] = TrackedDict(
        cfg={"ports": [80, 443]}, users=[{"name": "ann"}, {"name": "bob"}], tracking_auto_convert=True,
        tracking_capture_stack=True,
    )  # fmt: skip
    with json_file_observer(folder / "shop.jsonl") as observer:
        data.tracking_add_observer(observer)
        with tracking_actor("deploy", reason="rotate"):
            data["cfg"]["ports"][0] = 8080
            data["cfg"]["tls"] = True
        with tracking_actor("cleaner"):
            del data["users"][0]
            data["cfg"]["ports"].sort()
        data["note"] = "last"
    return written(folder, folder / "shop.jsonl")


@pytest.fixture
def page(browser: Browser, shop: Path) -> Browser:
    browser.open(shop)
    browser.until("document.querySelector('#position').textContent")
    browser.settle()
    return browser


def current(page: Browser) -> str:
    return re.sub(r" · .*", "", page.text("#position"))


def slide(page: Browser, n: int) -> None:
    """Move the slider, as a hand does: the browser tells the page."""
    page.run(
        f"(() => {{ const s = document.querySelector('#slider'); s.value = {n}; s.dispatchEvent(new Event('input')); }})()"
    )
    page.settle()


def data_rows(page: Browser) -> list[str]:
    """The tree as it is seen: key and value of each row, in order from above."""
    found: list[str] = page.run(
        "[...document.querySelectorAll('#tree .row')].filter(e => !e.hidden)"
        ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
        ".map(e => e.querySelector('.key').textContent + ' ' + e.querySelector('.value').textContent)"
    )
    return found


def test_it_opens_offline_without_a_word_of_complaint(page: Browser, shop: Path) -> None:
    """The page asks for nothing but itself, says nothing on the console, and shows the last change."""
    assert ([], [shop.resolve().as_uri()]) == (page.trouble, page.requests)
    assert "shop.jsonl" == page.text("#name")
    assert "6 changes by 3 actors" == page.text("#facts")
    assert current(page).endswith("6 of 6")
    assert 6 == len(page.texts("#list .row"))
    assert ["(no actor)", "deploy", "cleaner"] == [re.sub(r"\d+$", "", text) for text in page.texts("button.lane")]


def test_the_slider_shows_the_state_then(page: Browser) -> None:
    """Each position of the slider has its own state, and marks what was changed; going back works too."""
    slide(page, 2)
    seq = page.text("#list .row.current .seq")
    assert page.text("#position").startswith(f"change 2 of 6 · seq {seq} · ")
    assert ["the data dict of 2", "cfg dict of 1", "ports list of 2", "0 8080", "1 443"] == data_rows(page)[:5]
    assert ["0"] == page.texts("#tree .changed .key")
    slide(page, 1)
    assert [] == [row for row in data_rows(page) if "8080" in row]
    slide(page, 4)  # removed: still there, struck out
    assert ["0"] == page.texts("#tree .changed.is-remove .key")
    assert "users list of 1" in data_rows(page)
    slide(page, 0)
    assert "before the first change" == current(page)
    assert [] == data_rows(page)
    assert [] == page.trouble


def middle(page: Browser, selector: str) -> float:
    box = page.run(
        f"(({{ left, width }}) => [left, width])(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
    )
    return float(box[0] + box[1] / 2)


def press_at(page: Browser, x: float, selector: str) -> None:
    """Press the mouse at x, in the middle of the height of an element."""
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
    """At every position the cursor is on the change's tick, and where it is pressed is that change again; none is cut."""
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
    """The current change's tick stands out in the colour of its action, beside its actor's name; before all there is none."""
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
    """Ticks, the legend and the words of the list have the colours of the actions; nothing that names an actor has a hue."""
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


def test_each_place_names_its_last_writer(page: Browser) -> None:
    """Beside a place stands who wrote it last; pressing it goes to that change."""
    page.run("[...document.querySelectorAll('#tree .key')].find(e => e.textContent === 'cfg').click()")
    page.settle()
    writers = page.run(
        "Object.fromEntries([...document.querySelectorAll('#tree .row')].filter(e => !e.hidden && !e.querySelector('.writer').hidden)"
        ".map(e => [e.querySelector('.key').textContent, e.querySelector('.writer').textContent.replace(/ \\d+$/, '')]))"
    )
    assert {"tls": "deploy", "note": "(no actor)", "cfg": "(no actor)"}.items() <= writers.items()
    page.run(
        "[...document.querySelectorAll('#tree .row')].find(e => e.querySelector('.key').textContent === 'tls').querySelector('.writer').click()"
    )
    page.settle()
    assert current(page).endswith("3 of 6")


@pytest.mark.parametrize("dark", [False, True])
def test_a_writer_that_a_place_has_from_what_holds_it_can_be_read(page: Browser, dark: bool, tmp_path: Path) -> None:
    """It is told from one of its own by look, by what the pointer shows and in the help, and is no fainter than text."""
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
    assert titles["ports"].startswith("came with what holds it, written by (no actor), seq ")
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
    assert "it came with that" in page.text("#help")
    assert 1 == len(page.texts("#help .writer.inherited"))


def test_a_click_on_a_change_shows_its_stack(page: Browser) -> None:
    """The change that is pressed is the current one; its details have context, values and the calls that led to it."""
    page.click("#list .row:nth-child(2)")
    assert current(page).endswith("2 of 6")
    details = page.text("#details")
    assert all(word in details for word in ("deploy", "rotate", "/cfg/ports/0", "__setitem__"))
    assert ["80", "8080"] == page.texts("#details pre")
    assert any(re.fullmatch(r".*test_report_page\.py:\d+ in shop.*", frame) for frame in page.texts(".stack li"))
    assert page.texts(".stack li")[-1:] == page.texts(".stack .made")  # the innermost call stands out


@pytest.mark.parametrize("width", [1400, 1000, 920])
def test_a_pointer_without_room_shows_its_end_and_keeps_its_beginning(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    """Pointers begin at one edge, cut or whole; what has no room is behind an ellipsis, and still there to be read."""
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
    assert all(room < 25 for _, room in cut)  # as much is seen as has room, but for one sign
    assert not any("\ud800" <= off[-1] <= "\udfff" for off, _ in cut)
    names = [
        node["name"]["value"]
        for node in browser.call("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") == "option" and not node.get("ignored")
    ]
    assert set(pointers) <= {word for name in names for word in name.split()}


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("actor", "=cleaner", 2), ("actor", "=", 2), ("action", "add", 2), ("glob", "/cfg/**", 3), ("glob", "/users/*", 1),
        ("text", "ROTATE", 2), ("text", "nowhere", 0),
    ],
)  # fmt: skip
def test_a_filter_narrows_the_list(page: Browser, field: str, value: str, left: int) -> None:
    """Each filter lets through what it says, and Reset all of it; the state stays that of all changes."""
    before = data_rows(page)
    page.run(
        f"(() => {{ const e = document.getElementById('{field}'); e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    page.settle()
    assert (left, f"{left} of 6 changes") == (len(page.texts("#list .row")), page.text("#count"))
    assert before == data_rows(page)
    page.click("#reset")
    page.settle()
    assert (6, "") == (len(page.texts("#list .row")), page.text("#count"))


def test_a_path_that_is_none_is_said_so(page: Browser) -> None:
    """What cannot be a path filters nothing and is marked."""
    page.run("document.getElementById('glob').focus()")
    page.press("x")
    assert ("true", 6) == (page.run("document.getElementById('glob').ariaInvalid"), len(page.texts("#list .row")))
    assert "begins with" in page.text("#complaint")


def test_all_of_it_works_from_the_keyboard(page: Browser) -> None:
    """Arrows step, / goes to the filter and Escape leaves it, ? explains, and no key of a filter is taken for a step."""
    page.press("ArrowLeft")
    assert current(page).endswith("5 of 6")
    page.press("Home")
    page.press("ArrowRight")
    assert current(page).endswith("2 of 6")
    page.press("ArrowLeft", "ArrowLeft")
    assert "before the first change" == current(page)
    page.press("End", "k", "k", "j")
    assert current(page).endswith("5 of 6")
    page.press("/")
    page.press(*"users")
    assert "users" == page.run("document.getElementById('text').value")
    page.press("ArrowLeft")
    assert current(page).endswith("5 of 6")
    page.press("Escape", "Escape", "ArrowLeft")
    assert ("", "BODY") == (
        page.run("document.getElementById('text').value"),
        page.run("document.activeElement.tagName"),
    )
    assert current(page).endswith("4 of 6")
    page.press("?")
    assert page.run("document.getElementById('help').open")
    page.press("ArrowLeft", "Escape")
    assert (False, True) == (page.run("document.getElementById('help').open"), current(page).endswith("4 of 6"))
    pressed = "['by-number', 'by-time'].map(id => document.getElementById(id).ariaPressed)"
    assert ["true", "false"] == page.run(pressed)
    page.press("t")
    assert ["false", "true"] == page.run(pressed)
    page.click("#by-number")
    assert ["true", "false"] == page.run(pressed)
    assert [] == page.trouble


def test_filtered_steps_pass_over_what_is_not_listed(page: Browser) -> None:
    """With a filter the arrows go from one change that is listed to the next."""
    page.run(
        "document.getElementById('actor').value = '=deploy'; document.getElementById('filters').dispatchEvent(new Event('input'))"
    )
    page.press("ArrowLeft")
    assert current(page).endswith("3 of 6")
    page.press("ArrowLeft")
    assert current(page).endswith("2 of 6")
    page.press("End")
    assert current(page).endswith("3 of 6")


def test_the_tree_is_a_tree_for_the_keyboard(page: Browser) -> None:
    """Within the data the arrows move, open and close; Enter goes to the last writer."""
    page.run("document.getElementById('tree').focus()")
    page.press("Home", "ArrowLeft")
    assert ["the data {"] == [row[:10] for row in data_rows(page)]
    page.press("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown")
    assert "note" == page.run("document.querySelector('#tree .row.current .key').textContent")
    page.press("ArrowUp", "Enter")
    assert current(page).endswith("1 of 6")
    assert page.run(
        "document.getElementById(document.getElementById('tree').getAttribute('aria-activedescendant')) !== null"
    )


def test_names_and_roles_are_there_for_a_screen_reader(page: Browser) -> None:
    """What can be reached has a name and a role; the slider says in words what it shows."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    wanted = {"slider", "listbox", "option", "tree", "treeitem", "searchbox", "textbox", "combobox", "button", "image"}
    roles: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert set() == wanted - roles.keys()
    assert [] == [role for role in wanted if "" in roles[role]]
    said = page.run("document.getElementById('slider').getAttribute('aria-valuetext')")
    assert "6 of 6" in said
    assert "/note" in said


def test_the_heads_of_the_three_parts_are_in_one_line(page: Browser) -> None:
    """The box in the middle one makes it no higher, and stands in the middle of its own label."""
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
    """Text and ground follow what the system prefers, and differ enough to be read (WCAG AA, 4.5)."""
    page.picture(tmp_path / "page.png", dark=dark)
    colours = page.run("['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])")
    dim = page.run("getComputedStyle(document.querySelector('#facts')).color")
    ink, paper = colours
    assert dark == (_luminance(ink) > _luminance(paper))
    for each in (ink, dim):
        assert _contrast(each, paper) >= 4.5
    for name in ("paper", "panel", "mark"):  # under the actions of the list: as it is, pointed at, the current one
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


# ---- many


def test_a_long_log_has_few_rows_in_the_page(browser: Browser, tmp_path: Path) -> None:
    """Of tens of thousands of changes and of a list of thousands, only what is in sight is in the page."""
    lines = [change(seq=1, action="init", path=[], pointer="", after={"n": -1, "long": list(range(5000))})]
    for n in range(MANY - 1):
        lines.append(change(seq=n + 2, path=["n"], pointer="/n", before=n - 1, after=n, actor=f"worker-{n % 9}"))
    (tmp_path / "long.jsonl").write_bytes(b"".join(lines))
    browser.open(written(tmp_path, tmp_path / "long.jsonl"))
    browser.until("document.querySelector('#position').textContent")
    for n in (MANY, 2, MANY // 2, MANY - 1):
        slide(browser, n)
        assert f"{n:,} of {MANY:,}" in current(browser)
        assert f"n {n - 2}" in data_rows(browser)
        assert str(n) == browser.text("#list .row.current .seq")
        assert 100 > browser.run("document.querySelectorAll('.row').length")
    browser.run("[...document.querySelectorAll('#tree .key')].find(e => e.textContent === 'long').click()")
    browser.settle()
    assert "0 … 99 " in data_rows(browser)
    browser.run("document.querySelector('#list').scrollTop = 24 * 1000")
    browser.until("[...document.querySelectorAll('#list .seq')].some(e => e.textContent === '1003')")
    assert [] == browser.trouble


# ---- a log that somebody meant to do harm with

EVIL = [
    "<img src=x onerror='globalThis.pwned=1'>", "</script><script>globalThis.pwned=1</script>", "<!--<script>", "-->", "]]>",
    "\u2028globalThis.pwned=1//\u2029", "javascript:globalThis.pwned=1", "'\"><svg onload=globalThis.pwned=1>", "${globalThis.pwned=1}",
    "__proto__", "constructor", "toString", "$tuple", "\u202egnp.exe", "\ud800", "\x00\x1b[31m", "&lt;b&gt;",
]  # fmt: skip


def hostile() -> bytes:
    lines = [change(seq=1, action="init", path=[], pointer="", after={"x": 1})]
    for n, evil in enumerate(EVIL, 2):
        frame = {"filename": evil, "lineno": evil, "name": evil, "line": evil, "__proto__": evil}
        lines.append(
            change(
                seq=n, action="add", path=[evil], pointer=f"/{evil}", after={evil: [evil, {"$repr": evil, "type": evil}]},
                actor=evil, method=evil, type=evil, thread=evil, transaction=evil, context={evil: evil}, stack=[frame, evil, 7, None],
            )
        )  # fmt: skip
        lines.append(
            change(seq=n + 100, action=evil, path=[evil], pointer=evil, root=evil, after={"$dict": [[evil, evil]]})
        )
        lines.append(json.dumps({"v": 1, "action": "gap", "from": evil, "to": 1, "reason": evil}).encode() + b"\n")
        lines.append(json.dumps({"action": "update", "location": evil, "value": evil, "method": evil}).encode() + b"\n")
    deep = b"[" * 400 + b"]" * 400
    lines.append(
        change(seq=300, action="add", path=["deep"], pointer="/deep", after=0).replace(
            b'"after": 0', b'"after":' + deep
        )
    )
    lines.append(
        change(
            seq=301, splice=[0, 1], order="x", changes=[[1]], paths={}, path={}, context=[], stack={}, before=1e308 * 10
        )
    )
    return b"".join(lines)


def test_a_hostile_log_is_text_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    """Markup, scripts and line separators in values, keys, actors, actions and stacks: shown, never run."""
    log = tmp_path / "a<img src=x onerror=globalThis.pwned=1>.jsonl"
    log.write_bytes(hostile())
    path = tmp_path / "page.html"
    done = run("report", log, "-o", path, cwd=tmp_path)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    browser.open(path)
    browser.until("document.querySelector('#position').textContent")
    size = int(browser.run("document.getElementById('slider').max"))
    assert size >= 4 * len(EVIL)
    shown = set()
    for n in range(size + 1):
        slide(browser, n)
        shown.update(
            browser.texts(
                "#details dd, #details pre, #details li, #tree .key, #list .actor, #list .where, #list .action"
            )
        )
    for evil in EVIL[:5]:
        assert any(evil in text for text in shown)
    assert not any(sign in text for text in shown for sign in "\u202e\u2028\x00\x1b\ud800")
    for actor in browser.run("[...document.querySelectorAll('#actor option')].map(e => e.value)"):
        browser.run(
            f"document.getElementById('actor').value = {json.dumps(actor)}; document.getElementById('filters').dispatchEvent(new Event('input'))"
        )
    assert [None, None] == browser.run("[globalThis.pwned ?? null, Object.prototype.pwned ?? null]")
    assert 1 == browser.run("document.scripts.length")  # the data's own element is taken away once it is read
    assert [] == browser.run("[...document.querySelectorAll('img, svg, iframe, b i')].map(e => e.tagName)")
    assert ([], [path.resolve().as_uri()]) == (browser.trouble, browser.requests)


def test_the_policy_stops_what_would_get_through(browser: Browser, shop: Path) -> None:
    """Even with markup in the page, a handler, a script, a style or a request of a foreign hand would not run."""
    browser.open(shop)
    with pytest.raises(BrowserError, match="TrustedHTML"):
        browser.run("document.body.innerHTML = '<img src=x onerror=globalThis.pwned=1>'; 0")
    with pytest.raises(BrowserError, match="TrustedScript"):
        browser.run(
            "document.body.append(Object.assign(document.createElement('script'), { text: 'globalThis.pwned = 1' })); 0"
        )
    with pytest.raises(BrowserError, match="Failed to fetch"):
        browser.run("fetch('http://127.0.0.1:9/')")
    assert None is browser.run("globalThis.pwned ?? null")
    assert any("Content Security Policy" in text for text in browser.trouble)
