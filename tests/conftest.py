"""Settings of the whole suite: how many examples random tests try."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import settings

LONG = int(os.environ.get("PYDATATRACKER_LONG", "1"))  # times the examples of random tests; `just test-long`

SHARE = float(os.environ.get("PYDATATRACKER_SHARE", "1"))  # of these examples; .ci/run on its second interpreter

# A busy machine is not a fault of the code; and a run that is red is red again: what is new each time is for test-long.
settings.register_profile("suite", deadline=None, derandomize=LONG == 1)
settings.load_profile("suite")

# A shell starts what is in its background with SIGINT ignored, and so are then the processes that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Multiply the examples of every random test by LONG and SHARE."""
    if LONG * SHARE == 1:
        return
    seen: set[int] = set()
    for item in items:
        function = getattr(item, "obj", None)
        given = getattr(function, "_hypothesis_internal_use_settings", None)
        function = getattr(function, "__func__", function)
        if given is not None and id(function) not in seen:
            seen.add(id(function))
            times = LONG if item.path.parent.name == "watch" else LONG * SHARE  # CPython 3.11 cannot watch
            examples = max(1, int(times * given.max_examples))
            function._hypothesis_internal_use_settings = settings(given, max_examples=examples)


def pytest_collection_finish() -> None:
    """Leave the tests, and what they import, out of the collections.

    Those are a million objects, and many tests have to collect what they left.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Leave what is alive out of the collections at the end.

    There are six, each over the millions of objects of all modules, and what they could find has had its tests.
    """
    gc.collect()
    gc.freeze()
