"""Changes and tracked containers in rich."""

from __future__ import annotations

import collections
from typing import Any

import pytest

pytest.importorskip("rich")

from rich.console import Console
from rich.pretty import pretty_repr

from pydatatracker import (
    ChangeLogEntry,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    track,
    tracking_actor,
)
from pydatatracker.integrations.rich import table
from pydatatracker.io import parse, to_line


def shown(thing: Any) -> str:
    console = Console(width=400, record=True, color_system=None, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(thing)
    return console.export_text()


@pytest.mark.parametrize(
    ("tracked", "plain"),
    [
        (TrackedDict(a=[1, {"b": 2}]), {"a": [1, {"b": 2}]}),
        (track({"a": [1, {"b": {2}}]}), {"a": [1, {"b": {2}}]}),
        (TrackedList([1, "x"]), [1, "x"]),
        (TrackedSet({1}), {1}),
        (TrackedOrderedDict(a=1), collections.OrderedDict(a=1)),
        (TrackedDefaultDict(list, a=[1]), collections.defaultdict(list, a=[1])),
        (TrackedCounter("a"), collections.Counter("a")),
        (TrackedDeque([1, 2], maxlen=3), collections.deque([1, 2], maxlen=3)),
    ],
)
def test_a_tracked_container_is_shown_as_its_original(tracked: Any, plain: Any) -> None:
    """Rich shows a tracked container as it shows the builtin.

    A defaultdict, Counter or deque stays on one line: rich folds only those whose repr is that of the original class.
    """
    assert pretty_repr(plain) == pretty_repr(tracked)
    if not isinstance(tracked, (TrackedDefaultDict, TrackedCounter, TrackedDeque)):
        assert pretty_repr(plain, max_width=5) == pretty_repr(tracked, max_width=5)


def test_a_change_is_shown_by_its_parts() -> None:
    """A change shows number, action, path, values, actor and line.

    So does one that was read, and a line; values are cut, and markup of rich in the data has no meaning.
    """
    d = track({"port": 80}, tracking_capture_stack=True, tracking_redact=["/secret"])
    with tracking_actor("[red]ann[/red]"):
        d["port"] = 8080
    change = d.last_change()
    for form in (change, ChangeLogEntry.from_dict(change.to_dict()), parse(to_line(change))):
        text = shown(form)
        for part in (
            f"({change.seq}, 'update', '/port', before=80, after=8080, actor='[red]ann[/red]'",
            "test_rich.py:",
        ):
            assert part in text.replace("\n    ", " ").replace("( ", "(").replace("\n", "")
    d["big"] = "x" * 10**6
    assert len(shown(d.last_change())) < 2000
    d["secret"] = 12345678
    assert "12345678" not in shown(d.last_change()).partition("line=")[0]
    assert "REDACTED" in shown(d.last_change())


def test_a_history_and_a_blame_are_tables() -> None:
    """`table` has one row per change, with the text of the data as it is."""
    d = track({"port": 80}, tracking_capture_stack=True)
    d["[bold]x[/bold]"] = "\x1b[31m[link=http://x]y[/link]"
    del d["port"]
    made = table(d.tracking_changes(), title="[b]all[/b]")
    assert 3 == made.row_count
    text = shown(made)
    assert "[b]all[/b]" in text
    assert "/[bold]x[~1bold]" in text
    assert "\x1b" not in text
    assert 2 == table(d.tracking_blame()).row_count
    gap = parse(b'{"v":1,"action":"gap","from":6,"to":9,"reason":"[b]full"}')
    assert "[b]full" in shown(table([gap]))
