"""Tracked data follows the objects that it holds, as `watch` does."""

import collections
import copy
import gc
import io
import os
import pickle
import random
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from pydatatracker import (
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    _core,
    replay,
    track,
    tracking_actor,
    tracking_transaction,
    watch,
)
from pydatatracker.io import ChangeWriter

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="following needs CPython 3.12")


@dataclass
class Order:
    total: int = 0
    items: list = field(default_factory=list)

    __hash__ = object.__hash__


class Plain:
    def __init__(self):
        self.total = 0


class Slotted:
    __slots__ = ("total",)

    def __init__(self):
        self.total = 0


class OwnDict(dict):
    pass


class OwnList(list):
    pass


class Holder(TrackedAttr):
    pass


def set_total(each, number):
    each.total = number


def set_item(each, number):
    each["total"] = number


def change_deep(each, number):
    each[1].items[0]["total"] = number


VALUES = {  # how it is made, what changes it, path of the change
    "dataclass": (Order, set_total, "/total"),
    "object": (Plain, set_total, "/total"),
    "slots": (Slotted, set_total, "/total"),
    "namespace": (lambda: SimpleNamespace(total=0), set_total, "/total"),
    "dict subclass": (lambda: OwnDict(total=0), set_item, "/total"),
    "list subclass": (lambda: OwnList([0]), lambda each, number: each.__setitem__(0, number), "/0"),
    "tuple of dicts": (lambda: (1, {"total": 0}), lambda each, number: set_item(each[1], number), "/1/total"),
    "dict in list in dataclass in tuple": (lambda: (1, Order(items=[{"total": 0}])), change_deep, "/1/items/0/total"),
}
HOLDERS = {  # how it is made around a value, how one is put in, and taken out
    "dict": (lambda v: track({"k": v}), lambda h, v: h.__setitem__("k", v), lambda h: h.pop("k")),
    "list": (lambda v: track([v]), lambda h, v: h.append(v), lambda h: h.pop()),
    "attribute": (
        lambda v: with_attribute(v),
        lambda h, v: setattr(h, "k", v),
        lambda h: delattr(h, "k"),
    ),
    "deque": (lambda v: track(collections.deque([v])), lambda h, v: h.append(v), lambda h: h.pop()),
    "OrderedDict": (
        lambda v: track(collections.OrderedDict(k=v)),
        lambda h, v: h.__setitem__("k", v),
        lambda h: h.pop("k"),
    ),
    "defaultdict": (
        lambda v: track(collections.defaultdict(list, k=v)),
        lambda h, v: h.__setitem__("k", v),
        lambda h: h.pop("k"),
    ),
}


def with_attribute(value):
    holder = Holder(tracking_follow=True)
    holder.k = value
    return holder


@pytest.fixture(params=HOLDERS)
def holder(request):
    return HOLDERS[request.param]


@pytest.fixture(params=VALUES)
def kind(request):
    return VALUES[request.param]


def test_a_change_inside_is_a_change_of_the_tree(holder, kind):
    make, change, path = kind
    value = make()
    data = holder[0](value)
    before = data.tracking_changes()[-1].seq
    with tracking_actor("ann"):
        change(value, 5)
    last = data.last_change()
    assert last.pointer.endswith(path)
    assert (last.before, last.after, last.pointer.count("/")) == (0, 5, 1 + path.count("/"))
    assert last.actor == ("" if last.method == "found" else "ann")
    assert data.tracking_changes()[-2].seq == before
    assert data.tracking_untracked() == []


def test_time_travel_undo_and_redo(holder, kind):
    make, change, _ = kind
    value = make()
    data = holder[0](value)
    start = data.tracking_changes()[-1].seq
    seen = []
    for number in (1, 2, 3):
        change(value, number)
        seen.append((data.last_change().seq, text(data.tracking_state_at(data.last_change().seq))))
    assert len({state for _, state in seen}) == 3
    for seq, state in seen:
        assert text(data.tracking_state_at(seq)) == state
    data.tracking_undo()
    assert text(data.tracking_state_at(data.tracking_changes()[-1].seq)) == seen[1][1]
    data.tracking_redo()
    assert text(data.tracking_state_at(data.tracking_changes()[-1].seq)) == seen[2][1]
    data.tracking_revert_to(start)
    assert text(data.tracking_state_at(data.tracking_changes()[-1].seq)) == text(data.tracking_state_at(start))
    assert data.tracking_verify() is None


def text(state):
    return repr(state)


