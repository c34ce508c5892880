"""The extension in a shell of this process: who changed it, in which cell."""

from __future__ import annotations

import atexit
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("IPython")

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from pydatatracker import TrackedAttr, TrackedDict, track
from pydatatracker.integrations.ipython import CellBlame, ChangeTable, load_ipython_extension, table
from pydatatracker.io import parse, to_line

watches = pytest.mark.skipif(sys.version_info < (3, 12), reason="watch() needs CPython 3.12")
WITH_STACK = "from pydatatracker import track\nconfig = track({'port': 80, 'users': [{'name': 'eve'}]}, tracking_capture_stack=True)"

Run = Callable[..., Any]


@pytest.fixture
def shell() -> Iterator[Any]:
    """Return a fresh shell that keeps its history in memory."""
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(config=config, colors="nocolor")
    yield made
    atexit.unregister(made.atexit_operations)
    made.atexit_operations()
    InteractiveShell.clear_instance()


@pytest.fixture
def run(shell: Any) -> Run:
    """Load the extension; return a function that runs a cell."""

    def run(cell: str, **options: Any) -> Any:
        done = shell.run_cell(cell, **{"store_history": True, **options})
        done.raise_error()
        return done.result

    run("%load_ext pydatatracker")
    return run


def html_of(shell: Any, value: Any) -> str | None:
    found: str | None = shell.display_formatter.format(value)[0].get("text/html")
    return found


def test_blame_names_the_run_of_the_cell(run: Run) -> None:
    """`%blame` gives cell, run, line, values and time of the last change.

    The second run of a cell has a number of its own.
    """
    run(WITH_STACK)  # In[2]
    run("x = 1\nconfig['port'] += 1")
    run("x = 1\nconfig['port'] += 1")
    found = run("%blame config['port']")
    assert isinstance(found, CellBlame)
    assert (4, 2, 2, "config['port'] += 1") == (found.cell, found.run, found.line, found.source)
    assert (81, 82) == (found.change.before, found.change.after)
    assert "config['port']: 81 -> 82\n  In[4] (run 2 of this cell), line 2\n    config['port'] += 1\n" in f"{found!r}\n"
    assert f"{found.change.created_time:%Y-%m-%d %H:%M:%S} UTC" in repr(found)


def test_blame_names_the_cell_of_the_line_and_the_cell_that_ran(run: Run) -> None:
    """A function of one cell that another one calls: both are named."""
    run(WITH_STACK)
    run("def set_port(port):\n    config['port'] = port")  # In[3]
    run("x = 1\nset_port(1)")  # In[4]
    run("set_port(2)")
    first, second = run("[%s]" % ",".join(["get_ipython().run_line_magic('blame', 'config[\"port\"]')"] * 2))
    assert repr(first) == repr(second)
    assert "In[3], line 2 in set_port, called by In[5], line 1" in repr(first)
    before = run("blame = %blame config\n[c for c in config.tracking_changes() if c.after == 1][0]._repr_html_()")
    assert "set_port" in before


def test_a_change_of_the_running_cell(run: Run) -> None:
    """`%blame` in the cell that made the change names that cell."""
    run(WITH_STACK)
    run("config['port'] = 5\nfound = %blame config['port']")
    found = run("found")
    assert (3, 1, 1) == (found.cell, found.run, found.line)


def test_a_change_between_cells(run: Run, shell: Any) -> None:
    """What no cell did is said to have come after the last one.

    A thread or a callback did it.
    """
    run(WITH_STACK)
    shell.user_ns["config"]["port"] = 7
    found = run("%blame config['port']")
    assert found.cell is None
    assert "after In[2]" in repr(found)


def test_a_task_that_another_cell_began(run: Run) -> None:
    """A change by a thread of an earlier cell names its line, and what ran."""
    run(WITH_STACK + "\nimport threading\ngo = threading.Event()")
    run("def later():\n    go.wait()\n    config['port'] = 9\nthread = threading.Thread(target=later)\nthread.start()")
    run("go.set()\nthread.join()")
    assert "In[3], line 3 in later, while In[4] ran" in repr(run("%blame config['port']"))


def test_without_a_stack_the_cell_is_known(run: Run) -> None:
    """Data without stacks: the cell is named, and what to do for the line."""
    run("from pydatatracker import track\nconfig = track({'port': 80})")
    run("config['port'] = 1")
    found = run("%blame config['port']")
    assert (3, None) == (found.cell, found.line)
    assert "the line is not known: make the data with tracking_capture_stack=True" in repr(found)


