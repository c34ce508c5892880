"""``load_observers_from_json``: valid entries are made, errors reported."""

from __future__ import annotations

import inspect
import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("msgspec", reason="configuration files need it")
from pydatatracker import TrackedDict, load_observers_from_json
from pydatatracker.config import ConfigurationError
from pydatatracker.config.options import TYPES, fields_of
from pydatatracker.exporters.delivery import Delivery
from pydatatracker.exporters.http import HttpSink

EXAMPLE = '[{"type": "change_collector"}, {"type": "json_file", "options": {"path": "tmp/change.jsonl"}}]'


def problems(data: Any, **options: Any) -> list[str]:
    """Return what is reported as wrong."""
    with pytest.raises(ConfigurationError) as caught:
        load_observers_from_json(data, **options)
    return caught.value.problems


def test_the_example_of_the_documentation(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the documentation makes a collector and a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "observers.json").write_text(EXAMPLE)
    d = TrackedDict()
    with load_observers_from_json("observers.json") as observers:
        for observer in observers:
            d.tracking_add_observer(observer)
        d["a"] = 1
        assert ["/a"] == [change.pointer for change in observers[0]]
    assert "/a" == json.loads((tmp_path / "tmp" / "change.jsonl").read_text())["pointer"]


def test_toml_and_data_and_everything_at_once(tmp_path: pathlib.Path) -> None:
    """TOML and data are accepted, with variables, filters and exporters."""
    (tmp_path / "observers.toml").write_text(
        """
        [[observers]]
        type = "filtered"
        [observers.options]
        path = "/users/**"
        actions = ["add", "update"]
        [observers.options.observer]
        type = "json_lines"
        options = { path = "${FOLDER}/log.jsonl", buffered = true, max_items = "${ROOM:-50}", compact = "${COMPACT}" }

        [[observers]]
        type = "logging"
        options = { logger = "changes.$$", level = "debug" }
        """
    )
    d = TrackedDict(tracking_auto_convert=True)
    environ = {"FOLDER": str(tmp_path), "COMPACT": "true"}
    with load_observers_from_json(tmp_path / "observers.toml", environ=environ) as observers:
        d.tracking_add_observer(observers[0])
        d["users"] = {}
        d["users"]["ann"] = 1
        d["other"] = 1
        del d["users"]["ann"]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert ["/users", "/users/ann"] == [line["pointer"] for line in lines]
    assert "tree" not in lines[0]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "htp", "options": {}}, "entry 1 (htp): unknown type 'htp', did you mean 'http'?"),
        ({"type": "http", "options": {"ulr": "x", "url": "http://x"}}, "unknown option 'ulr', did you mean 'url'?"),
        ({"type": "http", "options": {}}, "entry 1 (http): options.url is missing"),
        ({"type": "http", "options": {"url": "ftp://x"}}, "options.url must begin with http:// or https://"),
        ({"type": "http", "options": {"url": "http://x", "body": "arry"}}, "did you mean 'array'?"),
        ({"type": "json_lines", "options": {"path": "x", "keep": 0}}, "options.keep: "),
        ({"type": "json_lines", "options": {"path": "x", "rotate_sise": 1}}, "did you mean 'rotate_size'?"),
        (
            {"type": "json_lines", "options": {"path": 7}},
            "options.path: Expected `str`, got `int`; it must be a string",
        ),
        ({"type": "json_lines", "options": {"path": "x", "on_full": "spill"}}, "needs options.spill"),
        ({"type": "json_file"}, "options.path is missing"),
        ({"type": "filtered", "options": {}}, "options.observer is missing"),
        ({"type": "filtered", "options": {"observer": {"type": "htp"}}}, "entry 1 (filtered), observer (htp): unknown"),
        (
            {"type": "filtered", "options": {"observer": {"type": "telemetry"}, "actions": "set"}},
            "unknown action 'set'",
        ),
        ({"type": "filtered", "options": {"observer": {"type": "telemetry"}, "path": "a"}}, "must begin with '/'"),
        ({"type": "logging", "options": {"level": "WARN1NG"}}, "did you mean 'WARNING'?"),
        ({"type": "async_queue"}, "needs a queue, which a file cannot hold"),
        ({"type": "os:system"}, "only with allow_import=True"),
        ({"type": "json_file", "options": {"path": "${NOWHERE}"}}, "the environment variable NOWHERE is not set"),
        ({"type": "json_file", "options": {"path": "${no name}"}}, "to write a dollar, double it: $$"),
        ({"type": "json_file", "option": {}}, "unknown field 'option'"),
        ({"type": "json_file", "options": []}, "options must be a table, not a list"),
        ({"options": {}}, "'type' is missing"),
        ("http", "an entry must be a table with 'type' and 'options', not a string"),
    ],
)
def test_errors_are_named(entry: Any, said: str) -> None:
    """An error names entry, field, what it accepts and the nearest name."""
    assert any(said in problem for problem in problems([entry], environ={})), problems([entry], environ={})


