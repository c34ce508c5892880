"""What `watch` remembers, and what it leaves alone."""

import copy
import gc
import pickle
import subprocess
import sys
import threading
import types
import weakref
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from pydatatracker import RedactedError, TrackedDict, replay, tracking_actor, tracking_transaction, watch
from pydatatracker.io import ChangeWriter

needs_watchers = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")
pytestmark = needs_watchers


class Order:
    def __init__(self, total=0):
        self.total = total
        self.lines = [{"amount": 1}]


class Slotted:
    __slots__ = ("a", "b")


@dataclass
class Point:
    x: int = 0
    tags: list = field(default_factory=list)


def said(w):
    """Return the changes after the init, as (pointer, before, after)."""
    return [(c.pointer, c.before, c.after) for c in w.tracking_changes()[1:]]


# ---- what it takes


@pytest.mark.parametrize(
    "made",
    [{"k": 1}, OrderedDict(k=1), defaultdict(int, k=1), Counter(k=1), type("Sub", (dict,), {})(k=1)],
    ids=lambda made: type(made).__name__,
)
def test_a_dict_of_any_class_stays_what_it_is(made):
    cls, number, text = type(made), id(made), repr(made)
    with watch(made) as w:
        assert (type(made), id(made), repr(made)) == (cls, number, text)
        made["k"] = 2
        dict.__setitem__(made, "k", 3)
        del made["k"]
    assert said(w)[:3] == [("/k", 1, 2), ("/k", 2, 3), ("/k", 3, w.last_change().after)]
    assert w.last_change().action == "remove"


class Plain:
    pass


@pytest.mark.parametrize("make", [Plain, Point, SimpleNamespace, UserDict, lambda: types.ModuleType("m")])
def test_an_object_with_attributes(make):
    x = make()
    with watch(x) as w:
        x.name = "a"
        setattr(x, "name", "b")  # noqa: B010
        vars(x).update(name="c")
        object.__setattr__(x, "name", "d")
        del x.name
    assert [c.action for c in w.tracking_changes()[1:]] == ["add", "update", "update", "update", "remove"]
    assert {c.pointer for c in w.tracking_changes()[1:]} == {"/name"}


def test_a_module_by_name_without_what_is_the_interpreters(monkeypatch):
    module = types.ModuleType("shop_settings")
    module.CONFIG = {"debug": False}
    monkeypatch.setitem(sys.modules, "shop_settings", module)
    with watch("shop_settings") as w:
        exec("CONFIG['debug'] = True\nLEVEL = 1\n__doc__ = 'x'", vars(module))
    assert [c.pointer for c in w.tracking_changes()[1:]] == ["/CONFIG/debug", "/LEVEL"]


@pytest.mark.parametrize("x", [[1], {1}, deque([1]), bytearray(b"a")], ids=lambda x: type(x).__name__)
def test_what_nothing_tells_of_is_refused_with_advice(x):
    with pytest.raises(TypeError, match=r"use x = track\(x\)"):
        watch(x)


@pytest.mark.parametrize("x", [1, "no.such.module", None, (1,), len, lambda: 0, 1.5, dict, type])
def test_what_has_no_state_is_refused(x):
    with pytest.raises(TypeError, match=r"watch\(\) takes"):
        watch(x)


def test_tracked_data_needs_no_watch():
    with pytest.raises(TypeError, match="tracked already"):
        watch(TrackedDict(a=1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": -1}, "depth"),
        ({"max_objects": True}, "max_objects"),
        ({"into": [1]}, "into"),
        ({"colour": "red"}, "colour"),
        ({"tracking_remember_last": True}, "tracking_remember_last"),
        ({"tracking_redact": lambda path, value: False}, "globs"),
    ],
)
def test_options_that_cannot_be_kept_are_refused(options, words):
    with pytest.raises(TypeError, match=words):
        watch({}, **options)


# ---- what it follows


