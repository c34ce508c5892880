"""In a forked child, what other threads had begun is over."""

import gc
import os
import sys
import threading

import pytest
from forking import busy, in_child

from pydatatracker import ChangeLogEntry, TrackedDict, TrackedList, TrackedSet, tracking_actor, tracking_transaction

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")


def changes_alive():
    """Return how many changes exist as objects.

    The journal of an open transaction keeps each of them.
    """
    gc.collect()
    return sum(issubclass(type(each), ChangeLogEntry) for each in gc.get_objects())


def works(d):
    """Check that a dict is recorded, reported and rolled back as usual."""
    heard = []
    d.tracking_add_observer(heard.append)
    seq = d.last_change().seq if d.last_change() else 0
    d["a"] = 1
    assert [change.pointer for change in heard] == ["/a"]
    with tracking_transaction():
        d["b"] = 2
        assert len(heard) == 1
    assert len(heard) == 2
    with pytest.raises(ZeroDivisionError), tracking_transaction():
        d["b"] = 3
        raise ZeroDivisionError
    assert d["b"] == 2
    assert heard[-1].pointer == "/b"
    assert d.last_change().seq > seq
    assert not d.tracking_verify()
    assert gc.isenabled()


def test_a_transaction_of_another_thread_is_over_in_the_child():
    d, other = TrackedDict(tracking_max_changes=10), TrackedDict(tracking_max_changes=10)
    blocks = []

    def work(wait):
        with tracking_transaction() as tx:
            blocks.append(tx)
            d["half"] = 1
            wait()

    def check():
        (tx,) = blocks
        assert not tx.is_open
        assert d == {"half": 1}
        before = changes_alive()
        for n in range(3000):
            other["n"] = n
        assert changes_alive() < before + 100
        works(other)
        works(d)

    with busy(work):
        in_child(check)
        assert blocks[0].is_open
    assert d == {"half": 1}


def test_a_block_of_another_thread_that_the_child_ends_rolls_nothing_back():
    d = TrackedDict()
    blocks = []

    def change():
        with tracking_actor("block"), tracking_transaction():
            d["half"] = 1
            yield

    def work(wait):
        blocks.append(change())
        next(blocks[0])
        wait()

    def check():
        blocks[0].close()
        assert d == {"half": 1}
        works(d)

    with busy(work):
        in_child(check)
    blocks[0].close()
    assert d == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_block_of_the_forking_thread_goes_on_on_both_sides(fails):
    d = TrackedDict(a=1)
    heard = []
    d.tracking_add_observer(lambda change: heard.append((change.pointer, change.method)))

    def work(wait):
        with tracking_transaction():
            d["theirs"] = 1
            wait()

    with busy(work):
        try:
            with tracking_transaction() as tx:
                d["a"] = 2

                def check():
                    d["child"] = 1
                    assert tx.is_open
                    assert [change.pointer for change in tx.changes] == ["/a", "/child"]
                    tx.__exit__(*((ValueError, ValueError(), None) if fails else (None, None, None)))
                    assert d == ({"a": 1, "theirs": 1} if fails else {"a": 2, "theirs": 1, "child": 1})
                    assert [pointer for pointer, _ in heard] == ([] if fails else ["/a", "/child"])
                    works(d)

                in_child(check)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert d["a"] == (1 if fails else 2)


def test_a_fork_in_an_observer_leaves_its_queue_right():
    d = TrackedDict()
    heard = []

    def observer(change):
        heard.append(change.pointer)
        if change.pointer == "/fork":

            def check():
                d["inner"] = 1
                assert heard == ["/fork"]  # it waits until this observer returns

            in_child(check)

    d.tracking_add_observer(observer)
    d["fork"] = 1
    assert heard == ["/fork"]


def test_another_thread_in_an_observer_does_not_hinder_the_child():
    d = TrackedDict()

    def work(wait):
        d.tracking_add_observer(lambda change: wait() if change.pointer == "/slow" else None)
        d["slow"] = 1

    with busy(work):
        in_child(lambda: works(d))


