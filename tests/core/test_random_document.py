"""Random operations on a nested document, checked after every one.

PYDATATRACKER_OPERATIONS=100000 runs as many; without it the suite runs a tenth.
"""

from __future__ import annotations

import os
import random

from gardener import Gardener
from oracle import Oracle

from pydatatracker import _core, track

OPERATIONS = int(os.environ.get("PYDATATRACKER_OPERATIONS", "10000"))


def test_random_operations_on_a_nested_document_keep_everything_true() -> None:
    """Links, paths, ring and replay are right after every operation."""
    chance = random.Random(20261123)
    doc = track({"rows": [[1], {"a": 2}], "cfg": {"ports": [80, 443], "tags": {1}}}, tracking_max_changes=256)
    gardener = Gardener(doc, chance)
    oracle = Oracle(doc)
    most = 0
    for n in range(OPERATIONS):
        before = _core.newest_seq()
        gardener.step()
        everywhere = [*gardener.loose, *gardener.containers()]
        loose = [c for c in everywhere if _core.tracker(c) is not None]
        changes = _core.changes_of(doc, before)
        elsewhere = [c for each in loose if each.tracking_uuid in oracle.twins for c in _core.changes_of(each, before)]
        most = max(most, len(everywhere))
        oracle.catch_up(changes, elsewhere)
        if n % 4 == 0:
            oracle.agrees(doc)
        doc._check()
    oracle.agrees(doc)
    assert most > 20, "the document stayed too small to show anything"
