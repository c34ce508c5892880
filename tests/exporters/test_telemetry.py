"""``telemetry_observer``: changes counted in Prometheus or elsewhere."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Any

import pytest
from command import environment

from pydatatracker import TrackedDict
from pydatatracker.observers import telemetry_observer


def test_prometheus_counts_by_action() -> None:
    """A scrape of the registry shows the counts by action.

    Two observers share the same metric.
    """
    prometheus_client = pytest.importorskip("prometheus_client", reason="the extra prometheus is not installed")

    def scraped() -> dict[str, float]:
        registry = prometheus_client.REGISTRY
        names = ("add", "update", "remove")
        return {name: registry.get_sample_value("pydatatracker_changes_total", {"action": name}) or 0 for name in names}

    d, other = TrackedDict(), TrackedDict()
    d.tracking_add_observer(telemetry_observer())
    before = scraped()
    other.tracking_add_observer(telemetry_observer())
    d["a"] = 1
    d["a"] = 2
    other["b"] = 1
    del d["a"]
    assert {"add": 2, "update": 1, "remove": 1} == {name: scraped()[name] - before[name] for name in before}
    assert b'pydatatracker_changes_total{action="add"}' in prometheus_client.generate_latest()


def test_a_custom_registry() -> None:
    """A Counter of another registry can be passed."""
    prometheus_client = pytest.importorskip("prometheus_client", reason="the extra prometheus is not installed")
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("mine", "Changes", ["action"], registry=registry)
    d = TrackedDict()
    d.tracking_add_observer(telemetry_observer(counter))
    d["a"] = 1
    assert 1 == registry.get_sample_value("mine_total", {"action": "add"})


def test_counters_like_it() -> None:
    """A counter needs labels() or inc(); without both it is a TypeError."""

    class Labelled:
        def __init__(self) -> None:
            self.counts: dict[str, int] = {}

        def labels(self, *, action: str) -> Any:
            counts = self.counts

            class Child:
                def inc(self) -> None:
                    counts[action] = counts.get(action, 0) + 1

            return Child()

    counter = Labelled()
    d = TrackedDict()
    d.tracking_add_observer(telemetry_observer(counter))
    d["a"] = 1
    d["a"] = 2
    assert {"add": 1, "update": 1} == counter.counts
    with pytest.raises(TypeError, match=r"a counter needs labels\(\) or inc\(\); object has neither"):
        telemetry_observer(object())


def test_without_prometheus_it_says_what_to_install(tmp_path: pathlib.Path) -> None:
    """Without prometheus-client the error says what to install.

    A user's own counter works without it.
    """
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not here')\n")
    program = (
        "from pydatatracker.observers import telemetry_observer\n"
        "class Counter:\n"
        "    def inc(self): pass\n"
        "telemetry_observer(Counter())\n"
        "try:\n"
        "    telemetry_observer()\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'pip install "pydatatracker[prometheus]"' in done.stdout