def test_everything_below_is_followed_once_with_all_its_paths():
    shared = {"n": 0}
    x = {"list": [shared], "tuple": (1, shared), "deque": deque([{"d": 1}]), "point": Point(), "self": None}
    x["self"] = x
    with watch(x) as w:
        shared["n"] = 1
        x["deque"][0]["d"] = 2
        x["point"].x = 5
        x["point"].tags.append("t")
    first, second, third, found = w.tracking_changes()[1:]
    assert set(first.paths) == {("list", 0, "n"), ("tuple", 1, "n")}
    assert (second.pointer, third.pointer, found.pointer) == ("/deque/0/d", "/point/x", "/point/tags/0")
    assert found.method == "found"


def test_what_is_stored_later_is_followed():
    x = {}
    with watch(x) as w:
        x["order"] = {"lines": [{"amount": 1}]}
        x["order"]["lines"][0]["amount"] = 2
    assert said(w)[1] == ("/order/lines/0/amount", 1, 2)


def test_attributes_of_a_dict_are_followed():
    class Document(dict):
        def __init__(self):
            self.body = {"a": 1}

    x = {"doc": Document()}
    with watch(x) as w:
        x["doc"].body["a"] = 2
        x["doc"]["key"] = 3
    assert [c.pointer for c in w.tracking_changes()[1:]] == ["/doc/__dict__/body/a", "/doc/key"]


def test_what_is_not_followed_is_listed_with_a_reason():
    class Far:
        pass

    Far.__module__ = "elsewhere"
    x = {
        "far": Far(),
        "buffer": bytearray(1),
        "file": sys.stdout,
        "n": 1,
        "when": types,
        "deep": {"deeper": {"deepest": {}}},
    }
    with watch(x, depth=2) as w:
        rows = {row.pointer: (row.type, row.reason) for row in w.untracked}
    assert rows["/far"][0] == "Far"
    assert "into= follows it" in rows["/far"][1]
    assert "bytearray" in rows["/buffer"][1]
    assert "/file" in rows
    assert "depth=2" in rows["/deep/deeper/deepest"][1]
    assert not {"/n", "/when"} & set(rows)
    with watch(x, into="elsewhere") as w:
        x["far"].a = 1
        assert "/far" not in {row.pointer for row in w.untracked}
    assert said(w)[-1][0] == "/far/a"


def test_at_most_max_objects_are_followed():
    x = {str(n): {"n": n} for n in range(10)}
    with watch(x, max_objects=4) as w:
        assert w.objects == 4
        assert len(w.untracked) == 7
        assert "max_objects=4" in w.untracked[0].reason


def test_a_dict_that_an_object_gets_anew_is_followed():
    x = Order(1)
    with watch(x) as w:
        x.__dict__ = {"total": 2}
        x.total = 3
    assert ("/total", 1, 2) in said(w)
    assert said(w)[-1] == ("/total", 2, 3)


# ---- what it has


def test_actor_stack_and_time_travel():
    x = Order()
    w = watch(x, name="order", tracking_capture_stack=True)
    with tracking_actor("ann", reason="test"):
        x.total = 5
    change = w.last_change()
    assert (change.actor, change.context["reason"], change.culprit.name) == (
        "ann", "test", "test_actor_stack_and_time_travel",
    )  # fmt: skip
    x.lines[0]["amount"] = 9
    x.lines.append(2)
    assert w.tracking_state_at(change) == {"total": 5, "lines": [{"amount": 1}]}
    assert w.tracking_blame("/lines/0/amount").after == 9
    assert w.tracking_verify() is None
    assert w.tracking_name == "order"
    w.close()


