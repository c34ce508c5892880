"""The benchmarks run. How long something takes decides no test."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import growth
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("axis", growth.AXES)
def test_growth_prints_an_exponent_for_each_curve(axis: str, tmp_path: Path) -> None:
    """`growth.py` prints each curve of an axis, and plots them if it can."""
    plots = tmp_path / "growth.svg"
    command = [sys.executable, ROOT / "benchmarks" / "growth.py", "--quick", axis, "--output", plots]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 0 == done.returncode, done.stderr
    for curve in growth.AXES[axis].curves:
        costs = r" +[\d,]+ +[\d,]+ +-?\d+\.\d\d +-?\d+\.\d\d  "
        assert re.search(rf"^  {re.escape(curve.name)}{costs}{curve.expected:g}", done.stdout, re.MULTILINE)
    assert plots.exists() == (importlib.util.find_spec("matplotlib") is not None)


def test_growth_names_its_axes_if_one_is_unknown() -> None:
    """An axis that does not exist is an error that names those that do."""
    command = [sys.executable, ROOT / "benchmarks" / "growth.py", "--quick", "breadth"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 2 == done.returncode
    assert f"no such axis: breadth; there are {', '.join(growth.AXES)}" in done.stderr


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_a_curve_has_the_exponent_of_its_costs(exponent: int) -> None:
    """The exponent of n**e is e; a curve that grows more is marked."""
    curve = growth.Curve("n**e", growth.store_in_dict, 1, costs={size: 7.0 * size**exponent for size in (1, 10, 50)})
    assert pytest.approx(exponent) == curve.exponent()
    assert (exponent == 2) == curve.grows_too_much()
    curve.costs[0] = 1.0  # which has no logarithm
    assert pytest.approx(exponent) == curve.exponent()


def test_a_curve_that_grows_only_at_the_end_is_marked() -> None:
    """Cost in proportion to the size is found behind a fixed cost, too."""
    curve = growth.Curve("1 + n", growth.store_in_dict, costs={10**n: 1e5 + 10**n for n in range(1, 8)})
    assert curve.exponent(3) > 0.5
    assert curve.grows_too_much()
