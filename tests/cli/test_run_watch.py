"""``run --watch`` remembers data of programs that track nothing."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from command import run
from programs import plain, write

from pydatatracker import _core, replay
from pydatatracker.io import read_changes
from pydatatracker.targets import parsed

CAN_WATCH = pytest.mark.skipif(_core.can_watch() != 0, reason="watch() needs CPython 3.12 or newer with the GIL")

SETTINGS = """
import os, collections
CONFIG = {"debug": False, "hosts": {"db": "a"}}
LIMIT = 3
NAMES = ["a"]
def helper(): pass
class Order:
    def __init__(self, n):
        self.n = n
"""
SHOP = """
import collections, settings
from settings import Order

def change():
    collections.ChainMap(settings.CONFIG["hosts"])["db"] = "b"
    settings.LIMIT = 4
    settings.CONFIG = {"n": 1, "password": "s3cr" + "3t"}
    settings.CONFIG["n"] = 2
    settings.NAMES.append("b")
    order = Order(1)
    order.n = 2

if __name__ == "__main__":
    change()
    print("done", settings.CONFIG)
"""


def program(
    tmp_path: Path, *watch: str, shop: str = SHOP, args: tuple[str, ...] = ("shop.py",)
) -> tuple[Any, list[Any]]:
    """Run the shop with and without us; return the run and its lines."""
    write(tmp_path, SETTINGS, "settings.py")
    write(tmp_path, shop, "shop.py")
    expected = plain(*args, cwd=tmp_path)
    options = [part for each in watch for part in ("--watch", each)]
    done = run("run", "--log", "log.jsonl", *options, *args, cwd=tmp_path)
    assert (expected.returncode, expected.stdout) == (done.returncode, done.stdout)
    said = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("pydatatracker: "))
    assert expected.stderr == said
    lines = list(read_changes(tmp_path / "log.jsonl", strict=True))
    checked = run("verify", "log.jsonl", cwd=tmp_path)
    assert (0, "") == (checked.returncode, checked.stderr)
    return done, lines


def said_of(lines: list[Any]) -> list[tuple[str, str, Any]]:
    return [(line.action, line.pointer, line.after) for line in lines]


@CAN_WATCH
def test_a_global_by_name(tmp_path: Path) -> None:
    """It is heard of when it is bound, changed, and bound anew.

    The culprit of each change is the program's own line.
    """
    done, lines = program(tmp_path, "settings:CONFIG")
    assert "4 changes in log.jsonl" in done.stderr
    assert [
        ("add", "/CONFIG", {"debug": False, "hosts": {"db": "a"}}), ("update", "/CONFIG/hosts/db", "b"),
        ("update", "/CONFIG", lines[2].after), ("update", "/CONFIG/n", 2),
    ] == said_of(lines)  # fmt: skip
    assert {"settings"} == {line.name for line in lines}
    assert (1, "REDACTED") == (lines[2].after["n"], str(lines[2].after["password"]))
    assert ["<module>", "change", "change", "change"] == [line.culprit["name"] for line in lines]
    assert b"s3cr3t" not in (tmp_path / "log.jsonl").read_bytes()
    assert "b" == replay(tmp_path / "log.jsonl", at=lines[1].seq)["CONFIG"]["hosts"]["db"]
    assert "in change" in run("blame", "log.jsonl", "/CONFIG/n", cwd=tmp_path).stdout


@CAN_WATCH
def test_a_class_by_name(tmp_path: Path) -> None:
    """Its instances are heard of from their first attribute on."""
    _, lines = program(tmp_path, "settings:Order")
    found = said_of(lines)
    assert ("add", "/Order#1/n", 1) in found
    assert ("update", "/Order#1/n", 2) in found
    assert not any("CONFIG" in pointer for _, pointer, _ in found)


@CAN_WATCH
def test_a_module_by_name_has_its_data_and_no_code(tmp_path: Path) -> None:
    """Functions, classes and modules are no data; lists are looked at."""
    _, lines = program(tmp_path, "settings")
    pointers = {line.pointer for line in lines}
    assert {"/CONFIG", "/LIMIT", "/NAMES", "/CONFIG/hosts/db"} <= pointers
    assert not [each for each in pointers if re.search("os|collections|helper|Order|__", each.replace("hosts", ""))]
    assert ["a", "b"] == replay(tmp_path / "log.jsonl")["NAMES"]


@CAN_WATCH
@pytest.mark.parametrize("args", [("shop.py",), ("-m", "shop")], ids=["script", "module"])
def test_the_main_module(tmp_path: Path, args: tuple[str, ...]) -> None:
    """``__main__`` is the program itself, from its first line on."""
    shop = "TOTAL = {}\nTOTAL['a'] = 1\nTOTAL = {'b': 2}\nn = 1\ndel n\ndef f(): pass\nf = 2\nf = print\nprint(TOTAL)"
    _, lines = program(tmp_path, "__main__", shop=shop, args=args)
    assert [("add", "/TOTAL", {}), ("add", "/TOTAL/a", 1), ("update", "/TOTAL", {"b": 2}), ("add", "/n", 1)] == said_of(
        lines
    )[:4]
    assert ["remove", "add", "remove"] == [line.action for line in lines[4:]]
    assert {"TOTAL": {"b": 2}} == replay(tmp_path / "log.jsonl")


@CAN_WATCH
def test_a_glob_of_modules(tmp_path: Path) -> None:
    """Modules that match are watched whenever and wherever they are imported."""
    for name in ("__init__", "a", "b"):
        write(tmp_path, f"DATA = {{'{name}': 1}}\nDATA['x'] = 2\n", f"pack/{name}.py")
    shop = (
        "import threading, pack\nfrom pack import a\n"
        "def later():\n    import pack.b\n    pack.b.DATA['late'] = 3\n"
        "t = threading.Thread(target=later); t.start(); t.join()\na.DATA['y'] = 4\nprint(a.DATA)"
    )
    _, lines = program(tmp_path, "pack.*", shop=shop)
    found = {(line.name, line.pointer) for line in lines}
    assert {("pack.a", "/DATA/x"), ("pack.a", "/DATA/y"), ("pack.b", "/DATA/late"), ("pack.b", "/DATA/x")} <= found
    assert "pack" not in {line.name for line in lines}


@CAN_WATCH
def test_one_object_under_several_names(tmp_path: Path) -> None:
    """A log has the paths that were named, and fits without the others."""
    shop = (
        "import settings\nALIAS = settings.CONFIG\nsettings.OTHER = settings.CONFIG\nALIAS['debug'] = True\n"
        "settings.CONFIG = None\nALIAS['more'] = 1\nsettings.OTHER['more'] = 2\nprint(ALIAS)"
    )
    _, lines = program(tmp_path, "settings:CONFIG", shop=shop)
    assert ["/CONFIG", "/CONFIG/debug", "/CONFIG"] == [line.pointer for line in lines]
    (tmp_path / "log.jsonl").unlink()
    _, lines = program(tmp_path, "settings:CONFIG", "__main__:ALIAS", shop=shop)
    assert 1 == sum("debug" in line.pointer for line in lines)


@CAN_WATCH
def test_what_never_appeared_is_a_warning_with_near_names(tmp_path: Path) -> None:
    """One line each at the end, whether the module or the name is wrong."""
    names = ("setings:X", "settings:CONFG", "settings:Ordr", "settings:LIMIT", "nothing.*", "settings:Order.Inner")
    done, _ = program(tmp_path, *names)
    lines = done.stderr.splitlines()[:-1]
    assert [
        "pydatatracker: --watch setings:X: no module setings was imported; did you mean settings?",
        "pydatatracker: --watch settings:CONFG: settings has no CONFG; did you mean settings:CONFIG?",
        "pydatatracker: --watch settings:Ordr: settings has no Ordr; did you mean settings:Order?",
        "pydatatracker: --watch nothing.*: no module nothing.* was imported",
        "pydatatracker: --watch settings:Order.Inner: settings has no Order.Inner",
    ] == [re.sub(r"(Order.Inner); did.*", r"\1", line) for line in lines]


@CAN_WATCH
@pytest.mark.parametrize(
    "shop",
    [
        "import settings\nraise SystemExit(7)",
        "import settings\n1 / 0",
        "import settings, os\nos._exit(3)",
        "import settings, sys, inspect\nprint(inspect.getsource(settings.Order), settings.__spec__.name, type(settings.__spec__.loader), settings.__loader__.name)",
        "import settings, importlib, sys\nimportlib.reload(settings)\ndel sys.modules['settings']\nimport settings as again\nprint(again is settings)",
        "import settings, os\npid = os.fork()\nsettings.CONFIG['x'] = pid\nos._exit(0) if pid == 0 else os.waitpid(pid, 0)\nprint(settings.CONFIG['x'] == pid)",
        "try:\n    import broken\nexcept ImportError: print('no')\nimport settings\nprint(type(settings), id(settings.CONFIG) == id(settings.CONFIG))",
        "import sys\nclass Lazy(type(sys)):\n    def __getattr__(self, name): print('woken', name); raise AttributeError(name)\nsys.modules['settings'] = Lazy('settings')\nprint(1)",
        "import sys\nsys.modules['settings'] = 3\nsys.modules[4] = 5\nprint(2)",
        "import sys, settings\nprint(sorted(vars(settings)), [k for k in sys.modules if k == 'settings'])",
    ],
    ids=["exit", "raises", "_exit", "source", "reload", "fork", "broken", "lazy", "odd", "names"],
)
def test_the_program_is_what_it_is(tmp_path: Path, shop: str) -> None:
    """Output and exit status are those of the program without us."""
    write(tmp_path, "BEFORE = 1\nraise ImportError('broken')", "broken.py")
    program(tmp_path, "settings", "settings:Order", "broken", "__main__:nothing", shop=shop)


@CAN_WATCH
def test_files_that_are_named_like_modules(tmp_path: Path) -> None:
    """The program gets its own files, and the library the standard library's."""
    for name in ("platform", "uuid", "difflib", "fnmatch", "sysconfig", "difflib", "inspect", "shlex"):
        write(tmp_path, f"MINE = '{name}'", f"{name}.py")
    shop = "import platform, uuid, difflib, fnmatch, sysconfig, shlex\nprint(platform.MINE, uuid.MINE, difflib.MINE, fnmatch.MINE, sysconfig.MINE, shlex.MINE)"
    done, lines = program(tmp_path, "platform", "wrong", shop=shop)
    assert [("add", "/MINE", "platform")] == said_of(lines)
    assert "no module wrong was imported" in done.stderr


