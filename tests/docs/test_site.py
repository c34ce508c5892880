"""The documentation site in a real browser, also as wide as a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find

SITE = Path(__file__).parent.parent.parent / "build" / "site"
PAGES = [page for page in sorted(SITE.rglob("*.html")) if page.name != "404.html"]  # only a server shows it
WIDER = """[...document.querySelectorAll('article *')]
    .filter(each => !each.closest('pre, .md-typeset__scrollwrap, .highlight, .headerlink'))
    .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(each => each.tagName + ' ' + each.textContent.slice(0, 60))"""

pytestmark = pytest.mark.skipif(not PAGES, reason="the site is not built; run `just docs`")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find()
    if program is None:
        pytest.skip("Chromium is not installed; install it, or name it in PYDATATRACKER_BROWSER")
    with Browser(program) as found:
        yield found


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(SITE).as_posix())
def test_a_page_fits_and_needs_nothing_from_elsewhere(browser: Browser, page: Path, width: int) -> None:
    """A page fits, has no error, and requests nothing outside its folder."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.open(page)
    browser.settle()
    assert [] == [address for address in browser.requests if not address.startswith(("file:", "data:"))]
    assert [] == browser.trouble
    assert width == browser.run("document.documentElement.scrollWidth")
    assert [] == browser.run(WIDER)


def test_the_search_works_without_a_server(browser: Browser) -> None:
    """The search finds a guide in pages that are opened from a folder."""
    size = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.open(SITE / "index.html")
    browser.click(".md-search__input")
    browser.press(*"redact")
    browser.until("document.querySelectorAll('.md-search-result__item').length")
    assert "Redact secrets" in browser.texts(".md-search-result__item h1")
    assert [] == [address for address in browser.requests if not address.startswith(("file:", "data:"))]


def test_the_theme_follows_the_system(browser: Browser) -> None:
    """Pages are dark if the system is dark, without a click."""
    scheme = "document.body.getAttribute('data-md-color-scheme')"
    for theme, expected in (("light", "default"), ("dark", "slate")):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        browser.open(SITE / "index.html")
        assert expected == browser.run(scheme)