def test_taken_out_and_put_back(holder, kind):
    _, put, take = holder
    make, change, path = kind
    value = make()
    data = holder[0](value)
    change(value, 1)
    inside = text(data.tracking_state_at(data.last_change().seq))
    inside_seq = data.last_change().seq
    take(data)
    outside_seq = data.last_change().seq
    change(value, 2)
    assert data.last_change().seq == outside_seq
    put(data, value)
    change(value, 3)
    assert (data.last_change().after, data.last_change().pointer.endswith(path)) == (3, True)
    assert text(data.tracking_state_at(inside_seq)) == inside
    assert data.tracking_verify() is None


def test_a_removal_is_undone_with_the_same_object(holder, kind):
    _, _, take = holder
    make, change, _ = kind
    value = make()
    data = holder[0](value)
    take(data)
    data.tracking_undo()
    change(value, 4)
    assert data.last_change().after == 4


def test_a_transaction_rolls_back_what_is_inside(holder, kind):
    make, change, _ = kind
    value = make()
    data = holder[0](value)
    before = text(data.tracking_state_at(data.tracking_changes()[-1].seq))
    with pytest.raises(ZeroDivisionError), tracking_transaction():
        change(value, 7)
        raise ZeroDivisionError
    assert text(data.tracking_state_at(data.tracking_changes()[-1].seq)) == before


def test_elements_of_a_set():
    order = Order()
    data = track({"all": {order}})
    order.total = 3
    assert (data.last_change().before, data.last_change().after) == (0, 3)
    data["all"].discard(order)
    seq = data.last_change().seq
    order.total = 4
    assert data.last_change().seq == seq


def test_the_object_stays_what_it_is(holder, kind):
    make, _, _ = kind
    value = make()
    references = sys.getrefcount(value)
    cls = type(value)
    data = holder[0](value)
    held = data.k if isinstance(data, Holder) else next(iter(data.values() if isinstance(data, dict) else data))
    assert held is value
    assert type(value) is cls
    del held
    value_again = weakref.ref(value) if cls.__weakrefoffset__ else None
    del data
    gc.collect()
    assert sys.getrefcount(value) == references
    del value
    assert value_again is None or value_again() is None


def test_copies_and_pickles_are_what_they_were(holder):
    value = Order(1, [2])
    data = holder[0](value)
    for again in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        assert type(again) is type(data)
        inner = (
            again.k if isinstance(again, Holder) else next(iter(again.values() if isinstance(again, dict) else again))
        )
        assert (type(inner), inner == value, inner is value) == (Order, True, False)
        inner.total = 9
        assert again.last_change().after == 9
        assert value.total == 1
    shallow = copy.copy(data)
    value.total = 5
    assert shallow.last_change().after == data.last_change().after == 5
    assert shallow.last_change().seq == data.last_change().seq


def test_a_cycle_is_freed_with_its_logs():
    def make():
        data = track({})
        order = Order()
        data["order"] = order
        order.back = data
        data["me"] = data
        data["call"] = lambda: data
        order.total = 1
        return weakref.ref(data), weakref.ref(order)

    before = _core_objects()
    probes = [make() for _ in range(20)]
    gc.collect()
    assert [probe() for pair in probes for probe in pair] == [None] * 40
    assert _core_objects() == before


def _core_objects():
    gc.collect()
    return sum(type(each).__name__ in ("WatchedTracker", "Watching") for each in gc.get_objects())


def test_nothing_is_left_of_containers_that_come_and_go():
    keep = Order()
    before = _core_objects()
    for n in range(200):
        data = track({"keep": keep, "own": [Slotted(), (1, {})]})
        data["more"] = OwnList([n])
        keep.total = n
        assert data.last_change().after == n or n == 0
        del data
    assert _core_objects() == before


def test_a_queue_of_compared_objects_does_not_grow():
    before = _core_objects()
    data = track({"queue": []}, tracking_max_changes=50)
    for _ in range(2000):
        data["queue"].append(Slotted())
        data["queue"].pop(0)
    assert _core_objects() < before + 200


@pytest.mark.parametrize("seed", range(10))
def test_an_object_in_several_trees_is_followed_until_the_last_is_gone(seed):
    rng = random.Random(seed)
    values = [Order() for _ in range(4)] + [(1, {}), OwnList(), Slotted()]
    trees = [track({}) for _ in range(4)]
    for n in range(300):
        name = rng.randrange(len(values))
        each = values[name]
        tree = rng.choice(trees)
        match rng.randrange(6):
            case 0 | 1:
                tree[str(name)] = each
            case 2:
                tree.pop(str(name), None)
            case 3:
                trees[[one is tree for one in trees].index(True)] = track({})
                del tree
                gc.collect(0)
            case 4:
                tree["other"] = rng.choice(trees)
            case 5:
                order = values[rng.randrange(4)]
                order.total = n
                for one in trees:
                    if any(v is order for v in one.values()) and n:
                        assert one.last_change() is not None
                        assert one.last_change().after == n
        for one in trees:
            _core.check_tracker(one)


