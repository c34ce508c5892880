"""``run`` withholds secrets from the log, and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import run
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import write

from pydatatracker import TrackedDict, TrackedList, TrackedSet, replay
from pydatatracker.io import parse, read_changes, to_line
from pydatatracker.values.secrets import SECRETS, Withheld, is_secret

NAMES = """
    password PASSWORD db_password DB-PASSWORD userPassword UserPasswords passwd secret SECRET_KEY clientSecret token
    accessToken APIKey apiKey api-key API_KEY apikey X-API-Key api_keys private_key privateKey PRIVATE-KEY Authorization
    Proxy-Authorization cookie cookies Set-Cookie credential aws_credentials password2 PASSWORD_1 db.password
    __token__ my-secret-thing HTTPCookie
""".split()  # noqa: SIM905
OTHERS = """
    monkey key keys keyboard primary_key foreign_key author authorized secretary tokenize tokenizer passworded api private
    keyapi cookiejar compass passage api_version x 0 passwörter apiary private_house public_key key_api
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_a_secret_as_whole_words(name: str) -> None:
    """Whatever its case, whatever joins the words, also in the plural."""
    assert is_secret(name)


@pytest.mark.parametrize("name", [*OTHERS, ""])
def test_other_names_have_none(name: str) -> None:
    """A part of a word is no word."""
    assert not is_secret(name)


@given(
    st.sampled_from(SECRETS),
    st.sampled_from(["", "my_", "my-", "my", "MY_", "x.y "]),
    st.sampled_from([str.lower, str.upper, str.title, lambda name: name.replace("_", "-")]),
    st.sampled_from(["", "_x", "-x", "s", "X", "2", " of ann"]),
)
def test_any_way_to_write_a_secret(word: str, front: str, case: Any, end: str) -> None:
    """The words count, not how they are joined to others."""
    written = case(word)
    if front == "my":
        written = written[0].upper() + written[1:]
    if written.isupper() and end in ("X", "s"):
        end = end.lower() if end == "X" else "S"
        if end == "x":
            return  # TOKENx is one word with a strange end
    assert is_secret(front + written + end) or (front == "my" and written.isupper())


PROGRAM = """
import collections, dataclasses, enum
from pydatatracker import TrackedAttr, TrackedDict, TrackedList, TrackedSet, tracking_actor, track

def S(name):
    return f"s3{'cr3t'}-{name}"

Login = collections.namedtuple("Login", "user password")
Nested = collections.namedtuple("Nested", "login")

@dataclasses.dataclass
class Account:
    name: str
    password: str

@dataclasses.dataclass
class Point:
    x: int = 1

class Field(enum.Enum):
    PASSWORD = 1

class Settings(TrackedAttr):
    def __init__(self):
        self.api_key = S("attr")
        self.debug = True

d = TrackedDict({"password": S("start"), "port": 1})
d["port"] = 2
d["password"] = S("1")
d["db"] = {"password": S("2"), "host": "a", "more": [{"api_key": S("3"), "n": 1}, (1, {"token": S("4")})]}
d["login"] = Login("ann", S("5"))
d["nested"] = Nested([Login("bob", S("6"))])
d["account"] = Account("ann", S("7"))
d["point"] = Point()
d.update(TOKEN=S("8"), other=1)
d |= {"x-auth-token": S("9")}
d[b"password"] = S("10")
d["user", "password"] = S("11")
d[Field.PASSWORD] = S("12")
d.pop("TOKEN")
d.setdefault("cookie", S("13"))
d["token"] = [S("14")]
d["odd"] = {1: {"secret": S("15")}, "$x": {"secret": S("16")}}
with tracking_actor("ann", password=S("17"), reason="fine"):
    d["port"] = 3
l = TrackedList([{"passwd": S("18")}])
l.append({"passwd": S("19")})
l[0:1] = [{"passwd": S("20")}, 7]
l.sort(key=str)
tree = track({"tokens": {"a": [S("21")]}, "users": [{"name": "ann", "password": S("22")}]})
tree["tokens"]["a"].append(S("23"))
tree["users"][0]["password"] = S("24")
tree["users"][0]["name"] = "bob"
child = tree["users"][0]
tree["tokens"]["set"] = set()
tree["tokens"]["set"].add(S(30))
tree["tokens"]["set"] |= {S(31), S(32)}
s = Settings()
s.api_key = S("25")
s.debug = False
print(d["password"], d.last_change().after, child.last_change().before, l[0], s.api_key)
d.tracking_undo()
print(d["port"], d.tracking_history("/password")[0].after)
"""


