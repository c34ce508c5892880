"""The behaviour of the `report` page in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from browser import Browser, BrowserError
from chromium import browser
from command import change, run
from report_page import current, data_rows, page, shop, slide, written

from pydatatracker import track
from pydatatracker.observers import json_file_observer
from pydatatracker.values.encode import NESTING

__all__ = ["browser", "page", "shop"]  # the fixtures

MANY = 30_000  # changes of the long log


def test_it_opens_offline_without_messages(page: Browser, shop: Path) -> None:
    """The page opens offline, logs nothing, and shows the last change."""
    assert ([], [shop.resolve().as_uri()]) == (page.trouble, page.requests)
    assert "shop.jsonl" == page.text("#name")
    assert "6 changes by 3 actors" == page.text("#facts")
    assert current(page).endswith("6 of 6")
    assert 6 == len(page.texts("#list .row"))
    assert ["(no actor)", "deploy", "cleaner"] == [re.sub(r"\d+$", "", text) for text in page.texts("button.lane")]


def test_the_slider_shows_the_state_then(page: Browser) -> None:
    """Each position of the slider shows its state, and marks the change.

    The slider is moved in both directions.
    """
    slide(page, 2)
    seq = page.text("#list .row.current .seq")
    assert page.text("#position").startswith(f"change 2 of 6 · seq {seq} · ")
    assert ["the data dict of 2", "cfg dict of 1", "ports list of 2", "0 8080", "1 443"] == data_rows(page)[:5]
    assert ["0"] == page.texts("#tree .changed .key")
    slide(page, 1)
    assert [] == [row for row in data_rows(page) if "8080" in row]
    slide(page, 4)  # a removed item is still shown, struck out
    assert ["0"] == page.texts("#tree .changed.is-remove .key")
    assert "users list of 1" in data_rows(page)
    slide(page, 0)
    assert "before the first change" == current(page)
    assert [] == data_rows(page)
    assert [] == page.trouble


def test_each_value_names_its_last_writer(page: Browser) -> None:
    """Each value has its last writer beside it; a press selects that change."""
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


def test_what_is_below_a_withheld_value_fits(browser: Browser, tmp_path: Path) -> None:
    """A change below it has no effect on the data, and is no contradiction."""
    data = track({"tokens": {"a": [1]}, "n": 1}, tracking_redact="/**/tokens")
    with json_file_observer(tmp_path / "log.jsonl") as observer:
        data.tracking_add_observer(observer)
        data["tokens"]["a"].append(2)
        data["tokens"]["b"] = 3
        data["n"] = 2
    browser.open(written(tmp_path, tmp_path / "log.jsonl"))
    browser.until("document.querySelector('#position').textContent")
    browser.settle()
    assert [] == browser.texts("#details .trouble")
    browser.click("#list .row:nth-child(2)")
    assert [] == browser.texts("#details .trouble")


def test_a_click_on_a_change_shows_its_stack(page: Browser) -> None:
    """A click on a change shows its context, values, culprit and stack."""
    page.click("#list .row:nth-child(2)")
    assert current(page).endswith("2 of 6")
    details = page.text("#details")
    assert all(word in details for word in ("deploy", "rotate", "/cfg/ports/0", "__setitem__"))
    assert ["80", "8080"] == page.texts("#details pre")
    assert any(re.fullmatch(r".*report_page\.py:\d+ in shop.*", frame) for frame in page.texts(".stack li"))
    assert [page.texts(".stack li")[-1]] * 2 == page.texts(".stack .made")  # the culprit, and the innermost call
    assert page.texts(".stack li")[0] == page.texts(".stack .made")[0]
    assert page.run("[...document.querySelectorAll('#details details')].map(each => each.open)") == [False]


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("actor", "=cleaner", 2), ("actor", "=", 2), ("action", "add", 2), ("glob", "/cfg/**", 3), ("glob", "/users/*", 1),
        ("text", "ROTATE", 2), ("text", "nowhere", 0),
    ],
)  # fmt: skip
def test_a_filter_narrows_the_list(page: Browser, field: str, value: str, left: int) -> None:
    """Each filter narrows the list, and Reset clears all of them.

    The state that is shown does not depend on filters.
    """
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


def test_an_invalid_path_is_marked(page: Browser) -> None:
    """An invalid path filters nothing and is marked."""
    page.run("document.getElementById('glob').focus()")
    page.press("x")
    assert ("true", 6) == (page.run("document.getElementById('glob').ariaInvalid"), len(page.texts("#list .row")))
    assert "begins with" in page.text("#complaint")


def test_all_of_it_works_from_the_keyboard(page: Browser) -> None:
    """Every control works from the keyboard.

    Arrows step, / goes to the filter, Escape leaves it, and ? shows help. Keys typed into a filter do not step.
    """
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


def test_filtered_steps_skip_what_is_not_listed(page: Browser) -> None:
    """With a filter the arrows step through listed changes only."""
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
    """In the tree arrows move, open and close; Enter goes to the last writer."""
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
    """Every control has a name and a role for a screen reader.

    The text of the slider describes the current change.
    """
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


# ---- a long log


def test_a_long_log_has_few_rows_in_the_page(browser: Browser, tmp_path: Path) -> None:
    """The page of a long log contains only the rows in sight."""
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


# ---- a malicious log

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
    deep = b"[" * (NESTING - 1) + b"]" * (NESTING - 1)
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
    """Markup and scripts anywhere in a log are shown, never run."""
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
    assert 1 == browser.run("document.scripts.length")  # the element that holds the data is removed once it is read
    assert [] == browser.run("[...document.querySelectorAll('img, svg, iframe, b i')].map(e => e.tagName)")
    assert ([], [path.resolve().as_uri()]) == (browser.trouble, browser.requests)


def test_the_policy_stops_what_would_get_through(browser: Browser, shop: Path) -> None:
    """The policy blocks injected markup, handlers, scripts and requests."""
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
