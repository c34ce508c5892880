"""The `report` page on a narrow screen, and checked by axe-core."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from browser import Browser
from chromium import browser
from command import change
from report_page import page, shop, slide, written

__all__ = ["browser", "page", "shop"]  # the fixtures

LONG = "x" * 3000
BUILD = Path(__file__).parents[2] / "build" / "axe"


def log_of(kind: str) -> bytes:
    """Return a log whose names or values are longer than any line."""
    frames = [{"filename": f"/{LONG}.py", "lineno": 1, "name": LONG, "line": LONG}] * 3
    fields = {
        "paths": {"path": [LONG] * 3, "pointer": f"/{LONG}/{LONG}/{LONG}"},
        "values": {"path": ["k"], "pointer": "/k", "before": {LONG: LONG}},
        "names": {"path": ["k"], "pointer": "/k", "actor": LONG, "context": {LONG: LONG}, "method": LONG, "type": LONG},
        "stack": {"path": ["k"], "pointer": "/k", "stack": frames, "culprit": 1},
        "many": {"path": ["k"], "pointer": "/k"},
    }[kind]
    deep = {LONG: {LONG: {LONG: 1}}} if kind == "paths" else {"k": {LONG: LONG}}
    lines = [change(seq=1, action="init", path=[], pointer="", after=deep)]
    for n in range(2, 2000 if kind == "many" else 4):
        lines.append(change(**{"seq": n, "after": {LONG: [LONG, n]}, "actor": f"actor {n}", **fields}))
    return b"".join(lines)


@pytest.mark.parametrize("kind", ["paths", "values", "names", "stack", "many"])
def test_nothing_scrolls_sideways(browser: Browser, tmp_path: Path, kind: str) -> None:
    """At a width of 400 pixels the page and its dialogs fit.

    Paths and values may have any length.
    """
    log = tmp_path / f"{'n' * 100}.jsonl"
    log.write_bytes(log_of(kind))
    browser.open(written(tmp_path, log))
    browser.until("document.querySelector('#position').textContent")
    try:
        browser.picture(tmp_path / "page.png", width=400, height=800)
        for keys in ("", "Home", "End", "c", "e", "?"):
            if keys:
                browser.press(keys)
            wide = browser.run(
                "[document.scrollingElement, ...document.querySelectorAll('dialog[open]')].map(e => e.scrollWidth - e.clientWidth)"
            )
            assert {0} == set(wide), keys
            assert 400 >= browser.run("document.scrollingElement.scrollWidth")
            assert [] == browser.run(
                "[...document.querySelectorAll('header *, dialog[open] *, #ends *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > 400.5).map(e => e.outerHTML.slice(0, 200))"
            )
            if browser.run("document.querySelector('dialog[open]') !== null"):
                browser.press("Escape")
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")
    assert [] == browser.trouble


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the script of axe-core, which is fetched to build/axe once."""
    script = BUILD / "axe.min.js"
    if not script.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        own = BUILD / str(os.getpid())  # another process may fetch it, too
        own.mkdir(exist_ok=True)
        command = ["npm", "pack", "--silent", "--fetch-retries=0", "axe-core@4"]
        with contextlib.suppress(OSError, subprocess.SubprocessError, tarfile.TarError, IndexError, KeyError):
            done = subprocess.run(command, cwd=own, capture_output=True, timeout=30, check=True)
            with tarfile.open(own / done.stdout.decode().split()[-1]) as packed:
                packed.extract("package/axe.min.js", own, filter="data")
            (own / "package" / "axe.min.js").replace(script)
        shutil.rmtree(own, ignore_errors=True)
    if not script.exists():
        pytest.skip("axe-core could not be fetched: npm pack axe-core")
    return script.read_text("utf-8")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(page: Browser, axe: str, dark: bool, width: int, tmp_path: Path) -> None:
    """The page and its dialogs have no violation that axe-core knows."""
    page.picture(tmp_path / "page.png", dark=dark, width=width)
    page.run(f"{axe}; 0")
    try:
        for keys in ("", "Home", "ArrowLeft", "End", "c", "e", "?"):
            if keys == "End":
                slide(page, 4)
                page.run(
                    "document.getElementById('find').value = 'a'; document.getElementById('find').dispatchEvent(new Event('input')); 0"
                )
            elif keys:
                page.press(keys)
            page.settle()
            found = page.run(
                "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(n => n.html.slice(0, 150) + ' ' + n.failureSummary.slice(0, 300)).join('; ')}`))"
            )
            assert [] == found, keys
            if page.run("document.querySelector('dialog[open]') !== null"):
                page.press("Escape")
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")
        page.call("Emulation.setEmulatedMedia", features=[])