@pytest.mark.parametrize("options", [(), ("--snapshots",), ("--no-stack",)], ids=["plain", "snapshots", "no-stack"])
def test_no_secret_is_in_the_log(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The program has its values, and its own records have them.

    The log says that they changed. What has no secret is in it as ever.
    """
    write(tmp_path, PROGRAM)
    plain = run("program.py", cwd=tmp_path, python=())
    done = run("run", *options, "program.py", cwd=tmp_path)
    assert (0, plain.stdout) == (done.returncode, done.stdout)
    assert "s3cr3t-1 3 ann" in done.stdout
    text = (tmp_path / "changes.jsonl").read_text()
    assert "s3cr3t" not in text
    lines = list(read_changes(tmp_path / "changes.jsonl", strict=True))
    after = {line.pointer: line.after for line in lines}
    assert ("REDACTED", 2) == (str(after["/password"]), after["/port"])
    assert {"password": "REDACTED", "host": "a"}.items() <= {k: str(v) for k, v in after["/db"].items()}.items()
    assert ("ann", "REDACTED") == (after["/login"][0], str(after["/login"][1]))
    assert "REDACTED" == str(after["/account"])
    assert "Point(x=1)" in str(after["/point"])
    assert ["REDACTED", "fine"] == [str(line.context[key]) for line in lines for key in line.context]
    assert 0 == run("verify", "changes.jsonl", cwd=tmp_path).returncode


def test_it_can_be_turned_off_and_extended(tmp_path: Path) -> None:
    """``--no-redact`` shows names, ``--redact`` adds globs, also together."""
    write(
        tmp_path,
        "from pydatatracker import track\n"
        "d = track({'users': [{'email': 'a@b', 'password': 'x'}]})\n"
        "d['users'][0]['email'] = 's3cr3t'\nd['users'][0]['password'] = 'hunter2'\nd['card'] = [['4111-1111']]",
    )
    found = {}
    for n, options in enumerate([(), ("--no-redact",), ("--redact", "/users/*/email", "--redact", "/card/**/0"),
                                 ("--redact", "/users/*/email", "--no-redact")]):  # fmt: skip
        done = run("run", "--no-stack", "--log", f"{n}.jsonl", *options, "program.py", cwd=tmp_path)
        assert 0 == done.returncode, done.stderr
        text = (tmp_path / f"{n}.jsonl").read_text()
        found[n] = tuple(word in text for word in ("s3cr3t", "hunter2", "4111-1111"))
    assert {0: (True, False, True), 1: (True, True, True), 2: (False, False, False), 3: (False, True, True)} == found
    done = run("run", "--redact", "users", "program.py", cwd=tmp_path)
    assert (2, True) == (done.returncode, "--redact" in done.stderr and "must begin with '/'" in done.stderr)


def test_the_variable_does_the_same(tmp_path: Path) -> None:
    """PYDATATRACKER_REDACT has globs, one per line; ``-`` shows names.

    What it says wrongly withholds everything.
    """
    write(tmp_path, "from pydatatracker import TrackedDict\nd = TrackedDict()\nd['password'] = 'p1'\nd['x'] = 'x1'")
    shown = {}
    for value in ("", "/x", "-", "-\n/x", "x"):
        log = tmp_path / f"{len(shown)}.jsonl"
        done = run("program.py", cwd=tmp_path, python=(), PYDATATRACKER_LOG=str(log), PYDATATRACKER_REDACT=value)
        assert 0 == done.returncode
        text = log.read_text()
        shown[value] = ("p1" in text, "x1" in text)
        assert ("PYDATATRACKER_REDACT is wrong" in done.stderr) == (value == "x")
    assert {
        "": (False, True),
        "/x": (False, False),
        "-": (True, True),
        "-\n/x": (True, False),
        "x": (False, False),
    } == shown


def test_source_lines_with_a_secret_are_left_out(tmp_path: Path) -> None:
    """The stack keeps file and line; a literal may be the secret itself."""
    write(
        tmp_path, "from pydatatracker import TrackedDict\nd = TrackedDict()\nd['password'] = 's3cr3t'\nd['port'] = 'x'"
    )
    assert 0 == run("run", "program.py", cwd=tmp_path).returncode
    first, second = read_changes(tmp_path / "changes.jsonl")
    assert [(3, ""), (4, "d['port'] = 'x'")] == [
        (line.culprit["lineno"], line.culprit["line"]) for line in (first, second)
    ]


VALUES = st.recursive(
    st.integers() | st.text(max_size=5) | st.none() | st.floats() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["a", "password", "apiKey", "$x", "k"]) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


def marked(value: Any, inside: bool) -> Any:
    """Return a value in which all that is below a secret name is one word."""
    if isinstance(value, dict):
        return {key: marked(each, inside or (type(key) is str and is_secret(key))) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(marked(each, inside) for each in value)
    return "s3cr3t" if inside else value


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES, st.sampled_from(["x", "token", 3]), st.sampled_from(["dict", "list", "set", "bulk"]))
def test_a_line_of_any_value_has_no_secret(old: Any, new: Any, key: Any, kind: str) -> None:
    """What is not secret is as it would be without."""
    secret = type(key) is str and is_secret(key) and kind not in ("list", "set")
    old, new = marked(old, secret), marked(new, secret)
    data: Any
    if kind == "list":
        data = TrackedList([old])
        data[0] = new
    elif kind == "set":
        data = TrackedSet()
        data.add(repr(new).replace("s3cr3t", ""))
    elif kind == "bulk":
        data = TrackedDict({key: old})
        data.update({key: new, "more": 1})
    else:
        data = TrackedDict({key: old})
        data[key] = new
    change = data.last_change()
    line = to_line(change, withheld=Withheld())
    assert b"s3cr3t" not in line
    assert parse(line).pointer == change.pointer
    if b"$redacted" not in line:
        plain = parse(to_line(change))
        assert repr((plain.before, plain.after, plain.changes)) == repr((*_values(parse(line)),))


def _values(line: Any) -> tuple[Any, ...]:
    return line.before, line.after, line.changes


def test_a_log_without_secrets_replays_to_the_rest(tmp_path: Path) -> None:
    """Everything else is as it is in the program."""
    write(
        tmp_path,
        "from pydatatracker import TrackedDict\nd = TrackedDict(a=1, token='x')\nd['b'] = {'c': [1], 'secret': 2}\n"
        "d['token'] = 'y'\ndel d['a']\n",
    )
    assert 0 == run("run", "program.py", cwd=tmp_path).returncode
    state = replay(tmp_path / "changes.jsonl")
    assert {"token": "REDACTED", "b": {"c": [1], "secret": "REDACTED"}} == {
        "token": str(state["token"]),
        "b": {"c": state["b"]["c"], "secret": str(state["b"]["secret"])},
    }
