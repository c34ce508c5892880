"""The culprit: the innermost call outside of libraries and generated code."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import inspect
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
import traceback
import zipapp
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from pydatatracker import ChangeLogEntry, TrackedAttr, TrackedDict, TrackedList, set_library
from pydatatracker.change.library import Folders, is_library

HERE = __file__
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="scripts and links of POSIX")


@pytest.fixture(autouse=True)
def _default() -> Iterator[None]:
    set_library()
    yield
    set_library()


def data(**items: Any) -> Any:
    return TrackedDict(items, tracking_capture_stack=True)


@dataclasses.dataclass
class Point(TrackedAttr, tracking_capture_stack=True):
    x: int


@attrs.define(slots=False)
class Size(TrackedAttr, tracking_capture_stack=True):
    x: int


# ---- who is named: each row is a way to change the data from the function `culprit` below, through other code


def through_flask(d: Any) -> None:
    config = pytest.importorskip("flask").Config

    def culprit() -> None:
        config.from_mapping(d, PORT=1)

    culprit()


def through_flask_from_an_object(d: Any) -> None:
    config = pytest.importorskip("flask").Config

    def culprit() -> None:
        config.from_object(d, Settings)

    culprit()


class Settings:
    PORT = 1


def by_a_chain_map(d: Any) -> None:
    def culprit() -> None:
        collections.ChainMap(d)["a"] = 1

    culprit()


def by_a_user_dict(d: Any) -> None:
    holder = collections.UserDict()
    holder.data = d

    def culprit() -> None:
        holder.update(a=1)

    culprit()


def by_a_partial(d: Any) -> None:
    def culprit() -> None:
        functools.partial(d.__setitem__, "a")(1)

    culprit()


def in_an_exit_stack(d: Any) -> None:
    def culprit() -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(d.__setitem__, "a", 1)

    culprit()


def by_a_key_of_sorted(d: Any) -> None:
    def culprit(item: int) -> int:
        d["a"] = item
        return item

    sorted([2, 1], key=culprit)


def by_a_hook_of_json(d: Any) -> None:
    def culprit(read: Any) -> Any:
        d["a"] = 1
        return read

    json.loads("{}", object_hook=culprit)


def by_a_generator_that_a_named_tuple_reads(d: Any) -> None:
    def culprit() -> Iterator[int]:
        d["a"] = 1
        yield 1

    collections.namedtuple("Row", "a")._make(culprit())  # noqa: PYI024


def in_a_thread(d: Any) -> None:
    def culprit() -> None:
        d["a"] = 1

    thread = threading.Thread(target=culprit)
    thread.start()
    thread.join()


def in_a_pool(d: Any) -> None:
    def culprit(value: int) -> None:
        d["a"] = value

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        list(pool.map(culprit, [1]))


def in_an_exec(d: Any) -> None:
    def culprit() -> None:
        exec("def f(): d['a'] = 1\nf()", {"d": d})

    culprit()


def in_an_eval(d: Any) -> None:
    def culprit() -> None:
        eval("d.update(a=1)", {"d": d})

    culprit()


def in_a_lambda_of_ours(d: Any) -> None:
    def culprit() -> None:
        collections.defaultdict(functools.partial(d.setdefault, "a", 1))["b"]

    culprit()


MESSENGERS = [
    through_flask, through_flask_from_an_object, by_a_chain_map, by_a_user_dict, by_a_partial, in_an_exit_stack,
    by_a_key_of_sorted, by_a_hook_of_json, by_a_generator_that_a_named_tuple_reads, in_a_thread, in_a_pool, in_an_exec,
    in_an_eval, in_a_lambda_of_ours,
]  # fmt: skip


@pytest.mark.parametrize("change", MESSENGERS, ids=lambda function: function.__name__)
def test_the_culprit_is_the_innermost_call_outside_of_libraries(change: Callable[[Any], None]) -> None:
    """It is the function that called the library or the generated code."""
    d = data()
    change(d)
    found = d.last_change()
    assert ("culprit", HERE) == (found.culprit.name, found.culprit.filename)
    assert "culprit" in [frame.name for frame in found.stack]
    source = inspect.getsource(change).splitlines()
    assert found.culprit.line in [line.strip() for line in source]


@pytest.mark.parametrize("made", [Point, Size], ids=["dataclass", "attrs"])
def test_generated_methods_are_not_the_culprit(made: Any) -> None:
    """What a generated ``__init__`` stores was stored by its caller."""

    def culprit() -> Any:
        return made(1)

    change = culprit().last_change()
    assert (1, "__init__", "culprit") == (change.after, change.stack[-1].name, change.culprit.name)
    assert change.stack[-1].filename.startswith("<")


def test_a_method_that_was_written_is_the_culprit() -> None:
    """A class of the user's that stores an attribute is not a library."""

    class Account(TrackedAttr, tracking_capture_stack=True):
        def __init__(self, balance: int) -> None:
            self.balance = balance

    assert "__init__" == Account(1).last_change().culprit.name


