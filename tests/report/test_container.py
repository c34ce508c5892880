"""The page of a container, in a frame as a notebook has it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from chromium import browser  # noqa: F401 - a fixture

from pydatatracker import TrackedAttr, TrackedDeque, TrackedDict, TrackedList, track, tracking_actor, watch
from pydatatracker.containers.mixin import TrackingMixin
from pydatatracker.report.container import Report

SECRET = "hunt" + "er2"


def rows(report: Report) -> Any:
    """Return the data that the page holds."""
    found = re.search(r'<script type="application/json" id="data"[^>]*>(.*?)</script>', report.html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


class Point(TrackedAttr):
    def __init__(self) -> None:
        self.x = 1
        self.tags: Any = {}


def test_every_container_has_a_page() -> None:
    """A report has all changes of a container, of whatever kind it is."""
    point = Point()
    point.x = 2
    point.tags["a"] = 1
    items = TrackedList([1])
    items.append(2)
    deque = TrackedDeque([1])
    deque.rotate(1)
    deque.append(2)
    plain = {"a": 1}
    containers: list[Any] = [point, point.tags, items, deque, TrackedDict()]
    if sys.version_info >= (3, 12):
        containers.append(watch(plain))
        plain["a"] = 2
    for each in containers:
        expected = [change.seq for change in each.tracking_changes()]
        assert expected == rows(each.tracking_report())["columns"]["seq"]


@pytest.mark.parametrize("most", [0, 2])
def test_changes_that_are_not_kept(most: int) -> None:
    """A page begins with the state before the first change that is kept."""
    d = track(
        {"a": [1], "password": SECRET}, tracking_max_changes=most, tracking_redact="/password", tracking_name="<d>"
    )
    for n in range(5):
        d["a"].append(n)
    data = rows(d.tracking_report())
    expected = [1, *range(5 - most)]
    assert {"a": expected, "password": {"$redacted": True}} == data["columns"]["body"][0]["a"]
    assert 1 + most == len(data["columns"]["seq"])
    assert SECRET not in d.tracking_report().html


def test_a_report_is_of_its_moment(tmp_path: Path) -> None:
    """Later changes are not in a report; `save` writes what it shows."""
    d = track({"a": 1})
    d["a"] = 2
    report = d.tracking_report()
    d["a"] = 3
    assert 2 == len(rows(report)["columns"]["seq"])
    assert "<report: 1 change>" == repr(report)
    report.save(tmp_path / "page.html")
    assert report.html == (tmp_path / "page.html").read_text("utf-8")
    with pytest.raises(FileNotFoundError):
        report.save(tmp_path / "none" / "page.html")


@pytest.mark.parametrize("height", [0, -1, True, "600", 1.5])
def test_a_wrong_height(height: Any) -> None:
    """The height of the frame is a number of pixels."""
    with pytest.raises(TypeError, match="height is a number of pixels above 0"):
        TrackedDict().tracking_report(height)


def test_only_a_report_imports_the_report() -> None:
    """The method is an ordinary one; a subclass may have its own."""
    assert "tracking_report" in vars(TrackingMixin)

    class Own(TrackedDict):
        def tracking_report(self, height: int = 1) -> Any:
            return super().tracking_report(height)

    assert "height: 7px" in Own(a=1).tracking_report(7)._repr_html_()


def test_the_frame_in_a_browser(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    """In a sandboxed frame the page works, and nothing of the data runs.

    It reports no error, and no request leaves it.
    """
    d = track({"ports": [80]}, tracking_capture_stack=True)
    with tracking_actor("</script><script>parent.document.title='broken'</script>"):
        d["ports"].append("</iframe><script>document.title='broken'</script>\"'")
    page = tmp_path / "notebook.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><title>book</title><body>{d.tracking_report()._repr_html_()}")
    browser.open(page.as_uri())
    (frame,) = (each for each in browser.call("Target.getTargets")["targetInfos"] if each["type"] == "iframe")
    outer = browser._session
    browser._session = browser.call("Target.attachToTarget", targetId=frame["targetId"], flatten=True)["sessionId"]
    try:  # the frame has a process of its own
        browser.until("document.querySelectorAll('#list .row').length === 2")
        assert browser.text("#facts").startswith("2 changes by")
    finally:
        browser._session = outer
    assert "book" == browser.run("document.title")
    assert 600 <= browser.run("document.querySelector('iframe').offsetHeight")
    assert [] == browser.trouble