def test_a_watch_and_tracked_data_share_an_object():
    order = Order()
    data = track({"order": order})
    with watch(order) as w:
        order.total = 1
        assert w.last_change().after == data.last_change().after == 1
    order.total = 2
    assert data.last_change().after == 2
    with watch(order) as w:
        del data
        gc.collect()
        order.total = 3
        order.items.append(4)
        assert [c.after for c in w.tracking_changes()[-2:]] == [3, 4]
    order.total = 4
    assert w.last_change().after == 4 or w.last_change().after == [4]


def test_a_watch_that_ends_leaves_what_tracked_data_follows():
    order = Order(items=[{}])
    with watch(order):
        data = track({"order": order})
    order.items[0]["a"] = 1
    assert data.last_change().pointer == "/order/items/0/a"


def test_options_decide(tmp_path):
    order = Order()
    for data in (
        TrackedDict(o=order),
        TrackedList([order]),
        TrackedSet([order]),
        track({"o": order}, tracking_follow=False),
    ):
        assert [row.type for row in data.tracking_untracked()] == ["Order"]
        assert "tracking_follow" in data.tracking_untracked()[0].reason
    data = TrackedDict(o=order, l=[1], tracking_follow=True)
    order.total = 3
    assert data.last_change().after == 3
    assert [row.pointer for row in data.tracking_untracked()] == ["/l"]  # what would be converted is left plain


def test_opaque_things_are_listed_with_their_reason():
    data = track({"file": io.StringIO(), "lock": threading.Lock(), "bytes": bytearray(), "f": len, "c": Order, "m": os})
    assert [(row.pointer, bool(row.reason)) for row in data.tracking_untracked()] == [
        ("/file", True), ("/lock", True), ("/bytes", True),
    ]  # fmt: skip


class Waking:
    def __init__(self):
        self.a = 1

    def _wake(self, *args):
        raise AssertionError("woken")

    __getattr__ = __iter__ = __eq__ = __bool__ = __len__ = __repr__ = _wake
    __hash__ = object.__hash__

    @property
    def lazy(self):
        self._wake()


def test_nothing_of_the_object_is_woken(holder):
    value = Waking()
    data = holder[0](value)
    value.a = 2
    assert data.last_change().after == 2
    data.tracking_untracked()
    holder[2](data)


def test_the_log_replays(tmp_path):
    path = tmp_path / "log.jsonl"
    data = track({"order": Order(), "pair": ({"a": 1}, 2), "list": []})
    with ChangeWriter(path) as log:
        data.tracking_add_observer(log.write)
        data["order"].total = 5
        data["pair"][0]["a"] = 2
        data["list"].append(Order(7))
        data["list"][0].total = 8
        data["order"].items.append({"n": 1})
        data.tracking_changes()  # asking compares
        data["order"].items[0]["n"] = 2
        data["list"].pop(0)
    assert replay(path) == {
        "order": {"total": 5, "items": [{"n": 2}]}, "pair": ({"a": 2}, 2), "list": [],
    }  # fmt: skip