@CAN_WATCH
def test_the_variable_does_the_same(tmp_path: Path) -> None:
    """PYDATATRACKER_WATCH takes effect when the library is imported."""
    write(tmp_path, SETTINGS, "settings.py")
    write(tmp_path, "import pydatatracker, settings\nsettings.CONFIG['x'] = 1\n", "shop.py")
    log = tmp_path / "log.jsonl"
    done = plain(
        "shop.py", cwd=tmp_path, PYDATATRACKER_LOG=str(log), PYDATATRACKER_WATCH="settings:CONFIG, nowhere  b@d"
    )
    assert 0 == done.returncode
    assert ["/CONFIG", "/CONFIG/x"] == [line.pointer for line in read_changes(log)]
    assert "no module nowhere was imported" in done.stderr
    assert "'b@d' names no data" in done.stderr


def test_a_text_that_names_no_data_is_refused(tmp_path: Path) -> None:
    """Before the program runs."""
    write(tmp_path, "print('ran')", "shop.py")
    for wrong in ("settings:CONFIG:x", "a b", "", ":x", "x:"):
        done = run("run", "--watch", wrong, "shop.py", cwd=tmp_path)
        assert (2, "", True) == (done.returncode, done.stdout, "names no data" in done.stderr)
        with pytest.raises(ValueError, match="names no data"):
            parsed([wrong])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython 3.11 cannot watch")
def test_where_nothing_can_be_watched_it_says_so(tmp_path: Path) -> None:
    """The program does not run without what was asked for."""
    write(tmp_path, "print('ran')", "shop.py")
    done = run("run", "--watch", "settings", "shop.py", cwd=tmp_path)
    assert (2, "", True) == (done.returncode, done.stdout, "needs CPython 3.12" in done.stderr)
