"""Code of the program waits for another thread, inside a call.

Wherever a call runs such code (a key's ``__eq__``, an observer, ...), the code may wait until another thread has changed
tracked data: no lock of the library makes both wait for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pydatatracker import (
    TrackedAttr,
    TrackedDefaultDict,
    TrackedDict,
    TrackedList,
    TrackedSet,
    tracked,
    tracking_transaction,
)


class Waiting:
    """Waits, when asked, until another thread has changed tracked data."""

    def __init__(self) -> None:
        self.begun, self.done = threading.Event(), threading.Event()
        self.other: Any = TrackedDict(n=0)
        self.waited: list[bool] = []
        self.thread = threading.Thread(target=self._store, daemon=True)
        self.thread.start()

    def _store(self) -> None:
        self.begun.wait(30)
        self.other["n"] += 1
        self.other["child"] = [1]
        assert 1 == self.other.tracking_changes()[-2].after
        self.done.set()

    def __call__(self, result: Any = None) -> Any:
        if threading.current_thread() is not self.thread:
            self.begun.set()
            self.waited.append(self.done.wait(10))
        return result


class Key:
    def __init__(self, wait: Waiting, number: int = 1) -> None:
        self.wait = wait
        self.number = number

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return bool(self.wait(isinstance(other, Key) and self.number == other.number))


class HashKey(Key):
    def __hash__(self) -> int:
        return int(self.wait(1))

    def __eq__(self, other: object) -> bool:
        return self is other


class Dying:
    def __init__(self, wait: Waiting) -> None:
        self.wait = wait

    def __del__(self) -> None:
        self.wait()


class Speaking(Dying):
    def __del__(self) -> None:
        pass

    def __repr__(self) -> str:
        return str(self.wait("spoken"))


class Plain(TrackedAttr):
    def __init__(self, wait: Waiting) -> None:
        self.wait = wait

    @property
    def slow(self) -> int:
        return 1

    @slow.setter
    def slow(self, value: int) -> None:
        self.wait()


def a_key_that_compares(wait: Waiting) -> None:
    d: Any = TrackedDict({Key(wait, 1): 1})
    d[Key(wait, 2)] = 2
    assert [1, 2] == list(d.values())


def a_key_that_is_removed(wait: Waiting) -> None:
    d: Any = TrackedDict({Key(wait, 1): 1})
    del d[Key(wait, 1)]
    assert {} == d


def a_key_that_hashes(wait: Waiting) -> None:
    d: Any = TrackedDict()
    d[HashKey(wait)] = 1


def an_element_that_compares(wait: Waiting) -> None:
    s: Any = TrackedSet([Key(wait, 1)])
    s.add(Key(wait, 2))
    assert len(s) == 2


def an_item_that_compares(wait: Waiting) -> None:
    items: Any = TrackedList([Key(wait, 1)])
    items.remove(Key(wait, 1))
    assert items == []


def an_observer(wait: Waiting) -> None:
    d: Any = TrackedDict()
    d.tracking_add_observer(lambda change: wait())
    d["a"] = 1


def a_value_that_ends(wait: Waiting) -> None:
    d: Any = TrackedDict(a=Dying(wait), tracking_max_changes=0)
    d["a"] = 1


def a_record_that_ends(wait: Waiting) -> None:
    d: Any = TrackedDict(tracking_max_changes=1)
    d["a"] = Dying(wait)
    d["a"] = 1
    d["a"] = 2


def a_container_that_ends(wait: Waiting) -> None:
    d: Any = TrackedDict(a=TrackedList([Dying(wait)]))
    d.pop("a")
    d.tracking_changes()
    del d


def a_value_that_speaks(wait: Waiting) -> None:
    d: Any = TrackedDict()
    d["a"] = Speaking(wait)
    assert "spoken" in repr(d.last_change())


def a_sort(wait: Waiting) -> None:
    items: Any = TrackedList([2, 1])
    items.sort(key=lambda item: wait(item))
    assert items == [1, 2]


def an_iterator(wait: Waiting) -> None:
    def values() -> Iterator[int]:
        yield 1
        wait()
        yield 2

    items: Any = TrackedList()
    items.extend(values())
    assert items == [1, 2]


def pairs(wait: Waiting) -> None:
    d: Any = TrackedDict()
    d.update((wait(key), 1) for key in "ab")
    assert d == {"a": 1, "b": 1}


def a_default(wait: Waiting) -> None:
    d: Any = TrackedDefaultDict(lambda: wait(7))
    assert d["a"] == 7


def a_property(wait: Waiting) -> None:
    Plain(wait).slow = 2


def a_redaction(wait: Waiting) -> None:
    d: Any = TrackedDict(tracking_redact=lambda change: wait(False))
    d["a"] = 1


def a_guard(wait: Waiting) -> None:
    d: Any = TrackedDict()
    d.tracking_break("/a", when=lambda change: wait(False), do="raise")
    d["a"] = 1


def an_observer_of_a_transaction(wait: Waiting) -> None:
    d: Any = TrackedDict()
    d.tracking_add_observer(lambda change: wait())
    with tracking_transaction(d):
        d["a"] = 1


def an_undo(wait: Waiting) -> None:
    d: Any = TrackedDict({Key(wait, 1): 1})
    d[Key(wait, 1)] = 2
    d.tracking_undo()
    assert [1] == list(d.values())


def a_class_of_ones_own(wait: Waiting) -> None:
    @tracked
    class Slow:
        def __setattr__(self, name: str, value: Any) -> None:
            wait()
            super().__setattr__(name, value)

    Slow().a = 1


@pytest.mark.parametrize(
    "use",
    [
        *(a_key_that_compares, a_key_that_is_removed, a_key_that_hashes, an_element_that_compares),
        *(an_item_that_compares, an_observer, a_value_that_ends, a_record_that_ends, a_container_that_ends),
        *(a_value_that_speaks, a_sort, an_iterator, pairs, a_default, a_property, a_redaction, a_guard),
        *(an_observer_of_a_transaction, an_undo, a_class_of_ones_own),
    ],
)
def test_code_of_the_program_may_wait_for_a_thread_that_stores(use: Callable[[Waiting], None]) -> None:
    """It waited, and the other thread went on meanwhile."""
    wait = Waiting()
    use(wait)
    assert wait.waited, "the code did not run"
    assert set(wait.waited) == {True}
    assert wait.other["n"] == 1
    wait.thread.join()
