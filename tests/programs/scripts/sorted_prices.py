"""sortedcontainers: a clean-up deletes a level that is in use.

`SortedDict` is a dict subclass with a sorted list of its keys beside it.
"""
# needs: sortedcontainers
# run: __main__:levels
# wrong: /20 'silver' -> missing

from sortedcontainers import SortedDict

levels = SortedDict({0: "basic", 10: "bronze", 20: "silver", 50: "gold"})
# edit: from pydatatracker import watch; watch(levels)


def level(points: int) -> str:
    return levels.peekitem(levels.bisect_right(points) - 1)[1]


def drop_first(count: int) -> list:
    """Drop the lowest levels but 0, and count that one wrongly."""
    return [levels.popitem(1) for _ in range(count)]  # culprit


levels[5] = "new"
levels.setdefault(70, "platinum")
print([level(points) for points in (3, 12, 30, 80)])
print(drop_first(3))
print(levels, level(30), list(levels.irange(0, 60)), len(levels), list(levels.keys()))
levels._check()
if level(30) != "silver":
    raise SystemExit("30 points should be silver")
