"""What programs do most often takes no more instructions than before."""

from __future__ import annotations

import os
import shutil

import instructions
import pytest

from pydatatracker import _core

SLACK = 1.05
PLAIN = 1.02  # what CPython alone may differ before it is another build of it
OF_A_BUILD = ("plain: d[k] = v", "plain: o.a = v", "plain: a call")  # a list that grows may be copied or not


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="counts instructions with valgrind")
@pytest.mark.skipif(_core.PUBLIC_API_ONLY, reason="the counts are those of the ordinary build")
@pytest.mark.skipif("DIST_DIR" in os.environ, reason="a wheel may be of another compiler")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="valgrind cannot run under AddressSanitizer")
def test_nothing_takes_more_instructions_than_the_file_says() -> None:
    """No count is 5 percent above that in `instructions.json`.

    If it has to rise, or fell, `just instructions` writes the file anew.
    """
    key = instructions.key()
    before = instructions.known().get(key)
    if before is None:
        pytest.skip(f"instructions.json has no counts of {key}; `just instructions` adds them")
    now = instructions.count()
    assert list(before) == list(now), "rows were added or removed: run `just instructions`"
    for name in OF_A_BUILD:
        if not before[name] / PLAIN <= now[name] <= before[name] * PLAIN:
            pytest.skip(f"the counts are of another build of {key}: {name} takes {now[name]}, not {before[name]}")
    ours = [name for name in now if not name.startswith("plain")]
    more = {name: (before[name], now[name]) for name in ours if now[name] > SLACK * before[name]}
    assert {} == more, "these take more instructions (before, now)"
