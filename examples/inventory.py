"""Clean up a JSON document, then see who changed what in it.

    pydatatracker run --log changes.jsonl examples/inventory.py [FILE.json]
    pydatatracker show changes.jsonl

Without FILE the document is an inventory of this Python installation, half a megabyte and more: every distribution,
and each of its files with size and hash from RECORD. It is written to a file and loaded from there like any other.
"""

import datetime
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from pydatatracker import TrackedDict, TrackedList, track, tracking_actor

MOST = 10  # changes by one actor: enough to see, few enough to read


def inventory() -> dict[str, Any]:
    """Return a description of the installed distributions."""
    distributions = []
    for found in importlib.metadata.distributions():
        distributions.append(
            {
                "name": found.metadata["Name"],
                "version": found.version,
                "summary": found.metadata["Summary"] or "",
                "classifiers": found.metadata.get_all("Classifier") or [],
                "requires": found.requires or [],
                "files": [
                    {"path": str(file), "size": file.size, "hash": file.hash and file.hash.value}
                    for file in found.files or ()
                ],
            }
        )
    return {"python": sys.version, "modules": sorted(sys.stdlib_module_names), "distributions": distributions}


def walk(value: Any) -> Iterator[Any]:
    """Yield every dict and list in value, itself first."""
    todo = [value]
    while todo:
        value = todo.pop()
        if isinstance(value, (dict, list)):
            yield value
            todo.extend(reversed(list(value.values() if isinstance(value, dict) else value)))


def remove_empty(document: Any) -> None:
    """Remove keys with empty values."""
    left = MOST
    for item in walk(document):
        if isinstance(item, dict):
            for key in [key for key, value in item.items() if value is None or value in ("", [], {})][:left]:
                del item[key]
                left -= 1


def sort_words(document: Any) -> None:
    """Sort lists of strings."""
    left = MOST
    for item in walk(document):
        if left and isinstance(item, list) and all(isinstance(word, str) for word in item) and item != sorted(item):
            item.sort()
            left -= 1


def add_review(document: Any) -> None:
    """Add a review to each of the largest objects."""
    objects = sorted((item for item in walk(document) if isinstance(item, dict)), key=len, reverse=True)[:MOST]
    for item in objects:
        item["review"] = {"keys": len(item), "by": []}
        item["review"]["by"].append("auditor")
        item["review"].update(done=True, day=datetime.date.today().isoformat())


def load(path: str) -> Any:
    """Return the document in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            loaded = json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"{path} cannot be read as JSON: {error}")
    if not isinstance(loaded, (dict, list)):
        sys.exit(f"{path} has a single {type(loaded).__name__}: pass a JSON file with an object or an array")
    print(f"{path}: {os.path.getsize(path):,} bytes, {sum(1 for _ in walk(loaded)):,} objects and arrays")
    return loaded


def main() -> None:
    """Load a document or make one, change it, and print what was recorded."""
    if len(sys.argv) > 1:
        loaded = load(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "inventory.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(inventory(), file)
            loaded = load(path)

    document: TrackedDict[str, Any] | TrackedList[Any] = track(loaded, tracking_name="document")
    start = time.perf_counter()
    with tracking_actor("cleaner", reason="empty values"):
        remove_empty(document)
    with tracking_actor("sorter"):
        sort_words(document)
    with tracking_actor("auditor", ticket="A-17"):
        add_review(document)
    seconds = time.perf_counter() - start

    changes = [change for change in document.tracking_changes() if change.action != "init"]
    print(f"{len(changes)} changes in {seconds * 1000:.0f} ms:")
    for actor in ("cleaner", "sorter", "auditor"):
        done = [change for change in changes if change.actor == actor]
        print(f"  {actor:8} {len(done):3}" + (f", the last one {done[-1].action} {done[-1].pointer}" if done else ""))


if __name__ == "__main__":
    main()
