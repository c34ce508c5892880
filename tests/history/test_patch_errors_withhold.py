"""The error of a malformed operation shows no value, if there are rules."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from pydatatracker import track
from pydatatracker.history.apply_patch import PatchError

SECRET = "s3cr3t"
DATA = {"password": SECRET}
MALFORMED: dict[str, Any] = {
    "misspelled member": {"op": "add", "path": "/u/password", "valu": SECRET},
    "value of another name": {"op": "add", "path": "/u", "values": DATA},
    "op is data": {"op": DATA, "path": "/u", "value": 1},
    "op is the secret": {"op": SECRET, "path": "/u", "value": 1},
    "from is data": {"op": "copy", "path": "/x", "from": DATA},
    "path is data": {"op": "add", "path": DATA, "value": DATA},
    "path is the secret": {"op": "add", "path": SECRET, "value": 1},
    "path with a bad escape": {"op": "add", "path": f"/~{SECRET}", "value": 1},
    "from without a slash": {"op": "move", "path": "/x", "from": SECRET},
    "no operation": DATA,
    "a list": ["password", SECRET],
    "a str": SECRET,
    "a tuple as a key": {"op": "add", "path": "/u", ("password", SECRET): 1},
    "more members": {"op": "remove", "path": "/gone", "comment": SECRET},
    "a value below nothing": {"op": "add", "path": "/u/password/gone", "value": SECRET},
    "a test": {"op": "test", "path": "/u", "value": DATA},
    "a test of the secret": {"op": "test", "path": "/u/password", "value": SECRET},
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("rules", [["/**/password"], ["/u/password"], lambda path: path[-1] == "password"],
                         ids=["anywhere", "one path", "function"])  # fmt: skip
def test_a_patch_error_shows_no_value(name: str, rules: Any) -> None:
    """It names keys and types."""
    d = track({"u": {"password": "other"}}, tracking_redact=rules)
    with pytest.raises(PatchError) as caught:
        d.tracking_apply_patch([MALFORMED[name]])
    error = caught.value
    said = "".join(traceback.format_exception_only(error)) + repr(error) + error.reason + repr(error.operation)
    assert SECRET not in said
    assert "operation 0 of the patch" in str(error)


def test_a_patch_error_without_rules_shows_the_operation() -> None:
    """As before."""
    with pytest.raises(PatchError, match="there is no operation 'ad'"):
        track({}).tracking_apply_patch([{"op": "ad", "path": "/x", "value": 1}])
