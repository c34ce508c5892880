"""Redaction: secrets are in no buffer, observer, text or file.

That they changed, and who changed them, stays visible.
"""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatracker import (
    TrackedAttr,
    TrackedDict,
    TrackedList,
    TrackedSet,
    track,
    tracking_actor,
    tracking_transaction,
)
from pydatatracker.observers import json_file_observer
from pydatatracker.values.redact import RedactedError

SECRET = "s3cr3t"


def everything_said(changes: list[Any]) -> str:
    """Return all that a change says, in every form."""
    out = io.StringIO()
    for change in changes:
        out.write(json.dumps(change.to_dict()) + json.dumps(change.extra) + repr(change) + change.format_detailed())
        out.write(repr((change.before, change.after, change.splice, change.changes)))
    return out.getvalue()


class User(TrackedAttr):
    def __init__(self) -> None:
        self.name = "eve"
        self.password = SECRET + "0"


def act(x: Any, do: int, n: int) -> None:
    value = f"{SECRET}{n}"
    if do == 0:
        x["password"] = value
    elif do == 1:
        x["users"].append({"password": value, "n": n})
    elif do == 2:
        x.update(password=value, other=n)
    elif do == 3:
        x["plain"] = ({"password": value}, n)
    elif do == 4:
        x["users"][0:1] = [{"password": value}]
    elif do == 5:
        x["later"] = {}
        x["later"]["password"] = value
    elif do == 6:
        x["card"]["number"] = value
        x["card"]["codes"] = [value]
        x["card"]["codes"].append(value)
    elif do == 7:
        x["user"] = User()
        x["user"].password = value
    elif do == 8:
        x["card"]["set"] = {value}
        x["card"]["set"].add(value + "b")
    elif do == 9:
        x["users"].extend([{"password": value}] * 2)
        x["users"].sort(key=lambda user: user["password"])
        x["users"].reverse()
    elif do == 10:
        x.pop("password", None)
        x["users"].clear()
    elif do == 11:
        x["card"].clear()
        x["card"] |= {"number": value}


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 11), max_size=12), st.booleans(), st.booleans())
def test_no_output_holds_a_secret(script: list[int], convert: bool, snapshots: bool) -> None:
    """No record, observer, transaction, snapshot, text or file has a secret."""
    x = TrackedDict(
        users=TrackedList(), card=TrackedDict(), password=SECRET,
        tracking_redact=["/**/password", "/card/*"], tracking_auto_convert=convert, tracking_capture_snapshots=snapshots,
    )  # fmt: skip
    told: list[Any] = []
    x.tracking_add_observer(told.append)
    with tracking_actor("eve"):
        for n, do in enumerate(script):
            act(x, do, n)
    with tracking_transaction():
        act(x, 0, 99)
    changes = x.tracking_changes()
    assert SECRET not in everything_said([*changes, *told])
    assert all(change.actor == "eve" for change in changes[1:] if change.transaction is None)
    assert x["password"] == f"{SECRET}99"
    x._check()


def test_no_file_holds_a_secret(tmp_path: pathlib.Path) -> None:
    """No line of a log file has a secret, the first state included."""
    x = track({"user": {"name": "a", "password": SECRET}}, tracking_redact="/**/password")
    with json_file_observer(tmp_path / "log.jsonl") as observer:
        x.tracking_add_observer(observer)
        x["user"]["password"] = SECRET + "1"
        x["user"] = {"name": "b", "password": SECRET + "2"}
        x["user"]["name"] = "c"
    text = (tmp_path / "log.jsonl").read_text()
    assert SECRET not in text
    assert 4 == text.count("\n")
    assert '"$redacted"' in text


def test_change_and_actor_of_a_secret_stay_visible() -> None:
    """Action, pointer and actor of a redacted change stay visible."""
    x = TrackedDict(password="a", tracking_redact="/password")
    with tracking_actor("eve"):
        x["password"] = "b"
    change = x.tracking_blame("/password")
    assert ("eve", "update", "/password") == (change.actor, change.action, change.pointer)
    assert "REDACTED" in repr(change)


def test_undo_and_time_travel_refuse_a_redacted_path() -> None:
    """Undo and time travel refuse a redacted path and say why.

    Other paths work; nothing is half undone.
    """
    x = TrackedDict(password="a", n=1, tracking_redact="/password")
    x["password"] = "b"
    x["n"] = 2
    x.tracking_undo()
    assert 1 == x["n"]
    with pytest.raises(RedactedError, match="tracking_redact"):
        x.tracking_undo()
    with pytest.raises(RedactedError, match="/password"):
        x.tracking_state_at(x.tracking_changes()[0])
    assert {"password": "b", "n": 1} == x
    assert 1 == len(x.tracking_revert(path="/password"))
    assert x.tracking_verify() is None


def test_a_function_may_say_which_paths() -> None:
    """A redact function is called with the path as a tuple."""
    x = track({"a": {"token": 1}}, tracking_redact=lambda path: "token" in str(path[-1]))
    x["a"]["token"] = SECRET
    x["a"]["name"] = "n"
    assert SECRET not in everything_said(x.tracking_changes())
    assert "n" == x.last_change().after  # type: ignore[union-attr]


def test_the_container_itself_is_not_changed() -> None:
    """Redaction changes records only: the program sees its own objects."""
    inner = {"password": SECRET}
    x = TrackedDict(tracking_redact="/**/password")
    x["plain"] = inner
    assert x["plain"] is inner
    assert {"password": SECRET} == inner


def test_a_copy_and_a_pickle_keep_the_option() -> None:
    """A copy and a pickle keep the redact option."""
    import copy
    import pickle

    x = TrackedSet(["a"], tracking_redact="/*")
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        y.add(SECRET)
        assert SECRET not in everything_said(y.tracking_changes())


@pytest.mark.parametrize(
    ("error", "bad"), [(ValueError, "password"), (ValueError, ""), (TypeError, 5), (TypeError, [5])]
)
def test_an_invalid_glob_is_refused(error: type[Exception], bad: Any) -> None:
    """An invalid glob is refused with an example of a valid one."""
    with pytest.raises(error):
        TrackedDict(tracking_redact=bad)