def test_all_errors_are_reported_and_nothing_is_opened(tmp_path: pathlib.Path) -> None:
    """All errors are reported together, and nothing is opened."""
    path = tmp_path / "observers.json"
    path.write_text(
        json.dumps(
            [
                {"type": "json_file", "options": {"path": str(tmp_path / "made.jsonl")}},
                {"type": "htp"},
                {"type": "http", "options": {"url": 5, "timeout": "soon"}},
            ]
        )
    )
    with pytest.raises(ConfigurationError) as caught:
        load_observers_from_json(path)
    assert 3 == len(caught.value.problems)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())
    assert [path] == list(tmp_path.iterdir())


def test_files_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    """A file that is missing, not JSON, TOML or UTF-8, or not a list."""
    with pytest.raises(FileNotFoundError):
        load_observers_from_json(tmp_path / "none.json")
    for name, raw, said in (
        ("a.json", b"[{", "is not JSON"),
        ("a.toml", b"= 1", "is not TOML"),
        ("b.json", b"\xff", "is not UTF-8"),
        ("c.json", b"5", "a list of entries is needed, not a number"),
        ("d.json", b'{"observer": []}', "did you mean 'observers'?"),
        ("e.json", b"{}", "the table is empty"),
        ("f.json", b"[" * 100_000, "is n"),
    ):
        (tmp_path / name).write_bytes(raw)
        assert any(said in problem for problem in problems(tmp_path / name))


def test_one_that_fails_while_it_is_made_closes_the_others(tmp_path: pathlib.Path) -> None:
    """When one entry cannot be opened, the earlier ones are closed."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "a.jsonl"
    with pytest.raises(OSError, match="folder"):
        load_observers_from_json(
            [
                {"type": "json_file", "options": {"path": str(path)}},
                {"type": "json_file", "options": {"path": str(tmp_path / "folder")}},
            ]
        )
    path.unlink()  # on Windows that fails while it is open


def made_here(size: int = 1) -> Any:
    """Stand in for a user's factory."""
    return lambda change: size


def test_imports_only_where_they_are_allowed() -> None:
    """A user's factory is imported only where that is allowed.

    It gets its options, and what it raises is reported with the entry.
    """
    name = f"{__name__}:made_here"
    (observer,) = load_observers_from_json([{"type": name, "options": {"size": 5}}], allow_import=True)
    assert 5 == observer(None)
    assert any(
        "unexpected keyword" in each for each in problems([{"type": name, "options": {"sise": 5}}], allow_import=True)
    )
    assert any("No module named" in each for each in problems([{"type": "no.such:thing"}], allow_import=True))
    assert any("package.module:factory" in each for each in problems([{"type": "os.system"}], allow_import=True))


def test_secrets_stay_out_of_messages() -> None:
    """Values from the environment are not repeated in messages."""
    secret = "s3cr3t-t0k3n"
    environ = {"TOKEN": secret}
    data = [
        {"type": "http", "options": {"url": "${TOKEN}", "timeout": "${TOKEN}", "body": "${TOKEN}"}},
        {
            "type": "http",
            "options": {"url": "http://x/${TOKEN}", "headers": {"Authorization": "Bearer ${TOKEN}"}, "x": 1},
        },
    ]
    assert not any(secret in problem for problem in problems(data, environ=environ))
    pytest.importorskip("urllib3", reason="the extra http is not installed")
    good = [{"type": "http", "options": {"url": "http://me:${TOKEN}@127.0.0.1:9/?key=${TOKEN}", "retry_first": 0.01}}]
    with load_observers_from_json(good, environ=environ) as observers:
        observers[0].flush(0.01)
        d = TrackedDict()
        d.tracking_add_observer(observers[0])
        d["a"] = 1
        observers[0].flush(0.3)
        assert secret not in f"{observers[0]!r} {observers[0].stats()} {observers[0]._delivery.name}"
        observers[0].close(0.01)


def test_the_options_are_those_of_the_factories() -> None:
    """Every option of a configuration is a parameter of its factory."""
    runtime = set(inspect.signature(Delivery).parameters) - {"sink", "name"}
    for name, kind in TYPES.items():
        module = __import__(kind.module, fromlist=[kind.factory])
        parameters = set(inspect.signature(getattr(module, kind.factory)).parameters)
        if name == "http":
            parameters |= set(inspect.signature(HttpSink).parameters) | {"compact"}
        taken = set(fields_of(kind.options)) - {kind.first}
        assert taken <= parameters | (runtime if "options" in parameters else set()), name
        if "options" in parameters:
            assert runtime <= taken, name


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["${A}", "${", "$$"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "options", "path", "observer", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    JSON
    | st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["filtered", "logging", "change_collector", "a.b:c"]), "options": JSON}
        )
    )
)
def test_any_data_gives_observers_or_the_error(data: Any) -> None:
    """Any data gives observers or the documented error."""
    if not isinstance(data, (list, dict)):
        return
    found = None
    try:
        load_observers_from_json(data, environ={"A": "1"}).close()
    except ConfigurationError as error:
        found = error.problems
    assert found is None or found