def test_undo_and_redo_of_everything_that_can_change():
    x = {
        "dict": {"a": 1}, "list": [1], "set": {1}, "deque": deque([1]), "slots": Slotted(), "point": Point(),
        "gone": {"deep": [{"x": 1}]}, "order": Order(3),
    }  # fmt: skip
    x["slots"].a = 1
    before = copy.deepcopy({**x, "slots": None})
    with watch(x, into=(Slotted, Order)) as w:
        x["dict"].update(b=2, a=3)
        x["dict"].clear()
        x["list"].extend([2, 3])
        x["set"].add(2)
        x["deque"].appendleft(0)
        x["slots"].a = 2
        x["point"].x = 4
        del x["gone"]
        del x["order"]
        n = len(w.tracking_changes()) - 1
        after = repr({**x, "slots": x["slots"].a})
        w.tracking_undo(n)
        assert x["slots"].a == 1
        assert {**x, "slots": None, "order": None} == {**before, "order": None}
        assert vars(x["order"]) == vars(before["order"])
        w.tracking_redo(n)
        assert repr({**x, "slots": x["slots"].a}) == after
        w.tracking_revert_to(w.tracking_changes()[0])
        assert {**x, "slots": None, "order": None} == {**before, "order": None}
        x["gone"]["deep"][0]["x"] = 2
        assert said(w)[-1] == ("/gone/deep/0/x", 1, 2)


def test_a_transaction_takes_back_what_was_found_too():
    x = {"a": 1, "list": [1]}
    with watch(x) as w, pytest.raises(ZeroDivisionError), tracking_transaction(w):
        x["a"] = 2
        x["list"].append(2)
        x["a"] / 0
    assert x == {"a": 1, "list": [1]}


def test_patches_apply_to_the_object_itself():
    x = Order(1)
    with watch(x) as w:
        w.tracking_apply_patch(
            [
                {"op": "replace", "path": "/total", "value": 2},
                {"op": "add", "path": "/lines/-", "value": {"amount": 3}},
            ]
        )
        assert (x.total, x.lines[1]) == (2, {"amount": 3})
        assert {op["path"] for op in w.tracking_patch()} == {"/total", "/lines/1"}


def test_observers_hear_after_the_change():
    x = {"a": 1}
    heard = []
    with watch(x) as w:
        w.tracking_add_observer(lambda change: heard.append((change.pointer, change.after, x["a"])))
        x["a"] = 2
        x["a"] = 3
        w.tracking_changes()
    assert [row[:2] for row in heard] == [("/a", 2), ("/a", 3)]
    assert all(live in (2, 3) and live >= after for _, after, live in heard)


def test_an_observer_may_change_what_it_watches():
    x = {"a": 1}
    with watch(x) as w:
        w.tracking_add_observer(lambda change: x.__setitem__("copy", change.after), path="/a")
        x["a"] = 2
        w.tracking_changes()
    assert x["copy"] == 2
    assert said(w)[-1][0] == "/copy"


def test_an_observer_that_raises_does_not_reach_the_program(caplog):
    x = {"a": 1}
    with watch(x) as w:
        w.tracking_add_observer(lambda change: 1 / 0)
        x["a"] = 2
        w.tracking_changes()
    assert "ZeroDivisionError" in caplog.text


def test_a_break_calls_at_the_change_and_cannot_refuse_it():
    x = {"a": 1}
    hit = []
    with watch(x) as w:
        w.tracking_break("/a", do=hit.append)
        x["a"] = 2
        w.tracking_changes()
        with pytest.raises(TypeError, match="nothing stands between"):
            w.tracking_break("/a", do="raise")
        with pytest.raises(TypeError, match="cannot be locked"):
            w.lock()
    assert [change.after for change in hit] == [2]


def test_secrets_are_withheld():
    x = {"user": "ann", "password": "x"}
    with watch(x, tracking_redact=["/password"]) as w:
        x["password"] = "secret"
        text = "".join(str(c.to_dict()) for c in w.tracking_changes())
    assert "secret" not in text
    with pytest.raises(RedactedError):
        w.tracking_state_at(0)


