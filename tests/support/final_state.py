"""What a program's log says at its end, beside what its watches hold.

`TEXT` is imported by the program as ``sitecustomize``. When the program ends, it writes what is different to the file
that FINAL_STATE names, as JSON: ``{"roots": number, "differences": [[pointer, in memory, in the log], ...]}``.

Of an object that can only be shown by its text, the class is compared. The order of keys of a dict is not.
"""

from __future__ import annotations

TEXT = '''
import atexit
import json
import os

from pydatatracker import _core, process, replay
from pydatatracker.change.rewind import state_at
from pydatatracker.io import read_changes
from pydatatracker.values.encode import encode
from pydatatracker.values.text import silently


def shape(data):
    """Return JSON of a value without what may differ: texts of objects, and the order of keys."""
    if type(data) is list:
        return [shape(item) for item in data]
    if type(data) is not dict:
        return data
    if "$repr" in data:
        return {"$repr": data["type"]}
    for tag in ("$dict", "$set"):
        if tag in data:
            return {tag: sorted(map(shape, data[tag]), key=repr)}
    return {key: shape(item) for key, item in data.items()}


def differences(memory, log, pointer):
    if type(memory) is type(log) is dict:
        for key in {**memory, **log}:
            yield from differences(memory.get(key, "missing"), log.get(key, "missing"), f"{pointer}/{key}")
    elif type(memory) is type(log) is list and len(memory) == len(log):
        for n, pair in enumerate(zip(memory, log)):
            yield from differences(*pair, f"{pointer}/{n}")
    elif memory != log:
        yield pointer, str(memory)[:200], str(log)[:200]


@atexit.register
def compare(process=process):
    current = process._current
    current._targets.end()
    roots = {root for line in read_changes(current.path, strict=True) for root in line.roots}
    found = {"roots": 0, "differences": []}
    for watch in current._targets.watches:
        if watch.tracking_uuid not in roots:
            continue
        found["roots"] += 1
        memory = current._targets.state(watch.tracking_uuid, state_at(watch, _core.newest_seq()))
        log = replay(current.path, root=watch.tracking_uuid)
        with silently():
            pair = [shape(encode(each, limit=None)) for each in (memory, log)]
        found["differences"] += differences(*pair, "")
    with open(os.environ["FINAL_STATE"], "w") as file:
        json.dump(found, file)
'''
