"""``report`` and ``view`` without a browser: file, policy and server."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import html.parser
import http.client
import importlib.resources
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import Browser
from chromium import browser
from command import change, environment, run
from hypothesis import given
from hypothesis import strategies as st

from pydatatracker import track
from pydatatracker.io import NotAChange, parse
from pydatatracker.report.data import TABLES, Changes
from pydatatracker.report.live import Server
from pydatatracker.report.page import MODULES, page, script
from pydatatracker.report.page import html as html_of
from pydatatracker.report.values import dumps, exact, script_safe

__all__ = ["browser"]  # the fixture

LOG = [
    change(seq=1, action="init", pointer="", path=[], after={"n": 0}),
    *(change(seq=n + 1, pointer="/n", path=["n"], before=n - 1, after=n, actor=f"a{n % 2}") for n in range(1, 5)),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


class Parts(html.parser.HTMLParser):
    """The parts of a page: its elements, scripts, styles and policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self.policy = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self._inside = f"{tag} {given.get('type') or ''}".strip() if tag in ("script", "style") else ""
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def changes_of(*raws: bytes) -> Changes:
    changes = Changes("log")
    for raw in raws:
        changes.add(parse(raw))
    return changes


@given(_JSON)
def test_embedded_data_is_equal_and_has_no_markup(data: Any) -> None:
    """Embedded data is read back equal, and has no HTML or script delimiter."""
    text = script_safe(dumps(exact(data)))
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert exact(data) == json.loads(text)


@given(_JSON)
def test_a_browser_reads_each_number_as_python_does(data: Any) -> None:
    """A browser reads every number of the page as Python does.

    Numbers that a double cannot hold, or prints in another way, are encoded.
    """
    todo = [exact(data)]
    while todo:
        value = todo.pop()
        if isinstance(value, float):
            assert value == value
            assert not value.is_integer()
        elif type(value) is int:
            assert value == float(value)
        elif isinstance(value, (list, dict)):
            todo.extend(value.values() if isinstance(value, dict) else value)


@given(st.lists(_JSON, min_size=10, max_size=10), st.text())
def test_no_log_changes_what_the_page_is_made_of(values: list[Any], actor: str) -> None:
    """No log changes the elements of the page or its policy."""
    names = ("after", "before", "path", "paths", "splice", "order", "changes", "context", "stack", "pointer")
    fields = dict(zip(names, values, strict=True))
    raw = json.dumps({"v": 1, "seq": 1, "action": actor, "actor": actor, **fields}).encode()
    found = Parts("".join(page(changes_of(raw))))
    assert Parts("".join(page(Changes("")))).tags == found.tags
    assert 1 == len(json.loads(found.texts["script application/json"])["columns"]["body"])