def test_the_log_on_disk_replays(tmp_path):
    x = {"order": Order(1), "point": Point(), "pair": (1, {"k": 1}), "deque": deque([1])}
    path = tmp_path / "log.jsonl"
    with ChangeWriter(path) as log, watch(x, into=Order) as w:
        w.tracking_add_observer(log.write)
        x["order"].total = 2
        x["order"].lines.append({"amount": 2})
        x["pair"][1]["k"] = 2
        x["deque"].append(2)
        x["new"] = Order(7)
        x["new"].total = 8
        w.tracking_changes()
    assert replay(path) == {
        "order": {"total": 2, "lines": [{"amount": 1}, {"amount": 2}]},
        "point": {"x": 0, "tags": []},
        "pair": (1, {"k": 2}),
        "deque": [1, 2],
        "new": {"total": 8, "lines": [{"amount": 1}]},
    }


def test_a_found_change_says_between_which_changes_it_happened():
    x = {"list": [1], "n": 0}
    with tracking_actor("ann"), watch(x, tracking_capture_stack=True) as w:
        x["n"] = 1
        w.tracking_changes()
        x["list"].append(2)
        line = w.last_change().to_dict()
    assert line["method"] == "found"
    assert line["between"][0] <= line["between"][1] < line["seq"]
    assert "actor" not in line
    assert line["stack"] == []


# ---- what it leaves alone


class Hostile:
    """Every method that could wake says so."""

    woken: list = []

    def __init__(self):
        object.__setattr__(self, "inner", {"a": 1})

    def __getattribute__(self, name):
        if not name.startswith("__"):
            Hostile.woken.append(name)
        return object.__getattribute__(self, name)

    def __getattr__(self, name):
        Hostile.woken.append(name)
        raise AttributeError(name)

    def __eq__(self, other):
        Hostile.woken.append("__eq__")
        return True

    def __hash__(self):
        Hostile.woken.append("__hash__")
        return 1

    def __iter__(self):
        Hostile.woken.append("__iter__")
        return iter(())

    def __repr__(self):
        Hostile.woken.append("__repr__")
        return "Hostile"

    def __bool__(self):
        Hostile.woken.append("__bool__")
        return False

    @property
    def lazy(self):
        Hostile.woken.append("lazy")

    @property
    def __class__(self):
        Hostile.woken.append("__class__")
        return int


def test_nothing_of_a_watched_object_is_woken(tmp_path):
    hostile = Hostile()
    key = Hostile()
    x = {"hostile": hostile, "list": [hostile], "tuple": (hostile,), key: 1}
    inner = object.__getattribute__(hostile, "__dict__")
    Hostile.woken.clear()
    with ChangeWriter(tmp_path / "log") as log, watch(x, into=Hostile) as w:
        w.tracking_add_observer(log.write)
        inner["b"] = Hostile.woken
        x["other"] = hostile
        x["list"].append(hostile)
        del x["tuple"]
        w.untracked
        w.tracking_changes()
        w.tracking_state_at(w.last_change())
    w.tracking_changes()
    assert set(Hostile.woken) <= {"__hash__"}  # the program's own store under that key


class Witness:
    ended: list = []

    def __init__(self, name):
        self.name = name

    def __del__(self):
        Witness.ended.append(self.name)


def test_nothing_lives_longer_than_without_a_watch():
    Witness.ended.clear()
    x = {
        "direct": Witness("direct"),
        "list": [Witness("list")],
        "dict": {"w": Witness("dict")},
        "tuple": (Witness("tuple"),),
    }
    with watch(x, into=Witness) as w:
        for key in list(x):
            x[key] = None
            assert Witness.ended[-1] == key
        x["later"] = {"w": Witness("later")}
        x["later"]["w"].name = "changed"
        reference = weakref.ref(x["later"]["w"])
        del x["later"]
        assert Witness.ended[-1] == "changed"
        assert reference() is None
        assert w.tracking_state_at(0)["dict"] is not None


class Held:
    """An object that can have weak references and be a key."""


class HeldList(list):
    """A list that can have weak references and be a key."""

    __hash__ = object.__hash__


def as_a_value(d, x):
    d["x"] = x
    d["x"] = None


def as_a_key(d, x):
    d[x] = 1
    del d[x]


