"""Pages of `report` in a browser, for tests of behaviour and looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from command import run

from pydatatracker import TrackedDict, tracking_actor
from pydatatracker.observers import json_file_observer

__all__ = ["current", "data_rows", "page", "shop", "slide", "written"]


def written(folder: Path, log: Path) -> Path:
    done = run("report", log, "-o", folder / "page.html", cwd=folder)
    assert ("", 0) == (done.stderr, done.returncode)
    return folder / "page.html"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Open the page of a small log with stacks."""
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
    """Move the slider as a person does."""
    page.run(
        f"(() => {{ const s = document.querySelector('#slider'); s.value = {n}; s.dispatchEvent(new Event('input')); }})()"
    )
    page.settle()


def data_rows(page: Browser) -> list[str]:
    """Return key and value of each visible row of the tree, from the top."""
    found: list[str] = page.run(
        "[...document.querySelectorAll('#tree .row')].filter(e => !e.hidden)"
        ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
        ".map(e => e.querySelector('.key').textContent + ' ' + e.querySelector('.value').textContent)"
    )
    return found