def test_the_policy_names_this_script_and_style() -> None:
    """The policy has the hashes of the page's own scripts and styles.

    Nothing else may run or be loaded.
    """
    found = Parts("".join(page(changes_of(*LOG))))
    for kind, name in (("script module", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(found.texts[kind].encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}';" in found.policy
    assert found.policy.startswith("default-src 'none';")
    assert "unsafe" not in found.policy
    assert "connect-src 'none'" in found.policy
    assert "connect-src 'self'" in Parts("".join(page(changes_of(*LOG), live=True))).policy


def test_the_modules_are_whole() -> None:
    """The page has every script of the package, after those it imports.

    No script contains text that would end the script element early.
    """
    assets = importlib.resources.files("pydatatracker.report") / "assets"
    texts = {file.name: file.read_text("utf-8") for file in assets.iterdir()}
    assert {f"{name}.js" for name in MODULES} | {"report.html", "report.css"} == texts.keys()
    for n, name in enumerate(MODULES):
        for imported in re.findall(r'from "\./(\w+)\.js"', texts[f"{name}.js"]):
            assert imported in MODULES[:n]
        assert 400 > texts[f"{name}.js"].count("\n")
    assert not re.search(
        r"</script|<!--|^import |^export |innerHTML|insertAdjacent|document\.write|eval\(", script(), re.MULTILINE
    )


def test_a_page_is_made_of_changes_or_lines_in_a_program() -> None:
    """`html` makes a page of changes, lines, bytes or dicts."""
    data = track({"a": [1]})
    data["a"].append(2)
    lines = [parse(raw) for raw in LOG]
    found = [
        html_of(data.tracking_changes(), "x"),
        html_of(lines),
        html_of(LOG),
        html_of(map(json.loads, LOG), states=False),
        html_of([]),
    ]
    read = [json.loads(Parts(text).texts["script application/json"]) for text in found]
    assert [2, 5, 5, 5, 0] == [len(each["columns"]["seq"]) for each in read]
    assert [1, 1, 1, 0, 0] == [len(each["tables"]["roots"]) for each in read]
    assert ["x", "changes"] == [read[0]["name"], read[1]["name"]]
    with pytest.raises(NotAChange):
        html_of([b"?"])


def test_the_file_is_written_and_named(tmp_path: Path) -> None:
    """Several logs become one page; bad lines are reported and counted.

    The exit status is 1 then.
    """
    (tmp_path / "a.jsonl").write_bytes(b"".join(LOG[:3]) + b"?\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"".join(LOG[3:])))
    done = run("report", "a.jsonl", "b.jsonl.gz", "-o", "out.html", cwd=tmp_path)
    assert 1 == done.returncode
    assert "a.jsonl: line 4" in done.stderr
    assert done.stdout.startswith("out.html: 5 changes")
    data = json.loads(Parts((tmp_path / "out.html").read_text("utf-8")).texts["script application/json"])
    assert ("a.jsonl, b.jsonl.gz", 1, [1, 2, 3, 4, 5]) == (data["name"], data["badCount"], data["columns"]["seq"])


def test_filters_choose_what_is_listed_and_not_what_is_replayed(tmp_path: Path) -> None:
    """Filters decide what is listed; every change is replayed."""
    done = run("report", "-", "-o", "-", "--actor", "a1", cwd=tmp_path, stdin=b"".join(LOG))
    assert (0, "") == (done.returncode, done.stderr)
    data = json.loads(Parts(done.stdout).texts["script application/json"])
    assert ([0, 2, 4], 5) == (data["unlisted"], len(data["columns"]["body"]))


def test_the_log_is_never_overwritten(tmp_path: Path) -> None:
    """A report into the log itself, or an unwritable file, is an error."""
    log = tmp_path / "log.html"
    log.write_bytes(b"".join(LOG))
    done = run("report", "log.html", "-o", "./log.html", cwd=tmp_path)
    assert (2, b"".join(LOG)) == (done.returncode, log.read_bytes())
    assert "is the log" in done.stderr
    done = run("report", "log.html", "-o", "no/such/folder.html", cwd=tmp_path)
    assert (2, "pydatatracker: cannot write no/such/folder.html: No such file or directory\n") == (
        done.returncode,
        done.stderr,
    )


def test_lines_out_of_order_are_put_in_order() -> None:
    """A late line is sorted in, and all data is sent again.

    The data has a higher generation then.
    """
    changes = changes_of(LOG[0], LOG[1], LOG[3])
    first = json.loads(changes.text())
    known = (3, *(len(first["tables"][name]) for name in TABLES))
    assert "null" == changes.since(first["generation"], known)
    changes.add(parse(LOG[4]))
    part = json.loads(changes.since(first["generation"], known))
    assert ([5], first["generation"]) == (part["columns"]["seq"], part["generation"])
    changes.add(parse(LOG[2]))
    again = json.loads(changes.since(first["generation"], known))
    assert ([1, 2, 3, 4, 5], True) == (again["columns"]["seq"], again["generation"] > first["generation"])


# ---- view


class Viewed:
    """``view`` in a process of its own."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pydatatracker", "view", log.name], cwd=log.parent, env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[0]
        self.address = urlsplit(self.url)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address.netloc, timeout=20)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def end(self) -> tuple[int, str]:
        """Press Ctrl-C; return exit status and standard error."""
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=30)[1]
        return self.process.returncode, said


@pytest.fixture
def viewed(tmp_path: Path) -> Iterator[Viewed]:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(LOG))
    started = Viewed(log)
    yield started
    if started.process.poll() is None:
        started.end()


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to a single process")


@posix
def test_only_the_whole_address_answers(viewed: Viewed) -> None:
    """A request with another path, token or Host gets nothing of the log."""
    home = viewed.address.path
    assert "127.0.0.1" == viewed.address.hostname
    assert len(home) > 20
    for path in ("/", "/changes", home[:-1], home[:-2] + "x/", f"/x{home}", f"{home}../etc/passwd", f"{home}changes/x"):
        assert (404, False) == ((found := viewed.get(path))[0], b"a3f9" in found[2])
    for host in (
        "evil.example",
        f"evil.example:{viewed.address.port}",
        "127.0.0.1",
        "",
        f"127.0.0.1:{viewed.address.port}.evil.example",
    ):
        assert 404 == viewed.get(home, Host=host)[0]
    status, headers, body = viewed.get(home, Host=f"localhost:{viewed.address.port}")
    assert 200 == status
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "no-store" == headers["Cache-Control"]
    assert "no-referrer" == headers["Referrer-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert 5 == len(json.loads(Parts(body.decode()).texts["script application/json"])["columns"]["seq"])


@posix
@pytest.mark.parametrize(
    "known", ["", "x", "1.2", "-1" + ".0" * (1 + len(TABLES)), "1" + ".0" * (2 + len(TABLES)), "9" * 5000]
)
def test_an_invalid_request_is_refused(viewed: Viewed, known: str) -> None:
    """An invalid request is answered with 400, and the server goes on."""
    assert 400 == viewed.get(f"{viewed.address.path}changes?known={known}")[0]
    assert 200 == viewed.get(viewed.address.path)[0]


@posix
def test_ctrl_c_ends_it_cleanly(viewed: Viewed) -> None:
    """Ctrl-C ends the server silently, and frees the port."""
    assert 200 == viewed.get(viewed.address.path)[0]
    assert (130, "") == viewed.end()
    with pytest.raises(OSError, match="refused"):
        viewed.get(viewed.address.path)


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    """A missing log is an error of one sentence, with status 2."""
    done = run("view", "nowhere.jsonl", cwd=tmp_path)
    assert (2, "pydatatracker: cannot read nowhere.jsonl: No such file or directory\n") == (
        done.returncode,
        done.stderr,
    )


@posix
def test_the_page_follows_the_file(browser: Browser, viewed: Viewed) -> None:
    """The page shows changes that are written later.

    A page at the newest change moves along; a page at another change stays there.
    """
    browser.open(viewed.url)
    browser.until("document.querySelector('#position').textContent.includes('5 of 5')")
    with viewed.log.open("ab") as file:
        file.write(change(seq=6, pointer="/n", path=["n"], before=4, after=5, actor="late"))
        file.flush()
        browser.until("document.querySelector('#position').textContent.includes('6 of 6')")
        assert "5" == browser.text("#tree .changed .value")
        assert "following" == browser.text(".live")
        browser.press("Home")
        file.write(change(seq=8, pointer="/n", path=["n"], before=6, after=7, actor="late"))
        file.flush()
        browser.until("document.querySelector('#position').textContent.includes('1 of 7')")
        file.write(change(seq=7, pointer="/n", path=["n"], before=5, after=6, actor="later")[:-9])  # an incomplete line
        file.flush()
        file.write(change(seq=7, pointer="/n", path=["n"], before=5, after=6, actor="later")[-9:])
        file.flush()
        browser.until("document.querySelector('#position').textContent.includes('1 of 8')")
    browser.press("End")
    assert ["", "7"] == [
        browser.run("document.querySelector('.trouble')?.textContent ?? ''"),
        browser.text("#tree .changed .value"),
    ]
    assert ["a0", "a1", "late", "later"] == sorted(browser.texts("button.lane span"))[1:]
    assert [] == browser.trouble


@posix
def test_an_empty_log_is_a_page_too(browser: Browser, viewed: Viewed, tmp_path: Path) -> None:
    """An empty log gives an empty page, to which later changes are added."""
    (tmp_path / "empty.jsonl").write_bytes(b"")
    assert 0 == run("report", "empty.jsonl", "-o", "empty.html", cwd=tmp_path).returncode
    browser.open(tmp_path / "empty.html")
    assert "0 changes by 0 actors" == browser.until("document.querySelector('#facts').textContent")
    browser.press("ArrowLeft", "ArrowRight", "End", "t")
    browser.click("#canvas")
    assert [] == browser.trouble


class Failing:
    """A log that cannot be followed any longer."""

    def __iter__(self) -> Any:
        raise ValueError("strange")


def test_threads_of_the_server_log_what_fails(caplog: Any, monkeypatch: Any, capfd: Any) -> None:
    """Nothing is printed, and nothing reaches threading.excepthook."""
    server = Server(changes_of(*LOG))
    try:
        server.follow(Failing(), lambda line: True)
        for thread in threading.enumerate():
            if thread.name == "pydatatracker-view":
                thread.join(10)
        assert "the page does not follow the log any more: ValueError: strange" in caplog.text

        def whole() -> bytes:
            raise RuntimeError("broken")

        monkeypatch.setattr(server, "whole", whole)
        answering = threading.Thread(target=server._http.handle_request)
        answering.start()
        with contextlib.suppress(OSError):  # the connection is closed without an answer
            urllib.request.urlopen(server.url, timeout=10)
        answering.join(10)
        end = time.monotonic() + 10
        while "a request of the page failed: RuntimeError: broken" not in caplog.text and time.monotonic() < end:
            time.sleep(0.01)
        assert "a request of the page failed: RuntimeError: broken" in caplog.text
    finally:
        server.close()
    assert "Traceback" not in capfd.readouterr().err
