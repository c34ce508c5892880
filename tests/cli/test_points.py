"""Points in time and spans, as arguments of the commands."""

from __future__ import annotations

import os
import pathlib

import pytest
from command import log, run

from pydatatracker.cli.points import moment, point

__all__ = ["log"]  # the fixtures


@pytest.mark.parametrize("args", [("diff", "2..0"), ("patch", "2..1"), ("diff", "now..-3h"), ("show", "--seq", "5..2")])
def test_a_span_that_runs_backwards_is_refused(log: pathlib.Path, args: tuple[str, ...]) -> None:
    """A span that runs backwards is refused with a message."""
    command, *rest = args
    done = run(command, log, *rest, cwd=log.parent)
    assert (2, "") == (done.returncode, done.stdout)
    assert "runs backwards" in done.stderr


def test_times_with_a_minus_are_arguments(log: pathlib.Path) -> None:
    """Times such as -3h are accepted as arguments."""
    os.utime(log)
    for args in (("at", "-3h"), ("diff", "-3h..now"), ("patch", "-3h..now", "--inverse"), ("at", "-1.5d")):
        done = run(args[0], log, *args[1:], cwd=log.parent)
        assert (0, "") == (done.returncode, done.stderr)


def test_times() -> None:
    """A time may be relative, the name of a day, or ISO 8601.

    The error for an invalid time shows how to write one.
    """
    assert abs(moment("-3h") - moment("now") + 3 * 3600 * 10**9) < 10**9
    assert 24 * 3600 - 7200 <= (moment("today") - moment("yesterday")) // 10**9 <= 24 * 3600 + 7200
    assert moment("2026-11-24T12:00:00+01:00") == moment("2026-11-24T11:00:00Z")
    assert ((5, None), (None, moment("2026-11-24") + 999)) == (point("5"), point("2026-11-24"))
    with pytest.raises(ValueError, match="write -30m, -3h"):
        moment("noon")