def rows(wait):
    yield "x", 1
    wait()


def items(wait):
    yield "x"
    wait()


BULK = {
    "dict.update": (TrackedDict, lambda c, wait: c.update(rows(wait)), {"x": 1}),
    "dict.__ior__": (TrackedDict, lambda c, wait: c.__ior__(rows(wait)), {"x": 1}),
    "list.extend": (TrackedList, lambda c, wait: c.extend(items(wait)), ["x"]),
    "list.__iadd__": (TrackedList, lambda c, wait: c.__iadd__(items(wait)), ["x"]),
    "set.update": (TrackedSet, lambda c, wait: c.update(items(wait)), {"x"}),
    "set.__ior__": (TrackedSet, lambda c, wait: c.update(items(wait)), {"x"}),
}


@pytest.mark.parametrize("call", BULK)
def test_a_bulk_call_of_another_thread_is_recorded_as_far_as_it_came(call):
    make, act, reached = BULK[call]
    c = make()

    def check():
        assert c == reached
        started = len(c.tracking_changes())
        for n in range(3):
            if make is TrackedDict:
                c[n] = n
            else:
                (c.append if make is TrackedList else c.add)(n)
        assert len(c.tracking_changes()) - started in (3, 4)  # the step that waited, and each store alone
        assert c.tracking_state_at(c.tracking_changes()[-3].seq - 1) == reached
        assert not c.tracking_verify()
        c.clear()
        assert c.last_change().method == "clear"

    with busy(lambda wait: act(c, wait)):
        in_child(check)
    assert c == reached
    assert not c.tracking_verify()


def test_a_sort_of_another_thread_leaves_an_empty_list_that_the_log_knows():
    # CPython takes the items out of a list while it sorts: in the child nobody puts them back
    c = TrackedList([3, 1, 2])

    def check():
        assert c == []
        assert c.last_change().method == "sort"
        c.append(1)
        assert c.last_change().method == "append"
        assert not c.tracking_verify()
        c.sort(key=lambda item: -item)

    with busy(lambda wait: c.sort(key=lambda item: (wait() if item == 3 else None, item)[1])):
        in_child(check)
    assert c == [1, 2, 3]
    assert not c.tracking_verify()


def test_user_code_of_another_thread_inside_a_record_does_not_hinder_the_child():
    waiting = []

    def withhold(*_):
        if waiting and threading.current_thread() is not threading.main_thread():
            waiting.pop()()
        return False

    c, d = TrackedDict(tracking_redact=withhold), TrackedDict()

    def work(wait):
        waiting.append(wait)
        with tracking_actor("theirs"):
            c.update(pair for pair in [("x", {}), ("y", {})])

    def check():
        works(d)
        assert {change.actor for change in d.tracking_changes()} == {""}
        c["z"] = 1
        assert c["z"] == 1

    with busy(work):
        in_child(check)
    assert {change.actor for change in c.tracking_changes() if change.action != "init"} == {"theirs"}


def test_forks_out_of_writing_threads():
    stop = threading.Event()
    shared, deep = TrackedDict(), TrackedDict(c=TrackedDict(l=TrackedList()))

    def write(n):
        own = TrackedDict()
        while not stop.is_set():
            shared[n] = shared.get(n, 0) + 1
            with tracking_actor(str(n)), tracking_transaction():
                own.update((k, n) for k in range(5))
                deep["c"]["l"].append(n)
                deep["c"]["l"].sort()
                deep["c"]["l"].clear()

    def check():
        works(TrackedDict())
        works(deep)
        before = changes_alive()
        d = TrackedDict(tracking_max_changes=10)
        for n in range(500):
            d["n"] = n
        assert changes_alive() < before + 100

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # else each fork waits its turn behind four writers
    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8 * int(os.environ.get("PYDATATRACKER_LONG", "1"))):
            in_child(check)
    finally:
        sys.setswitchinterval(before)
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not shared.tracking_verify()
