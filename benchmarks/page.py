"""Measure the page of `report`, with 100,000 changes, in Chromium.

Run `python benchmarks/page.py [CHANGES]`. Goals: the page is drawn within two seconds, and a step of the slider takes
one frame of a 60 Hz screen (16.7 ms). A step is timed from the input event until the next frame is drawn; half of the
steps are far jumps, which start at a keyframe.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from browser import Browser, find

from pydatatracker import TrackedDict, track, tracking_actor
from pydatatracker.observers import json_file_observer

STEPS = """(async () => {
  const slider = document.getElementById("slider"), spent = [], channel = new MessageChannel();
  for (const target of TARGETS) {
    slider.value = target;
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const waited = await new Promise((done) => requestAnimationFrame(() => done(performance.now())));
    const drawn = await new Promise((done) => {
      channel.port1.onmessage = () => done(performance.now());
      channel.port2.postMessage(0);
    });
    spent.push(FRAME ? drawn - start : drawn - waited);
  }
  return spent.sort((a, b) => a - b);
})()"""
FILTER = """(() => {
  const field = document.getElementById("FIELD"), start = performance.now();
  field.value = "VALUE";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return performance.now() - start;
})()"""


def session(path: Path, changes: int) -> None:
    """Write a log of a nested document that many actors change."""
    choose = random.Random(1)
    users = [{"name": f"u{n}", "score": n, "tags": {1, 2}} for n in range(50)]
    data: Any = track({"users": users, "cfg": {"ports": [80], "limits": {}}}, tracking_max_changes=10)
    assert isinstance(data, TrackedDict)
    with json_file_observer(path, compact=True) as observer:
        data.tracking_add_observer(observer)
        for n in range(changes):
            with tracking_actor(f"worker-{n % 7 if n % 13 else n % 40}", job=n // 1000):
                users = data["users"]
                if n % 5 == 0:
                    users[choose.randrange(len(users))]["score"] = n + 0.5
                elif n % 5 == 1:
                    users[choose.randrange(len(users))]["tags"].symmetric_difference_update((n % 20,))
                elif n % 5 == 2:
                    data["cfg"]["limits"][f"k{choose.randrange(2000)}"] = n
                elif n % 5 == 3:
                    users.insert(0, {"name": f"n{n}", "score": 0, "tags": set()})
                else:
                    users.pop(choose.randrange(len(users)))


def say(name: str, value: float, unit: str = "ms") -> None:
    """Print one figure."""
    print(f"{name:46} {value:9.1f} {unit}")


def main(changes: int) -> None:
    """Measure and print."""
    program = find()
    if program is None:
        sys.exit("Chromium is missing: install it, or set PYDATATRACKER_BROWSER to its path")
    with tempfile.TemporaryDirectory() as folder:
        log, page = Path(folder, "log.jsonl"), Path(folder, "page.html")
        session(log, changes)
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pydatatracker", "report", log, "-o", page], check=True, stdout=subprocess.DEVNULL
        )
        say("report writes the page", time.perf_counter() - start, "s")
        say("log, page", log.stat().st_size / 1e6, f"MB, {page.stat().st_size / 1e6:.1f} MB")
        with Browser(program) as browser:
            browser.open(page)
            browser.until("document.querySelector('#position').textContent")
            say("opened and drawn", browser.run("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            say("memory of the page", browser.run("performance.memory.usedJSHeapSize") / 1e6, "MB")
            for name, targets in {
                "one change on": range(changes // 2, changes // 2 + 100),
                "one change back": range(changes // 2, changes // 2 - 100, -1),
                "anywhere": random.Random(2).sample(range(changes), 100),
            }.items():
                for what, frame in (("its work", "false"), ("with the wait for a frame", "true")):
                    spent = browser.run(STEPS.replace("TARGETS", str(list(targets))).replace("FRAME", frame))
                    say(f"slider, {name}: {what}, median", spent[50])
                    say(f"slider, {name}: {what}, 95 of 100", spent[95])
            for field, value in (
                ("actor", "=worker-3"),
                ("glob", "/users/*/score"),
                ("text", "k199"),
                ("text", "k1990"),
            ):
                say(f"filter {field} {value}", browser.run(FILTER.replace("FIELD", field).replace("VALUE", value)))
                browser.run(f"document.getElementById('{field}').value = ''")
            assert not browser.trouble, browser.trouble


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
