"""One container of each kind, and a change of each."""

from __future__ import annotations

from typing import Any

from pydatatracker import (
    TrackedAttr,
    TrackedCounter,
    TrackedDefaultDict,
    TrackedDeque,
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    track,
)


class Settings(TrackedDict):
    """A subclass."""


class Account(TrackedAttr):
    """A class with attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.balance = 0


def everything() -> list[Any]:
    """Return a container of each kind."""
    nested = track({"a": [{"b": {1}}]})
    kinds = [TrackedDict, TrackedList, TrackedSet, TrackedOrderedDict, TrackedCounter, TrackedDeque, Settings, Account]
    return [nested["a"][0]["b"], nested, TrackedDefaultDict(int), *(kind() for kind in kinds)]


def write_all(containers: list[Any]) -> None:
    """Change each of them."""
    for container in containers:
        if isinstance(container, TrackedAttr):
            container.balance += 1
        elif isinstance(container, dict):
            container["x"] = 1
        elif hasattr(container, "append"):
            container.append(1)
        else:
            container.add(len(container) + 10)


def who(container: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return actor and context of each change but the first, its init."""
    return [(change.actor, dict(change.context)) for change in container.tracking_changes() if change.action != "init"]
