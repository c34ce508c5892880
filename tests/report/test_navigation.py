"""The `report` page as something to link to, in a real browser.

The culprit first, the fragment of the address, and the keys that follow a place or an actor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from browser import Browser
from chromium import browser
from command import change
from report_page import current, data_rows, written

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


def fragment(page: Browser) -> str:
    """Return the fragment once the page has written what is current."""
    page.run("new Promise(done => setTimeout(done, 350))")
    return unquote(str(page.run("location.hash")))


def row(page: Browser) -> str:
    return str(page.run("document.querySelector('#tree .row.current:not([hidden]) .key')?.textContent ?? ''"))


# ---- the culprit


def test_the_line_that_did_it_comes_first(browser: Browser, file: Path) -> None:
    """The culprit is first and open; all calls are folded after it."""
    page = at(browser, file, "#seq=3")
    first = page.run("[...document.querySelector('#details').children].slice(0, 4).map(e => e.tagName)")
    assert ["H3", "OL", "DETAILS", "DL"] == first
    assert "Culprit" == page.text("#details h3")
    assert "/app/price.py:8 in discountorder.price = price" == page.text("#details ol")
    assert not page.run("document.querySelector('#details details').open")
    assert "Stack, 3 calls, innermost last" == page.text("#details summary")
    page.click("#details summary")
    box = "document.querySelector('#details details')"
    assert page.run(f"{box}.open && [...{box}.querySelectorAll('li')].map(e => e.className)") == ["", "made", ""]


# ---- the address


@pytest.mark.parametrize(
    ("given", "change_number", "chosen"),
    [
        ("#seq=3", 3, "a/b"),
        ("#seq=2&path=/users/1/name", 2, "name"),
        ("#path=/users&seq=4", 4, "users"),
        ("#seq=9&path=/odd/a~1b", 9, "a/b"),
        ("#seq=9&path=%2Fodd%2Fm~0n", 9, "m~n"),
        ("#seq=9&path=/odd/%C3%BC%E2%80%AE/x", 9, "x"),
        ("#seq=9&path=/odd/%3Cb%3E", 9, "<b>"),
        ("#seq=9&path=/odd/", 9, '""'),
        ("#seq=9&path=/odd/long/777", 9, "777"),
        ("#seq=9&path=%232/k", 9, "k"),
        ("#change=4", 4, "name"),
        ("#change=0", 0, ""),
        ("#path=/users", 9, "users"),
    ],
)
def test_a_link_opens_the_state_at_a_path(
    browser: Browser, file: Path, given: str, change_number: int, chosen: str
) -> None:
    """A fragment selects a change and opens the data at a path."""
    page = at(browser, file, given)
    expected = "before the first change" if change_number == 0 else f"change {change_number} of 9"
    assert (expected, chosen, "") == (current(page), row(page), page.text("#notice"))
    assert [] == page.trouble
    page.press("ArrowLeft", "ArrowRight")
    if "path" in given:
        page.run(f"location.hash = ''; location.hash = {given!r}; 0")
        page.settle()
        page.settle()
        assert chosen == row(page)


def test_the_address_follows_and_a_link_to_it_leads_back(browser: Browser, file: Path) -> None:
    """Navigation is written to the fragment, which leads back.

    The history of the browser gets no entry.
    """
    page = at(browser, file)
    assert "" == page.run("location.hash")
    before = page.run("history.length")
    for keys, expected in (
        ([], "#seq=9&path=#1/odd/m~n".replace("m~n", "m~0n")),
        (["ArrowLeft"], "#seq=8&path=#1/odd/m~0n"),
        (["Home"], "#seq=1&path=#1"),
        (["ArrowLeft"], "#change=0"),
        (["ArrowRight", "ArrowRight"], "#seq=2&path=#1/users/0/name"),
    ):
        page.press("End" if not keys else keys[0], *keys[1:])
        assert expected == fragment(page)
    page.run("document.getElementById('tree').focus()")
    page.press("ArrowUp")
    assert "#seq=2&path=#1/users/0" == fragment(page)
    assert before == page.run("history.length")
    shown, link = data_rows(page), page.run("location.href")
    at(page, file, link[link.index("#") :])
    assert (shown, "0", "change 2 of 9") == (data_rows(page), row(page), current(page))
    assert [] == page.trouble


def test_many_steps_write_the_address_once(browser: Browser, file: Path) -> None:
    """The address is written at the end of many steps.

    Browsers refuse to do it often, and say so on the console.
    """
    page = at(browser, file)
    page.run("globalThis.written = 0; history.replaceState = () => written++; 0")
    page.press(*["ArrowLeft", "ArrowRight"] * 20)
    fragment(page)
    assert 1 <= page.run("written") <= 5
    assert [] == page.trouble


HOSTILE: list[tuple[str, str]] = [
    ("#seq=999", "no change with seq 999"),
    ("#seq=-1", "is not a number"),
    ("#seq=1e3", "is not a number"),
    ("#seq=99999999999999999999", "is not a number"),
    ("#seq=", "is not a number"),
    ("#seq=3&process=77", "of process 77"),
    ("#change=10", "The log has 9 changes, not 10"),
    ("#seq=%zz", "invalid %"),
    ("#seq=3&path=%E0%A4%A", "invalid %"),
    ("#seq=3&path=users", "begins with /"),
    ("#seq=3&path=/users/9", "There is no #1/users/9 at this change"),
    ("#seq=3&path=/users/-1", "There is no #1/users/-1"),
    ("#seq=3&path=/users/01", "There is no #1/users/01"),
    ("#seq=3&path=/users/length", "There is no #1/users/length"),
    ("#seq=3&path=/__proto__/constructor", "There is no #1/__proto__/constructor"),
    ("#seq=3&path=%239/k", "There is no"),
    ("#seq=3&path=%230/k", "There is no"),
    ("#seq=3&path=/<img src=x onerror=globalThis.pwned=1>", "There is no #1/<img"),
    ("#seq=3&path=/%E2%80%AEevil", "There is no #1/\\u202eevil"),
    ("#seq=<script>globalThis.pwned=1</script>", "is not a number"),
    ("#javascript:globalThis.pwned=1", ""),
    ("#__proto__=1&constructor=2&toString", ""),
    ("#" + "&" * 1000, ""),
    ("#seq=3&path=" + "/x" * 20000, "There is no"),
]


def test_a_hostile_fragment_does_nothing_harmful(browser: Browser, file: Path) -> None:
    """What a fragment names wrongly is said as text; the page works on."""
    page = at(browser, file)
    for given, notice in HOSTILE:
        page.run("location.hash = ''; 0")
        page.run(f"location.hash = {given!r}; 0")
        page.settle()
        page.settle()
        said = page.text("#notice")
        assert notice in said if notice else said == "", given
        assert len(said) < 300
        assert None is page.run("globalThis.pwned ?? null")
        assert 0 == page.run("document.querySelectorAll('img').length")
        page.press("End")
        assert "change 9 of 9" == current(page)
        assert "" == page.text("#notice")
    assert ([], 1) == (page.trouble, page.run("document.scripts.length"))
    at(page, file, HOSTILE[0][0])  # also when it is opened with one
    assert "no change with seq 999" in page.text("#notice")
    assert "change 9 of 9" == current(page)


def test_a_page_whose_address_cannot_be_written_works(browser: Browser, file: Path) -> None:
    """A page inside another one, as in a notebook, may not write its address."""
    page = at(browser, file)
    page.run("history.replaceState = () => { throw new DOMException('no', 'SecurityError'); }; 0")
    page.press("Home", "ArrowRight")
    fragment(page)
    assert ("change 2 of 9", []) == (current(page), page.trouble)


def test_several_processes_have_seqs_of_their_own(browser: Browser, tmp_path: Path) -> None:
    """With several processes in a log a link names the process, too."""
    (tmp_path / "log.jsonl").write_bytes(
        b"".join(
            change(seq=n, pid=pid, root=f"r{pid}", action="add", path=[f"k{n}"], pointer=f"/k{n}", after=pid, time_ns=n * 1000 + pid)
            for n in (1, 2)
            for pid in (7, 8)
        )
    )  # fmt: skip
    page = at(browser, written(tmp_path, tmp_path / "log.jsonl"), "#seq=2&process=7")
    assert "change 3 of 4" == current(page)
    page.press("ArrowRight")
    assert "#seq=2&process=8&path=#2/k2" == fragment(page)
    page.press("ArrowLeft", "ArrowLeft")
    assert "#seq=1&process=8&path=#2/k1" == fragment(page)


def test_the_link_is_copied(browser: Browser, file: Path) -> None:
    """The button and its key copy the address, or show it."""
    page = at(browser, file, "#seq=3")
    page.run(
        "globalThis.copied = []; Object.defineProperty(navigator, 'clipboard',"
        " { configurable: true, value: { writeText: async (text) => { copied.push(text); } } }); 0"
    )
    page.click("#copy")
    assert "The link was copied." == page.text("#notice")
    page.press("ArrowLeft", "l")
    uri = file.resolve().as_uri()
    expected = [f"{uri}#seq=3&path=#1/odd/a~1b", f"{uri}#seq=2&path=#1/users/0/name"]
    assert expected == [unquote(link) for link in page.run("copied")]
    page.run(
        "Object.defineProperty(navigator, 'clipboard', { value: { writeText: async () => { throw new Error(); } } }); 0"
    )
    page.press("l")
    assert f"does not allow to copy: {uri}#seq=2" in page.text("#notice")


# ---- the keys


@pytest.mark.parametrize(
    ("start", "key", "expected"),
    [
        (2, "p", [5]),  # /users/0/name: then /users, and no more
        (5, "P", [4, 2, 1]),
        (3, "p", []),
        (9, "P", [8, 1]),  # one of the rows of an update
        (8, "p", [9]),
        (6, "p", [7]),  # the other container has paths of its own
        (2, "a", [4, 8, 9]),
        (9, "A", [8, 4, 2]),
        (7, "A", [5, 3]),
    ],
)
def test_keys_follow_a_place_and_an_actor(
    browser: Browser, file: Path, start: int, key: str, expected: list[int]
) -> None:
    """The keys follow a place or an actor, or say that there is none."""
    page = at(browser, file, f"#seq={start}")
    found: list[Any] = []
    for _ in range(5):
        page.press(key)
        if "change" in page.text("#notice"):
            break
        found.append(int(page.text("#list .row.current .seq")))
    assert expected == found
    assert page.text("#notice").startswith("No earlier" if key.isupper() else "No later")


def test_the_keys_stay_within_the_filters_and_are_in_the_help(browser: Browser, file: Path) -> None:
    """The keys skip what the filters leave out. The help lists each key."""
    page = at(browser, file, "#seq=2")
    page.run(
        "document.getElementById('action').value = 'add'; document.getElementById('filters').dispatchEvent(new Event('input'))"
    )
    page.press("a")
    assert "change 8 of 9" == current(page)
    page.press("?")
    shown = set(page.texts("#help kbd"))
    keys = set(
        page.run(
            '[...document.scripts].at(-1).textContent.match(/const KEYS = \\{[^]*?\\n\\};/)[0].match(/[\\w/?"]+(?=: (?:\\(\\)|open|copy))/g)'
        )
    )
    names = {
        "ArrowLeft": "←",
        "ArrowRight": "→",
        "ArrowUp": "↑",
        "ArrowDown": "↓",
        "Escape": "Esc",
        "PageUp": "Page Up",
        "PageDown": "Page Down",
    }
    assert {names.get(key.strip('"'), key.strip('"')) for key in keys} <= shown