def as_a_key_of_data(d, x):
    d[x] = {}
    d.clear()


def as_a_key_of_a_dict_that_ends(d, x):
    d["inner"] = {x: 1}
    del d["inner"]


def as_the_key_before_one_that_is_removed(d, x):
    d[x] = 1
    d["y"] = 2
    d["z"] = 3
    del d["y"]
    del d[x]


def as_the_key_after_one_that_is_removed(d, x):
    d["w"] = 1
    d["y"] = 2
    d[x] = 3
    del d["y"]
    del d[x]


def as_an_element(d, x):
    d["s"] = {x}
    d["t"] = 1
    d["s"].clear()
    d["t"] = 2


def as_the_object_of_a_method(d, x):
    d["x"] = x.__init__
    d["x"] = None


def as_the_object_of_a_method_written_in_c(d, x):
    d["x"] = HeldList.append.__get__(x, HeldList) if isinstance(x, HeldList) else x.__reduce__
    d["x"] = None


@pytest.mark.parametrize("cls", [Held, HeldList])
@pytest.mark.parametrize(
    "use",
    [
        as_a_value,
        as_a_key,
        as_a_key_of_data,
        as_a_key_of_a_dict_that_ends,
        as_the_key_before_one_that_is_removed,
        as_the_key_after_one_that_is_removed,
        as_an_element,
        as_the_object_of_a_method,
        as_the_object_of_a_method_written_in_c,
    ],
)
def test_a_record_keeps_nothing_alive_wherever_it_means_it(use, cls):
    """What watched data held in any role ends when the program lets go of it."""
    state = {}
    with watch(state) as w:
        x = cls()
        ref = weakref.ref(x)
        use(state, x)
        assert len(w.tracking_changes()) > 1
        del x
        gc.collect()
        assert ref() is None


def test_the_watch_ends_with_its_object():
    x = Order()
    x.back = {"order": x}
    w = watch(x)
    x.total = 5
    x.child = Order()
    x.child.parent = x
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None
    assert not w.is_open
    assert said(w)[0] == ("/total", 0, 5)
    assert w.tracking_state_at(0)["total"] == 0
    assert w.tracking_state_at(w.last_change())["child"]["lines"] == [{"amount": 1}]


def test_keep_keeps_it_alive():
    w = watch(Order(1), keep=True)
    gc.collect()
    w.object.total = 2
    assert said(w) == [("/total", 1, 2)]
    w.close()


def test_two_watches_of_one_object_end_one_by_one():
    inner = {"n": 0}
    x, y = {"a": inner}, {"b": inner}
    first, second = watch(x), watch(y)
    inner["n"] = 1
    first.close()
    inner["n"] = 2
    second.close()
    inner["n"] = 3
    assert said(first) == [("/a/n", 0, 1)]
    assert said(second) == [("/b/n", 0, 1), ("/b/n", 1, 2)]


def test_a_watched_object_is_copied_and_pickled_as_any():
    x = Order(1)
    with watch(x) as w:
        twin, again = copy.deepcopy(x), pickle.loads(pickle.dumps(x))
        twin.total = again.total = 5
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            pickle.dumps(w)
    assert said(w) == []


def test_a_watch_stored_in_data_is_a_value():
    x = {}
    with watch(x) as w:
        x["w"] = w
        x["n"] = 1
        del x["w"]
    assert [c.pointer for c in w.tracking_changes()[1:]] == ["/w", "/n", "/w"]


# ---- classes


def test_instances_of_a_class_from_before_their_first_attribute():
    class Child(Order):
        def __init__(self):
            self.own = 1  # calls no other __init__

    with watch(Order) as w:
        order = Order(5)
        child = Child()
        twin = copy.copy(order)
        again = pickle.loads(pickle.dumps(order))

        class Later(Order):
            pass

        later = Later(6)
        order.total = 7
        names = list(w.tracking_state_at(w.last_change()))
    assert names == ["Order#1", "Child#2", "Order#3", "Order#4", "Later#5"]
    assert w.tracking_blame("/Order#1/total").after == 7
    assert "__init_subclass__" not in vars(Order)
    order.total = 8
    assert w.last_change().after == 7
    del child, twin, again, later