def test_empty_cells_and_errors_and_cells_without_history(run: Run, shell: Any) -> None:
    """Empty, failing and unnumbered cells do not shift the numbers."""
    run(WITH_STACK)
    for cell in ("", "  \n", "1/0", "def (", "%nothing", "raise KeyboardInterrupt"):
        shell.run_cell(cell, store_history=True)
    shell.run_cell("config['port'] = 1", store_history=False)
    assert "a cell without a number" in repr(run("%blame config['port']"))
    run("config['port'] = 2")
    number = shell.execution_count - 1
    assert number == run("%blame config['port']").cell
    run("get_ipython().run_cell('config[\"port\"] = 3')\nx = 1")
    found = run("%blame config['port']")
    assert number + 2 == found.cell


EXPRESSIONS = {
    "config['port']": "port",
    "config.get('users')[0]['name']": "name",
    "config['users'][0]['name']": "name",
    "config['users'][-1]['name']": "name",
    "config[key]": "port",
    "config['{port}'.strip('{}')]": "port",
    "config /port": "port",
    "config /users/0/name": "name",
    "holder.config['port']": "port",
    "point.x": "x",
    "config['users'][0]['gone']": "gone",
    "users[0]['name']": "name",
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_may_be_blamed(run: Run, expression: str) -> None:
    """Expressions and pointers lead to the value, also to a removed one.

    The outermost tracked container of the expression is asked; braces and dollars are Python's, not IPython's.
    """
    run(
        WITH_STACK
        + "\nimport types\nholder = types.SimpleNamespace(config=config)\nkey = 'port'; users = config['users']"
    )
    run("from pydatatracker import TrackedAttr\nclass Point(TrackedAttr):\n    pass\npoint = Point()")
    run(
        "config['port'] = 1\nconfig['users'][0]['name'] = 'ann'\npoint.x = 1\nconfig['users'][0]['gone'] = 1\ndel config['users'][0]['gone']"
    )
    found = run(f"%blame {expression}")
    assert (4, EXPRESSIONS[expression]) == (found.cell, found.change.path[-1])
    assert ("(removed)" in repr(found)) is ("gone" in expression)


QUESTIONS = {  # the result of the data after the question, and how often `ask` was called
    "%blame lists['nothing']": 0,
    "%blame lists['nothing'][0]": 0,
    "%blame lists /nothing": 0,
    "%blame lists['a'][-1]": 0,
    "%blame holder['lists']['nothing']": 0,
    "%blame holder['lists']['nothing'][-1]": 0,
    "%blame plain['nothing']['a']": 0,
    "%blame plain['lists']['nothing']": 0,
    "%blame point.computed": 0,
    "%blame point.computed[0]": 0,
    "%blame point.lists['nothing']": 0,
    "%blame ask()['a']": 1,
    "%blame ask() /a": 1,
    "%blame ask() /a/0": 1,
    "%blame len(ask()) /a": 1,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_changes_nothing(run: Run, question: str) -> None:
    """`%blame` adds no key, computes no property, and evaluates once."""
    run("""
import collections, json
from pydatatracker import TrackedAttr, track
class Point(TrackedAttr):
    def __init__(self):
        self.lists = collections.defaultdict(list)
    @property
    def computed(self):
        calls.append(1)
        return [1]
    def __getattr__(self, name):
        calls.append(name)
        raise AttributeError(name)
def ask():
    calls.append(1)
    return lists
calls, point, lists = [], Point(), track(collections.defaultdict(list, a=[1]))
holder, plain = track({"lists": lists}), collections.defaultdict(list, lists=lists)
lists["a"].append(2)
calls.clear()
""")
    expected = run("json.dumps([lists, holder, plain, point.lists])")
    with contextlib.suppress(UsageError):  # of most of them nothing is known
        run(question)
    assert expected == run("json.dumps([lists, holder, plain, point.lists])")
    assert QUESTIONS[question] == run("len(calls)")


@watches
def test_a_question_to_watched_data_changes_nothing(run: Run) -> None:
    """A plain defaultdict that is watched gets no key by `%blame`."""
    run("import collections\nplain = {'lists': collections.defaultdict(list)}\n%watch plain")
    with pytest.raises(UsageError):
        run("%blame plain['lists']['nothing'][-1]")
    assert {} == run("plain['lists']")


MISTAKES = {
    "%blame": "%blame needs a value",
    "%blame nothing['port']": "name 'nothing' is not defined",
    "%blame plain['a']": "is not tracked: it is a plain int. Use %watch plain before it changes",
    "%blame plain": "is not tracked: it is a plain dict. Use %watch plain",
    "%blame config[": "is not a Python expression",
    "%blame config['users'][0:1]": "a slice is several values",
    "%blame config['nothing']": "no change of it is known, and nothing is there",
    "%blame config['port'] /x": "name 'x' is not defined",  # a division
    "%blame config['port'] /1x": "give a path once",
    "%blame short['old']": "short['old']: its changes, if any, are among the oldest 8, which are not kept any more",
    "%blame short['nothing']": "among the oldest 8",
    "%blame plain.get('a')": "Use %watch plain before it changes (CPython 3.12), or plain = track(plain)",
    "%blame lambda: 0": "Use %watch config before",
    "%watch nothing": "name 'nothing' is not defined",
    "%watch plain +": "is not a Python expression",
    "%watch --fast plain": "has no option --fast",
    "%unwatch plain": "plain is not watched",
    "%%actor\nx = 1": "%%actor needs one name",
    "%%actor ann bob\nx = 1": "%%actor needs one name",
    "%%actor 'ann\nx = 1": "No closing quotation",
}


@pytest.mark.parametrize("cell", MISTAKES)
def test_mistakes_are_explained(run: Run, cell: str) -> None:
    """A mistake is one line that says what was wrong, not a traceback."""
    run(WITH_STACK + "\nplain = {'a': 1}")
    run("short = track({'old': 1}, tracking_max_changes=2)\nfor n in range(10): short['new'] = n")
    with pytest.raises(UsageError) as caught:
        run(cell)
    assert MISTAKES[cell] in str(caught.value)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="watch() works here")
def test_watch_on_an_old_python(run: Run) -> None:
    """On CPython 3.11 `%watch` says what works there."""
    run("config = {'port': 80}")
    with pytest.raises(UsageError, match=r"config: watch\(\) needs CPython 3\.12 .* track\(\) works here"):
        run("%watch config")


@watches
def test_watch_and_unwatch(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`%watch` remembers a plain object, lists included, until `%unwatch`."""
    run("config = {'port': 80, 'hosts': ['a']}")
    run("%watch config")
    assert "watching config: 2 objects" in capsys.readouterr().out
    run("config['hosts'].append('b')")  # In[4]
    run("x = 1\nconfig['port'] = 81")  # In[5]
    run("x = 2")
    port, host = run("%blame config['port']"), run("%blame config['hosts'][1]")
    assert ((5, 2), (4, None)) == ((port.cell, port.line), (host.cell, host.line))
    assert "found by comparing" in repr(host)
    assert run("type(config), config") == (dict, {"port": 81, "hosts": ["a", "b"]})
    run("hosts = config['hosts']\ninner = %blame hosts[1]\n%watch config\n%watch")
    printed = capsys.readouterr().out
    assert "config is watched already" in printed
    assert "config: 2 objects" in printed
    assert 4 == run("inner").cell
    run("%unwatch config\n%watch")
    assert "config is not watched any more\nnothing is watched" in capsys.readouterr().out
    with pytest.raises(UsageError, match="plain"):
        run("%blame config['port']")
    run("%watch config\nother = {}\n%watch other\n%unwatch")
    assert "ended 2 watches" in capsys.readouterr().out


@watches
def test_watch_a_name_that_is_bound_again(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A new object of the same name can be watched, and the old one ended."""
    run(
        "config = {'a': 1}\nold = config\n%watch config\nconfig = {'a': 2}\n%watch config\nconfig['a'] = 3; old['a'] = 4"
    )
    assert (2, 3) == (lambda c: (c.before, c.after))(run("%blame config['a']").change)
    assert (1, 4) == (lambda c: (c.before, c.after))(run("%blame old['a']").change)
    run("%unwatch config\n%watch")
    assert capsys.readouterr().out.endswith("nothing is watched\n")


@watches
def test_watch_without_secrets(run: Run, shell: Any) -> None:
    """`--redact` keeps values out of what is shown."""
    run("config = {'password': 'hunt' 'er1', 'x': {'token': 1}}\nsecret = 'hunt' + 'er2'")
    run("%watch --redact /password --redact=/**/token config")
    run("config['password'] = secret\nconfig['x']['token'] = 4711")
    for name in ("['password']", "['x']['token']"):
        found = run(f"%blame config{name}")
        for text in (repr(found), found._repr_html_(), html_of(shell, found)):
            assert "hunter" not in text
            assert "4711 " not in text.replace("= 4711", "")
            assert "REDACTED" in text


@watches
def test_redact_of_data_that_is_watched_already(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`--redact` that cannot apply is an error with what to do.

    Done so, the values are withheld. It is an error without an object or a glob, too, and lists nothing.
    """
    run("from pydatatracker.watching import watch\nconfig = {'token': 1, 'sub': {'token': 2}}\nalias = config")
    run("%watch config")
    for name in ("config", "alias"):
        with pytest.raises(
            UsageError, match=rf"{name} is watched already, so --redact was not .*first %unwatch config$"
        ):
            run(f"%watch --redact /token {name}")
    with pytest.raises(
        UsageError, match=r"config\['sub'\] is watched already.* --redact was not applied.*%watch lists"
    ):
        run("%watch --redact /token config['sub']")
    run("%unwatch config\n%watch --redact /token config\nconfig['token'] = 4711")
    assert "REDACTED" in repr(run("%blame config['token']"))
    run("mine = {'token': 1}\nw = watch(mine)")
    with pytest.raises(UsageError, match=r"mine is watched already, by watch\(\)"):
        run("%watch --redact /token mine")
    run("w.close()")
    capsys.readouterr()
    for line in ("--redact", "--redact=", "--redact ''", "--redact /token", "--redact=/token"):
        with pytest.raises(UsageError, match=r"%watch --redact .*needs a .*: %watch --redact /password config"):
            run(f"%watch {line}")
    assert "" == capsys.readouterr().out


@watches
def test_what_cannot_be_watched(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A list by itself is refused with what to do, tracked data needs none."""
    run(WITH_STACK)
    with pytest.raises(UsageError, match=r"a list by itself cannot be watched"):
        run("%watch [1]")
    run("%watch config")
    assert "config is tracked already, as a TrackedDict" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"TrackedDict, so --redact was not applied: give tracking_redact="):
        run("%watch --redact /port config")


def test_blame_of_the_whole(run: Run, shell: Any) -> None:
    """`%blame config` is a table of the last changes, with their cells."""
    run(WITH_STACK)
    assert "config has not changed" in repr(run("%blame config"))
    run("config['port'] = 1")
    run("config['users'][0]['name'] = 'ann'\nconfig['port'] = 2")
    found = run("%blame config")
    assert isinstance(found, ChangeTable)
    assert ["/users/0/name", "/port"] == [change.pointer for change in found.changes]
    assert 2 == html_of(shell, found).count("In[5], line")  # type: ignore[union-attr]
    assert 2 == repr(found).count("In[5], line")


def test_histories_are_tables_and_stay_lists(run: Run, shell: Any) -> None:
    """A list of changes and a dict of blame are shown as tables.

    They stay plain; so does the text of them.
    """
    run(WITH_STACK)
    run("config['port'] = '<b>'")
    changes, blame = run("config.tracking_changes()"), run("config.tracking_blame()")
    assert (list, dict) == (type(changes), type(blame))
    for value in (
        changes,
        blame,
        changes[-1],
        [parse(to_line(change)) for change in changes],
        parse(to_line(changes[-1])),
    ):
        shown = html_of(shell, value)
        assert shown is not None
        assert "&lt;b&gt;" in shown
        assert "<b>" not in shown
    assert "In[3], line 1" in html_of(shell, changes)  # type: ignore[operator]
    assert f"[{changes[0]!r},\n {changes[1]!r}]" == shell.display_formatter.format(changes)[0]["text/plain"].replace(
        ", <", ",\n <"
    )


class Shown(list[Any]):
    def _repr_html_(self) -> str:
        return "<i>mine</i>"


def test_other_lists_and_dicts_are_shown_as_before(shell: Any) -> None:
    """What else is a list or dict is shown as without the extension.

    So are subclasses with HTML of their own, and formatters that were registered before.
    """

    class Mapped(dict[str, Any]):
        def _repr_html_(self) -> str:
            return "<i>mine</i>"

    formatter = shell.display_formatter.formatters["text/html"]
    change = TrackedDict(a=1).last_change()
    for before in (None, lambda value: f"<u>{len(value)}</u>"):
        if before is not None:
            formatter.for_type(list, before)
        values = [
            [],
            [1],
            [change, 1],
            {},
            {"a": 1},
            {"a": change, "b": 1},
            Shown([change]),
            Mapped(a=change),
            TrackedDict(a=1),
            track([1]),
        ]
        expected = [html_of(shell, value) for value in values]
        load_ipython_extension(shell)
        assert expected == [html_of(shell, value) for value in values]
        assert "<table>" in str(html_of(shell, [change]))
        shell.run_cell("%unload_ext pydatatracker")
        shell.run_cell("import pydatatracker; pydatatracker.unload_ipython_extension(get_ipython())")
        assert expected == [html_of(shell, value) for value in values]
        assert ("<u>1</u>" if before else None) == html_of(shell, [change])


def test_an_actor_of_a_cell(run: Run) -> None:
    """`%%actor` names the actor, and runs the cell as it would run anyway.

    The last value is shown, errors are raised, lines keep their numbers, names stay.
    """
    run(WITH_STACK)
    assert 3 == run("%%actor ann ticket='T 17'\n\nvalue = 3\nconfig['port'] = value\nvalue")
    found = run("%blame config['port']")
    assert ("ann", {"ticket": "T 17"}, 3, 4) == (found.change.actor, dict(found.change.context), found.cell, found.line)
    assert "called by" not in repr(found)
    assert run("%%actor ann\nvalue;") is None
    with pytest.raises(ZeroDivisionError):
        run("%%actor ann\n1/0")
    with pytest.raises(SyntaxError):
        run("%%actor ann\n1 +")
    run("config['port'] = 4")
    assert "" == run("%blame config['port']").change.actor
    run("%%actor bob\n%blame config['port']\nfor n in range(2):\n    config['port'] = n")
    assert ("bob", 4) == (lambda b: (b.change.actor, b.line))(run("%blame config['port']"))


@pytest.mark.parametrize("body", ["5", "5;", "5 ; # quiet", "5 # not quiet;", "'a;'", "x = 5", "x = 5;", "5;\n\n"])
def test_an_actor_shows_what_the_cell_shows(run: Run, shell: Any, body: str) -> None:
    """A cell with `%%actor` has the value that it has without.

    A semicolon at its end is respected.
    """
    expected = run(body) if not shell.displayhook.semicolon_at_end_of_expression(body) else None
    assert expected == run(f"%%actor ann\n{body}")


def test_loading_again_and_unloading(run: Run, shell: Any) -> None:
    """Loading twice is loading once, and unloading removes everything."""
    run("%load_ext pydatatracker")
    load_ipython_extension(shell)
    assert 1 == sum("Cells" in repr(each) for each in shell.events.callbacks["pre_run_cell"])
    run("%reload_ext pydatatracker")
    run(WITH_STACK)
    run("config['port'] = 1")
    assert 5 == run("%blame config['port']").cell
    run("%unload_ext pydatatracker")
    assert not {"watch", "unwatch", "blame"} & {*shell.magics_manager.magics["line"]}
    assert "actor" not in shell.magics_manager.magics["cell"]
    assert not any(
        "Cells" in repr(each) for name in ("pre_run_cell", "post_run_cell") for each in shell.events.callbacks[name]
    )


def test_loaded_before_the_first_cell(shell: Any) -> None:
    """An extension of IPython's configuration is loaded by no cell."""
    load_ipython_extension(shell)
    for cell in (WITH_STACK, "config['port'] = 1", "found = %blame config['port']"):
        shell.run_cell(cell, store_history=True).raise_error()
    assert (2, 1) == (shell.user_ns["found"].cell, shell.user_ns["found"].line)
    shell.user_ns["config"]["port"] = 2
    shell.run_cell("found = %blame config['port']", store_history=True).raise_error()
    assert "after In[3]" in repr(shell.user_ns["found"])


def test_changes_before_the_extension(shell: Any) -> None:
    """A change that was made before the extension was loaded has no cell."""
    for cell in (WITH_STACK, "config['port'] = 1", "%load_ext pydatatracker", "found = %blame config['port']"):
        shell.run_cell(cell, store_history=True).raise_error()
    assert shell.user_ns["found"].cell is None
    assert "80 -> 1" in repr(shell.user_ns["found"])


def test_a_table_without_the_extension(shell: Any) -> None:
    """`table` shows a history, a blame or lines without the extension."""

    class Point(TrackedAttr):
        pass

    point = Point()
    point.x = 1
    for changes in (
        point.tracking_changes(),
        point.tracking_blame(),
        [parse(to_line(c)) for c in point.tracking_changes()],
    ):
        assert "<table>" in str(html_of(shell, table(changes)))
    assert "<no changes>" == repr(table([]))