def store(d: Any, key: str) -> None:
    d[key] = 1


@pytest.mark.parametrize(
    "change",
    [
        lambda d: _in(threading.Thread(target=d.update, kwargs={"a": 1})),
        lambda d: _in(threading.Timer(0, d.__setitem__, ("a", 1))),
        lambda d: _pooled(d.__setitem__, "a", 1),
        lambda d: _pooled(functools.partial(d.update, a=1)),
        lambda d: _pooled(exec, "d['a'] = 1", {"d": d}),
    ],
    ids=["thread", "timer", "pool", "partial", "exec"],
)
def test_where_all_calls_are_of_libraries_there_is_no_culprit(change: Any) -> None:
    """Nobody is blamed for what only libraries did."""
    d = data()
    change(d)
    assert d["a"] == 1
    assert d.last_change().stack
    assert d.last_change().culprit is None
    assert '"culprit": null' in json.dumps(d.last_change().to_dict())
    assert "culprit" not in d.last_change().format_detailed()


def _in(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def _pooled(call: Any, *arguments: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(call, *arguments).result()


def test_a_stack_that_ends_inside_a_library_has_no_culprit() -> None:
    """A captured depth of one call has only the messenger."""
    config = pytest.importorskip("flask").Config
    d = TrackedDict(tracking_capture_stack=1)
    config.from_mapping(d, PORT=1)
    (only,) = d.last_change().stack
    assert "config.py" == os.path.basename(only.filename)
    assert d.last_change().culprit is None


def test_without_a_stack_there_is_no_culprit() -> None:
    """No stack, no culprit, and no key in the line."""
    d = TrackedDict(a=1)
    d["a"] = 2
    assert d.last_change().culprit is None
    assert "culprit" not in d.last_change().to_dict()


def test_it_is_a_frame_of_the_stack() -> None:
    """The culprit equals the frame of the stack that the line points to."""
    d = data()
    in_an_exec(d)
    change = d.last_change()
    assert isinstance(change.culprit, traceback.FrameSummary)
    line = change.to_dict()
    index = line["culprit"]
    assert change.stack[index] == change.culprit
    assert (line["stack"][index]["filename"], line["stack"][index]["name"]) == (HERE, "culprit")
    assert all(is_library(frame["filename"]) for frame in line["stack"][index + 1 :])
    again = ChangeLogEntry.from_dict(json.loads(json.dumps(line)))
    assert (again.culprit, again.to_dict()) == (change.culprit, line)
    assert change.to_dict(compact=True)["culprit"] == index
    row = next(row for row in change.format_detailed().splitlines() if row.startswith("culprit:"))
    assert row.endswith(f"{HERE}:{change.culprit.lineno} in culprit")


# ---- which files are of libraries

STDLIB, PURELIB = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")

FILES = [
    (os.path.join(STDLIB, "json", "decoder.py"), True),
    (os.path.join(PURELIB, "flask", "config.py"), True),
    ("/home/ann/.venv/lib/python3.12/site-packages/flask/config.py", True),
    ("/usr/lib/python3/dist-packages/yaml/__init__.py", True),
    ("/home/ann/.local/lib/python3.13/site-packages/x.py", True),
    ("/opt/app.pyz/site-packages/x.py", True),
    (r"C:\venv\Lib\site-packages\flask\config.py", True),
    ("C:/venv/lib/SITE-PACKAGES/flask/config.py", True),
    (r"\\server\share\venv\Lib\site-packages\x.py", True),
    ("<string>", True),
    ("<attrs generated init shop.Order>", True),
    ("<frozen importlib._bootstrap>", True),
    ("<frozen runpy>", True),
    ("<template>", True),
    ("<eval_with_key>.0", True),
    ("<decorator-gen-3>", True),
    ("<__array_function__ internals>", True),
    ("<lambdifygenerated-1>", True),
    ("", True),
    ("<stdin>", False),
    ("<stdin>-0", False),
    ("<python-input-3>", False),
    ("<console>", False),
    ("<input>", False),
    ("<ipython-input-3-0123456789ab>", False),
    ("<pyshell#3>", False),
    ("<doctest shop.order[0]>", False),
    ("/home/ann/shop.py", False),
    ("shop.py", False),
    ("/home/ann/lib/python3.11/shop.py", False),  # looks like a standard library, but is not this interpreter's
    ("/home/ann/site-packages-of-mine/shop.py", False),
    ("/home/ann/my site-packages/shop.py", False),
    ("/home/ann/.venv/shop.py", False),  # a program beside its packages
    ("/home/ann/.venv/src/shop/__init__.py", False),  # pip install -e git+...
    ("/tmp/ipykernel_411/1234.py", False),
    ("/home/ann/shop.pyz/__main__.py", False),
    (r"C:\Users\ann\shop.py", False),
    (r"C:\venv\Lib\shop.py", False),
    (os.path.dirname(STDLIB) + os.sep + "shop.py", False),
    (STDLIB + "-of-mine/shop.py", False),
    ("a\0b.py", False),
    (HERE, False),
]  # fmt: skip


@pytest.mark.parametrize(("file", "expected"), FILES, ids=range(len(FILES)))
def test_the_path_decides_what_is_a_library(file: str, expected: bool) -> None:
    """Installed packages, the standard library and generated code are it."""
    assert (expected, file) == (is_library(file), file)


WINDOWS = [
    (r"C:\Python313\Lib\json\decoder.py", True),
    (r"c:\python313\lib\json\decoder.py", True),
    ("C:/Python313/Lib/json/decoder.py", True),
    (r"C:\Python313\python313.zip\json\decoder.pyc", True),
    (r"D:\Python313\Lib\json\decoder.py", False),
    (r"C:\Python313\Library\x.py", False),
    (r"C:\Python313\shop.py", False),
    (r"C:\Users\ann\shop.py", False),
]


@pytest.mark.parametrize(("file", "expected"), WINDOWS, ids=range(len(WINDOWS)))
def test_paths_of_windows(file: str, expected: bool) -> None:
    """Neither the case nor the slash of a path of Windows matters."""
    folders = Folders([r"C:\Python313\Lib", r"C:\Python313\python313.zip", "C:\\", ""])
    assert (expected, file) == (folders.hold(file), file)


def test_a_folder_that_holds_everything_is_no_library() -> None:
    """A root or a home folder is not taken for one, whatever sysconfig says."""
    folders = Folders(["/", os.path.expanduser("~"), "C:/"])
    assert not folders.hold("/srv/shop.py")
    assert not folders.hold(os.path.join(os.path.expanduser("~"), "shop.py"))


@POSIX
def test_a_link_into_a_library_is_a_library(tmp_path: Path) -> None:
    """So is a file that is reached by a link from a library's folder."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "x.py").write_text("")
    (tmp_path / "lib64").symlink_to(real)
    (tmp_path / "vendor").symlink_to(Path(STDLIB) / "json")
    assert is_library(str(tmp_path / "vendor" / "decoder.py"))
    assert Folders([str(real)]).hold(str(tmp_path / "lib64" / "x.py"))
    assert Folders([str(tmp_path / "lib64")]).hold(str(tmp_path / "lib64" / "x.py"))
    assert not Folders([str(tmp_path / "other")]).hold(str(tmp_path / "lib64" / "x.py"))


# ---- what the user says


def test_set_library_adds_and_takes_away(tmp_path: Path) -> None:
    """The last pattern that matches decides, the default otherwise."""
    vendor, shop = str(tmp_path / "vendor" / "x.py"), os.path.join(PURELIB, "shop", "x.py")
    assert (False, True) == (is_library(vendor), is_library(shop))
    set_library(str(tmp_path / "vendor"), "!*/site-packages/shop")
    assert (True, False) == (is_library(vendor), is_library(shop))
    assert is_library(os.path.join(PURELIB, "shopping", "x.py"))
    assert not is_library(str(tmp_path / "vendors" / "x.py"))
    set_library(str(tmp_path), f"!{vendor}")
    assert (False, True) == (is_library(vendor), is_library(str(tmp_path / "vendor" / "y.py")))
    set_library("*/vendor", "!*/y.py", "!<template>")
    assert [True, False, False, True] == [
        is_library(each) for each in (vendor, str(tmp_path / "vendor" / "y.py"), "<template>", "<string>")
    ]
    set_library("C:\\shop\\Vendor", "!*\\vendor\\own")
    assert [True, False, False] == [
        is_library(each) for each in (r"c:\shop\vendor\x.py", r"C:\Shop\Vendor\own\x.py", "/shop/vendor/x.py")
    ]
    set_library()
    assert (False, True) == (is_library(vendor), is_library(shop))


def test_a_relative_pattern_is_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is resolved when it is set, and ``~`` is the home folder."""
    monkeypatch.chdir(tmp_path)
    set_library("vendor", "~/old")
    monkeypatch.chdir("/")
    assert is_library(str(tmp_path / "vendor" / "x.py"))
    assert is_library(os.path.expanduser("~/old/x.py"))
    assert not is_library("/vendor/x.py")


def test_it_decides_of_earlier_changes_too() -> None:
    """The culprit is found when it is read."""
    d = data()
    store(d, "a")
    assert "store" == d.last_change().culprit.name
    set_library(HERE)
    assert d.last_change().culprit is None or d.last_change().culprit.filename != HERE
    set_library()
    assert "store" == d.last_change().culprit.name


def test_each_line_has_the_stack_and_the_culprit_of_its_change() -> None:
    """Whatever the line before had, and whatever was said of libraries since.

    The core keeps the text of the newest stack, and the verdict on stacks whose innermost call is a library's.
    """
    d = data()
    lines: list[Any] = []
    d.tracking_add_observer(lambda change: lines.append((change, change.to_dict())))

    def again(n: int) -> None:
        d["a"] = n

    def others(n: int) -> None:
        d["b"] = n
        d["c"] = n
        Proxy(d).update(e=n)

    for n in range(6):
        for call in (again, again, others, lambda n: others(n), again):
            call(n)
        if n == 2:
            set_library(HERE)
        if n == 3:
            set_library(f"!{sysconfig.get_path('stdlib')}/collections")
    assert len(lines) == 6 * 9
    for n, (change, line) in enumerate(lines):
        assert [(call["filename"], call["lineno"], call["name"]) for call in line["stack"]] == [
            (frame.filename, frame.lineno, frame.name) for frame in change.stack
        ]
        at = line["culprit"]
        if 3 * 9 <= n < 4 * 9:
            assert at is None or line["stack"][at]["filename"] != HERE
        elif n < 3 * 9:
            assert line["stack"][at]["name"] in ("again", "others")
        elif line["path"] == ["e"]:
            assert line["stack"][at]["filename"].endswith("collections/__init__.py")


class Proxy(collections.UserDict[Any, Any]):
    """A mapping whose `update` is of the standard library, and so its store."""

    def __init__(self, inside: Any) -> None:
        self.data = inside


@pytest.mark.parametrize("pattern", [None, 1, b"x", Path("x")], ids=["None", "int", "bytes", "Path"])
def test_a_pattern_is_a_str(pattern: Any) -> None:
    """Anything else is a TypeError, and nothing is set."""
    set_library(HERE)
    with pytest.raises(TypeError, match="each a str"):
        set_library("x", pattern)
    assert is_library(HERE)


# ---- in logs

FRAMES = [
    {"filename": "/srv/shop.py", "lineno": 7, "name": "buy", "line": "load(d)"},
    {"filename": "/srv/vendor/load.py", "lineno": 3, "name": "load", "line": "d.update(x)"},
    {"filename": "/opt/py/lib/python3.12/collections/__init__.py", "lineno": 9, "name": "update", "line": ""},
]


@pytest.mark.parametrize(
    ("recorded", "patterns", "expected"),
    [
        (1, (), "load"),
        (1, ("/srv/vendor",), "buy"),
        (1, ("/srv",), None),
        (1, ("!*/collections/*",), "update"),
        (1, ("/elsewhere",), "load"),
        (0, ("/elsewhere",), "buy"),
        (None, (), None),
        (None, ("/elsewhere",), None),
        (None, ("!*/load.py",), "load"),
        (..., (), None),  # an earlier version wrote it
        (..., ("/opt/py/lib",), "load"),
        (9, (), None),
        (-1, (), None),
        ("x", (), None),
        (True, (), None),
    ],
)
def test_a_log_knows_its_culprits(recorded: Any, patterns: tuple[str, ...], expected: str | None) -> None:
    """The writer of the log decided; patterns of the reader overrule it."""
    from pydatatracker.io import parse

    set_library(*patterns)
    line = {"v": 1, "action": "add", "stack": FRAMES, **({} if recorded is ... else {"culprit": recorded})}
    change, read = ChangeLogEntry.from_dict(line), parse(json.dumps(line).encode())
    assert expected == (change.culprit and change.culprit.name)
    assert expected == (read.culprit and read.culprit["name"])


@pytest.mark.parametrize("stack", [["  File x"], [None], [7, {}], {}, "x", None], ids=repr)
def test_foreign_stacks_have_no_culprit(stack: Any) -> None:
    """A line with frames of another kind raises nothing."""
    from pydatatracker.io import parse

    read = parse(json.dumps({"v": 1, "action": "add", "stack": stack, "culprit": 0}).encode())
    assert read.culprit is None
    set_library("/x")
    assert read.culprit in (None, {})


# ---- programs

SHOP = """
import os, sys
from pydatatracker import TrackedDict
import collections

def culprit(d):
    collections.ChainMap(d)["a"] = 1

def main():
    d = TrackedDict(tracking_capture_stack=True)
    culprit(d)
    found = d.last_change().culprit
    print(None if found is None else found.name)
    return 0
"""


def _run(*arguments: Any, cwd: Path, stdin: str = "", **env: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key != "PYDATATRACKER_LIBRARY"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=kept | env, input=stdin, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


def _package(folder: Path) -> Path:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "core.py").write_text(SHOP)
    (folder / "shop" / "__main__.py").write_text("from shop.core import main\nmain()\n")
    return folder


def test_a_script(tmp_path: Path) -> None:
    """A script is the user's, wherever it lies: also beside packages."""
    (tmp_path / "shop.py").write_text(SHOP + "main()")
    assert "culprit" == _run("shop.py", cwd=tmp_path)
    inside = tmp_path / "site-packages"
    inside.mkdir()
    (inside / "shop.py").write_text(SHOP + "main()")
    assert "culprit" == _run(inside / "shop.py", cwd=tmp_path)


@pytest.mark.parametrize("folder", ["src", "site-packages", "lib/python3.11", "lib/python3.13"])
def test_a_package_that_is_run(tmp_path: Path, folder: str) -> None:
    """``python -m shop`` makes shop the program, wherever it is installed."""
    _package(tmp_path / folder)
    assert "culprit" == _run("-m", "shop", cwd=tmp_path, PYTHONPATH=str(tmp_path / folder))
    assert "culprit" == _run("-m", "shop.core", cwd=tmp_path, PYTHONPATH=str(_other(tmp_path, folder)))


def _other(tmp_path: Path, folder: str) -> Path:
    (tmp_path / folder / "shop" / "core.py").write_text(SHOP + "if __name__ == '__main__': main()")
    return tmp_path / folder


@POSIX
@pytest.mark.parametrize("folder", ["src", "site-packages"])
def test_an_installed_command(tmp_path: Path, folder: str) -> None:
    """What a script of an installer starts is the program, not the script."""
    _package(tmp_path / folder)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "shop"
    script.write_text(
        "#!/usr/bin/python3\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom shop.core import main\n"
        "if __name__ == '__main__':\n    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n"
        "    sys.exit(main())\n"
    )
    assert "culprit" == _run(script, cwd=tmp_path, PYTHONPATH=str(tmp_path / folder))


@POSIX
def test_a_library_that_a_command_starts_is_not_the_culprit_of_user_code(tmp_path: Path) -> None:
    """Frames of the user's own files come first, as with ``flask run``."""
    _package(tmp_path / "site-packages")
    (tmp_path / "app.py").write_text("def serve(call):\n    call()\n")
    core = tmp_path / "site-packages" / "shop" / "core.py"
    core.write_text(SHOP.replace("    culprit(d)\n", "    import app\n    app.serve(lambda: culprit(d))\n"))
    assert "serve" == _run("-m", "shop", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site-packages"))


def test_a_zipapp(tmp_path: Path) -> None:
    """Files in a zipapp are the user's."""
    _package(tmp_path / "src")
    (tmp_path / "src" / "__main__.py").write_text("from shop.core import main\nmain()\n")
    zipapp.create_archive(tmp_path / "src", tmp_path / "shop.pyz")
    assert "culprit" == _run(tmp_path / "shop.pyz", cwd=tmp_path)


def test_what_is_typed_is_the_users(tmp_path: Path) -> None:
    """After -c and on standard input, functions have no file, but an owner."""
    assert "culprit" == _run("-c", SHOP + "main()", cwd=tmp_path)
    assert "culprit" == _run("-", cwd=tmp_path, stdin=SHOP + "main()")
    assert "culprit" == _run(cwd=tmp_path, stdin=SHOP + "main()")


def test_an_editable_install_is_the_users(tmp_path: Path) -> None:
    """A path in a .pth file of site-packages leads to the user's code."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    _package(tmp_path / "project")
    (packages / "shop.pth").write_text(str(tmp_path / "project"))
    program = f"import site; site.addsitedir({str(packages)!r})\nimport shop.core\nshop.core.main()"
    (tmp_path / "run.py").write_text(program)
    assert "culprit" == _run("run.py", cwd=tmp_path)


def test_a_module_of_the_standard_library_that_is_run_is_no_culprit(tmp_path: Path) -> None:
    """``python -m`` of such a module does not make it the user's code."""
    program = textwrap.dedent("""
        import concurrent.futures, json.tool
        from pydatatracker import TrackedDict
        d = TrackedDict(tracking_capture_stack=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(d.__setitem__, "a", 1).result()
        print(d.last_change().culprit)
    """)
    (tmp_path / "test_it.py").write_text(program)
    assert "None" == _run("test_it.py", cwd=tmp_path)
    assert "None" == _run("-m", "test_it", cwd=tmp_path)


def test_the_environment_sets_it(tmp_path: Path) -> None:
    """PYDATATRACKER_LIBRARY has patterns; set_library replaces them."""
    (tmp_path / "shop.py").write_text(SHOP + "main()\nimport pydatatracker\npydatatracker.set_library()\nmain()")
    value = os.pathsep.join(["/nowhere", str(tmp_path), "!*/collections/__init__.py"])
    assert ["__setitem__", "culprit"] == _run("shop.py", cwd=tmp_path, PYDATATRACKER_LIBRARY=value).split()


def test_a_list_too() -> None:
    """Any container names the culprit, nested ones as well."""
    rows = TrackedList([{}], tracking_capture_stack=True, tracking_auto_convert=True)
    store(rows[0], "a")
    assert "store" == rows.last_change().culprit.name