def test_the_end_of_an_instance_is_recorded_and_nothing_keeps_it():
    with watch(Order) as w:
        order = Order(1)
        gone = weakref.ref(order)
        del order
        assert gone() is None
        assert w.last_change().pointer == "/Order#1"
        assert w.last_change().action == "remove"
        assert w.objects == 0


def test_existing_instances_are_followed_if_asked():
    order = Order(1)
    with watch(Order) as w:
        order.total = 2
    assert said(w) == []
    with watch(Order, existing=True) as w:
        order.total = 3
    assert said(w)[-1][1:] == (2, 3)


def test_instances_of_classes_with_slots_and_of_dicts():
    class Settings(dict):
        def __init__(self):
            self["a"] = 1

    with watch(Slotted) as slots, watch(Settings) as dicts:
        s = Slotted()
        s.a = 1
        d = Settings()
        d["b"] = 2
        del s
        d.clear()
        slots.tracking_changes()
    assert [c.pointer for c in slots.tracking_changes()[1:]] == ["/Slotted#1", "/Slotted#1/a", "/Slotted#1"]
    assert [c.pointer for c in dicts.tracking_changes()[1:]][:3] == ["/Settings#1", "/Settings#1/a", "/Settings#1/b"]


def test_a_finalizer_of_a_watched_class_runs_once():
    Witness.ended.clear()
    with watch(Witness):
        one = Witness("one")
        del one
    assert Witness.ended == ["one"]


# ---- threads, forks, the end


def test_threads_that_change_one_graph():
    x = Order(0)
    x.shared = {}
    failed = []

    def work(n):
        try:
            for i in range(2000):
                x.shared[n] = i
                x.total = i
                x.lines.append(i)
        except BaseException as error:
            failed.append(error)
            raise

    with watch(x, tracking_max_changes=None) as w:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        w.tracking_changes()
        assert not failed
        assert w.tracking_verify() is None
        seqs = [change.seq for change in w.tracking_changes()]
        assert seqs == sorted(set(seqs))
        assert w.missed == 0
        assert sum(c.pointer.startswith("/shared/") for c in w.tracking_changes()) == 8 * 2000


@pytest.mark.parametrize(
    "program",
    [
        "x = {}; w = watch(x); globals()['y'] = x",
        "w = watch(__import__('__main__')); a = 1",
        "w = watch(type('A', (), {})); import os; os.register_at_fork",
        "import atexit; x = {}; w = watch(x); atexit.register(lambda: x.update(a=1))",
        """import os; x = {'a': 1}; w = watch(x); pid = os.fork(); x['a'] = pid
if not pid: os._exit(len(w.tracking_changes()))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2""",
    ],
)
def test_the_end_of_a_process_is_quiet(program):
    done = subprocess.run(
        [sys.executable, "-c", f"from pydatatracker import watch\n{program}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_sentence_when_all_watchers_are_taken():
    testcapi = pytest.importorskip("_testcapi")
    if not hasattr(testcapi, "add_dict_watcher"):
        pytest.skip("this _testcapi has no add_dict_watcher")
    program = (
        "import _testcapi\nfor _ in range(8):\n    try: _testcapi.add_dict_watcher(0)\n    except RuntimeError: pass\n"
        "from pydatatracker import watch\ntry: watch({})\nexcept RuntimeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "other tools have taken all" in done.stdout


def test_a_list_that_only_something_below_it_holds_is_still_followed():
    """The link that closed a cycle is the last one: it is enough."""
    root, keeper, first = Order(), Order(), Order()
    items = [keeper]
    keeper.up = items
    with watch(root) as w:
        first.held = items
        root.first = first
        root.keeper = keeper
        held = w.objects
        del first.held
        assert w.tracking_verify() is None
        assert w.objects == held