def test_threads():
    data = track({"orders": [Order() for _ in range(4)]}, tracking_max_changes=None)
    orders = list(data["orders"])

    def work(n):
        for i in range(1, 501):
            orders[n].total = i
            data[f"k{n}"] = Order(i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(data.tracking_changes()) == 1 + 4 * 1000
    assert data.tracking_verify() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_goes_on():
    data = track({"order": Order()})
    pid = os.fork()
    if not pid:
        data["order"].total = 1
        os._exit(data.last_change().after != 1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    "program",
    [
        "data['o'].a = 1",
        "import atexit; atexit.register(lambda: setattr(data['o'], 'a', data.last_change().after))",
        "data['o'].back = data; data['me'] = data; del data",
    ],
)
def test_the_end_of_a_process_is_quiet(program):
    made = "from types import SimpleNamespace as N\nfrom pydatatracker import track\ndata = track({'o': N(a=0), 't': ({},)})"
    done = subprocess.run([sys.executable, "-c", f"{made}\n{program}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_watcher_it_is_listed():
    testcapi = pytest.importorskip("_testcapi")
    if not hasattr(testcapi, "add_dict_watcher"):
        pytest.skip("this _testcapi has no add_dict_watcher")
    program = (
        "import _testcapi\nfor _ in range(8):\n    try: _testcapi.add_dict_watcher(0)\n    except RuntimeError: pass\n"
        "from types import SimpleNamespace as N\nfrom pydatatracker import track\n"
        "print(track({'o': N(a=0)}).tracking_untracked()[0].reason)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "other tools have taken all" in done.stdout


@pytest.mark.parametrize("put", [
    lambda d: d.__setitem__("x", {"a": 1}),
    lambda d: d.update(x={"a": 1}),
    lambda d: d.setdefault("x", {"a": 1}),
    lambda d: d["l"].append({"a": 1}),
    lambda d: d["l"].extend([{"a": 1}]),
    lambda d: d["q"].append({"a": 1}),
])  # fmt: skip
def test_plain_data_is_converted_while_something_is_watched(put):
    with watch({}):
        data = track({"l": [], "q": collections.deque()}, tracking_follow=False)
        put(data)
        found = next(each for each in (data.get("x"), *data["l"], *data["q"]) if each is not None)
        found["a"] = 2
        assert data.last_change().after == 2
        assert data.tracking_untracked() == []


@pytest.mark.parametrize("put", [
    lambda d, v: d["l"].append(v), lambda d, v: d["l"].extend([v]), lambda d, v: d["l"].__setitem__(slice(0, 0), [v]),
    lambda d, v: d["q"].append(v), lambda d, v: d["q"].extendleft([v]), lambda d, v: d.update(x=v),
    lambda d, v: d.__ior__({"x": v}), lambda d, v: d.setdefault("x", v), lambda d, v: d["l"].insert(0, v),
])  # fmt: skip
@pytest.mark.parametrize("make", [lambda: SimpleNamespace(a=0), lambda: Order(), lambda: (1, {})])
def test_whatever_puts_it_in(put, make):
    value = make()
    data = track({"l": [], "q": collections.deque(), "also": value})
    put(data, value)
    if isinstance(value, tuple):
        value[1]["a"] = 1
    else:
        value.a = 1
    assert len(data.last_change().paths) == 2
    assert data.tracking_untracked() == []
    for each in (data, data["l"], data["q"]):
        _core.check_tracker(each)


def test_secrets_of_followed_data_are_withheld():
    data = track({"order": Order(), "pair": ({"password": "s3cr3t"}, 1)}, tracking_redact=["/**/password"])
    data["order"].password = "s3cr3t"
    data["pair"][0]["password"] = "s3cr3t2"
    said = repr([*data.tracking_changes(), *(c.to_dict() for c in data.tracking_changes())])
    said += repr(data.tracking_state_at(data.last_change().seq))
    assert "s3cr3t" not in said


MUTATIONS = {
    "setitem": lambda d, v: d.__setitem__("k", v),
    "append": lambda d, v: d["l"].append(v),
    "extend": lambda d, v: d["l"].extend([v, 2]),
    "replace": lambda d, v: d.__setitem__("order", v),
    "pop slots": lambda d, v: d.pop("slots"),
    "pop tuple": lambda d, v: d.pop("pair"),
    "attribute": lambda d, v: setattr(d["order"], "total", v),
    "item in a tuple": lambda d, v: d["pair"][1].__setitem__("x", v),
}


def changed_without_memory(mutate, n, last):
    """Return 0 or 7 if nothing is wrong after allocation n failed."""
    import _testcapi

    data = track({"k": 1, "l": [1], "order": Order(), "pair": (1, {}), "slots": Slotted()})
    value = Order(items=[{}, Order()])
    data.tracking_changes()
    done = 0
    try:
        _testcapi.set_nomemory(n, last)
        try:
            mutate(data, value)
        finally:
            _testcapi.remove_mem_hooks()
        done = 7
    except MemoryError:
        pass
    data.tracking_changes()
    for each in (data, data["l"]):
        _core.check_tracker(each)
    value.total = 5
    data.tracking_untracked()
    if not any(log.missed for log in _core.logs(data)):
        assert data.tracking_verify() is None
    del data, value
    gc.collect()
    return done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("name", MUTATIONS)
def test_without_memory_nothing_is_lost_in_silence(name):
    pytest.importorskip("_testcapi")
    for n in (1, 2, 3, 4, 6, 9, 13, 20, 30, 36):
        for last in (n + 1, 0):
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    code = changed_without_memory(MUTATIONS[name], n, last)
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, 7), (n, last)
