"""A real notebook: executed by nbclient in a fresh kernel of ipykernel."""

from __future__ import annotations

import sys
from typing import Any

import pytest

for library in ("ipykernel", "nbformat", "nbclient"):
    pytest.importorskip(library)

from notebooks import run_notebook

WATCHES = sys.version_info >= (3, 12)
STEPS: dict[str, str | int] = {
    "load": "%load_ext pydatatracker\nfrom pydatatracker import track\nimport asyncio",
    "make": "config = track({'port': 80, 'hosts': []}, tracking_capture_stack=True)",
    "add": "x = 1\nconfig['port'] += x",
    "add again": 2,
    "other": "y = 2",
    "add once more": 2,
    "blame port": "%blame config['port']",
    "history": "config.tracking_changes()[1:2]",
    "define": "def set_port(port):\n    config['port'] = port",
    "call": "set_port(7)",
    "blame call": "%blame config['port']",
    "begin": "async def later():\n    await event.wait()\n    config['port'] = 9\nevent = asyncio.Event()\ntask = asyncio.create_task(later())",
    "end": "event.set()\nawait task",
    "blame task": "%blame config['port']",
    "actor": "%%actor ann\nconfig['hosts'].append('a')\nlen(config['hosts'])",
    "blame actor": "%blame config['hosts'][-1]",
    "report": "config['port'] = '</iframe><script>alert(1)</script>'\ndisplay(config.tracking_report())",
    "save": "config.tracking_report().save('report.html')\nopen('report.html').read()[:15]",
    "mistake": "%blame nothing['a']",
    "after": "1 + 1",
    "watch": "plain = {'a': [1]}\n%watch plain",
    "found": "plain['a'].append(2)",
    "stored": "plain['b'] = 1",
    "blame found": "%blame plain['a'][1]",
    "blame stored": "%blame plain['b']",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Run the notebook once; return what each step gave."""
    return dict(zip(STEPS, run_notebook([*STEPS.values()], tmp_path_factory.mktemp("notebook")), strict=True))


def data_of(step: dict[str, Any]) -> dict[str, Any]:
    """Return what a step displays, by type."""
    assert step["error"] is None
    (output,) = step["outputs"]
    data: dict[str, Any] = output["data"]
    return data


def test_the_runs_of_a_cell_are_told_apart(done: dict[str, dict[str, Any]]) -> None:
    """A cell that is run three times: each run has its number.

    The file name of its code is the same in all of them.
    """
    last = done["add once more"]["count"]
    shown = data_of(done["blame port"])
    assert (3, 4, 6) == (done["add"]["count"], done["add again"]["count"], last)
    assert shown["text/plain"].startswith(
        f"config['port']: 82 -> 83\n  In[{last}] (run 3 of this cell), line 2\n    config['port'] += x\n"
    )
    assert f"In[{last}] (run 3 of this cell), line 2" in shown["text/html"]
    assert "In[3], line 2" in data_of(done["history"])["text/html"]


def test_a_function_of_another_cell_and_a_task(done: dict[str, dict[str, Any]]) -> None:
    """The cell that has the line, and the one that ran, are both named."""
    defined, called = done["define"]["count"], done["call"]["count"]
    assert (
        f"In[{defined}], line 2 in set_port, called by In[{called}], line 1"
        in data_of(done["blame call"])["text/plain"]
    )
    began, ran = done["begin"]["count"], done["end"]["count"]
    assert f"In[{began}], line 3 in later, while In[{ran}] ran" in data_of(done["blame task"])["text/plain"]


def test_an_actor(done: dict[str, dict[str, Any]]) -> None:
    """`%%actor` works in a kernel, and shows the last value."""
    assert "1" == data_of(done["actor"])["text/plain"]
    shown = data_of(done["blame actor"])["text/plain"]
    assert f"In[{done['actor']['count']}], line 2\n" in shown
    assert shown.endswith("UTC  by ann")


def test_the_page(done: dict[str, dict[str, Any]]) -> None:
    """`display(x.tracking_report())` shows the page in a frame.

    The page is one attribute of it, whatever the data is.
    """
    shown = data_of(done["report"])["text/html"]
    assert shown.startswith('<iframe title="Changes" sandbox="allow-scripts"')
    assert (2, 1) == (shown.count("<"), shown.count("</iframe>"))
    assert "'<!doctype html>'" == data_of(done["save"])["text/plain"]


def test_a_mistake_is_one_line(done: dict[str, dict[str, Any]]) -> None:
    """A mistake stops with one line, and the kernel goes on."""
    step = done["mistake"]
    assert "UsageError: nothing['a']: NameError: name 'nothing' is not defined" in f"{step['error']} {step['outputs']}"
    assert "2" == data_of(done["after"])["text/plain"]


@pytest.mark.skipif(not WATCHES, reason="watch() needs CPython 3.12")
def test_plain_data(done: dict[str, dict[str, Any]]) -> None:
    """`%watch` remembers a dict that the notebook made itself."""
    assert "watching plain: 2 objects\n" == done["watch"]["outputs"][0]["text"]
    assert f"  In[{done['found']['count']}]\n" in data_of(done["blame found"])["text/plain"]
    assert f"  In[{done['stored']['count']}], line 1\n    plain['b'] = 1" in data_of(done["blame stored"])["text/plain"]
