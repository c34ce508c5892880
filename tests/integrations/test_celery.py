"""Actors that travel with Celery tasks, to a real worker and eagerly."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

celery = pytest.importorskip("celery")

from celery import chain, chord, group
from celery.contrib.testing.worker import start_worker
from tracked import everything, write_all

from pydatatracker import TrackedDict, tracking_actor, tracking_scope, tracking_transaction
from pydatatracker.integrations.celery import HEADER, connect, disconnect

# Of Celery and kombu themselves, seen on 3.12 and newer.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning"),
]


def application() -> Any:
    """Return an application with a broker and results in memory."""
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.worker_hijack_root_logger = False
    app.conf.broker_transport_options = {"polling_interval": 0.01}
    app.conf.broker_connection_retry_on_startup = True

    def now() -> list[Any]:
        d = TrackedDict()
        d["x"] = 1
        change = d.last_change()
        return [change.actor, dict(change.context)]

    @app.task(name="seen", shared=False)
    def seen(*_: Any) -> list[Any]:
        return now()

    @app.task(name="headers", shared=False, bind=True)
    def headers(self: Any) -> list[Any]:
        return [now()[0], vars(self.request).get("mine"), (self.request.headers or {}).get("mine")]

    @app.task(name="retried", shared=False, bind=True, max_retries=2, default_retry_delay=0)
    def retried(self: Any, found: list[Any]) -> list[Any]:
        found = [*found, now()]
        if self.request.retries < 2:
            raise self.retry(args=(found,), countdown=0)
        return found

    @app.task(name="collected", shared=False)
    def collected(found: list[Any]) -> list[Any]:
        return [*found, now()]

    @app.task(name="everywhere", shared=False)
    def everywhere() -> list[str]:
        containers = everything()
        write_all(containers)
        return sorted({container.last_change().actor for container in containers})

    @app.task(name="fails", shared=False)
    def fails() -> None:
        raise ZeroDivisionError

    @app.task(name="sends", shared=False)
    def sends() -> Any:
        with tracking_actor("task itself", inner=1):
            return seen.delay().id

    @app.task(name="celery.ping", shared=False)
    def ping() -> str:
        return "pong"

    return app


@contextlib.contextmanager
def working(pool: str) -> Iterator[Any]:
    """Run a worker in a thread; give its application."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    app = application()
    connect()
    connect()
    try:
        with start_worker(app, pool=pool, concurrency=2, perform_ping_check=False, shutdown_timeout=30):
            yield app
    finally:
        root.setLevel(level)  # the worker sets them
        root.handlers[:] = handlers
        disconnect()


@pytest.fixture(scope="module")
def worker() -> Iterator[Any]:
    """Run a worker for the tests of this module."""
    with working("solo") as app:
        yield app


@pytest.fixture
def connected() -> Iterator[None]:
    """Connect for one test, and leave it as it was."""
    connect()
    yield
    connect()


def own(context: dict[str, Any]) -> dict[str, Any]:
    """Return a context without what each task adds."""
    return {key: value for key, value in context.items() if not key.startswith("celery_")}


def test_a_pool_of_threads_keeps_the_actors_apart() -> None:
    """Tasks that run at once each have their own, also after failures.

    The first test here: a process has one worker at a time.
    """
    with working("threads") as app:
        sent = {}
        for n in range(6):
            with tracking_actor(f"user {n}", n=n):
                sent[n] = app.tasks["seen"].delay(), app.tasks["fails"].delay(), app.tasks["retried"].delay([])
        nobody = app.tasks["seen"].delay()
        for n, (seen, failed, retried) in sent.items():
            assert isinstance(failed.get(interval=0.01, timeout=30, propagate=False), ZeroDivisionError)
            for actor, context in [seen.get(interval=0.01, timeout=30), *retried.get(interval=0.01, timeout=30)]:
                assert (f"user {n}", {"n": n}) == (actor, own(context))
        actor, context = nobody.get(interval=0.01, timeout=30)
        assert ("", {}) == (actor, own(context))


def test_a_task_has_the_actor_of_whoever_sent_it(worker: Any) -> None:
    """Actor, context, name and id of the task are in its changes.

    The next task that is sent by nobody has no actor.
    """
    with tracking_actor("ann", order=7):
        sent = worker.tasks["seen"].delay()
    nobody = worker.tasks["seen"].delay()
    expected = ["ann", {"order": 7, "celery_task": "seen", "celery_task_id": sent.id}]
    assert expected == sent.get(interval=0.01, timeout=20)
    assert ["", {"celery_task": "seen", "celery_task_id": nobody.id}] == nobody.get(interval=0.01, timeout=20)
    with tracking_actor("bob"):
        assert ["bob"] == worker.tasks["everywhere"].delay().get(interval=0.01, timeout=20)


def test_headers_of_the_user_are_kept(worker: Any) -> None:
    """apply_async(headers=...) arrives, and the dict is not changed."""
    mine = {"mine": "x"}
    with tracking_actor("ann"):
        actor, *found = worker.tasks["headers"].apply_async(headers=mine).get(interval=0.01, timeout=20)
        assert "ann" == worker.send_task("seen", headers=mine).get(interval=0.01, timeout=20)[0]
    assert "ann" == actor
    assert "x" in found
    assert {"mine": "x"} == mine


def test_retries_keep_the_actor(worker: Any) -> None:
    """Every try has the actor and context of the first."""
    with tracking_actor("ann", order=7):
        sent = worker.tasks["retried"].delay([])
    found = sent.get(interval=0.01, timeout=30)
    assert ["ann"] * 3 == [actor for actor, _ in found]
    assert [{"order": 7}] * 3 == [own(context) for _, context in found]


def test_chains_groups_and_chords_keep_the_actor(worker: Any) -> None:
    """Tasks that a worker sends because another has ended have it too."""
    seen, collected = worker.tasks["seen"], worker.tasks["collected"]
    with tracking_actor("ann", order=7):
        last = chain(seen.s(), seen.s(), seen.s()).apply_async()
        both = group(seen.s(), seen.s()).apply_async()
        all_ = chord([seen.s(), seen.s()], collected.s()).apply_async()
    found = [
        last.get(interval=0.01, timeout=30),
        *both.get(interval=0.01, timeout=30),
        *all_.get(interval=0.01, timeout=30),
    ]
    assert [("ann", {"order": 7})] * 6 == [(actor, own(context)) for actor, context in found]
    assert last.id == found[0][1]["celery_task_id"]


def test_a_task_that_fails_leaves_no_actor(worker: Any) -> None:
    """The next task in the same thread starts anew."""
    with tracking_actor("ann", order=7):
        failed = [worker.tasks["fails"].delay() for _ in range(4)]
    for each in failed:
        with pytest.raises(ZeroDivisionError):
            each.get(interval=0.01, timeout=20)
    assert {"": {}} == {
        actor: own(context) for actor, context in (worker.tasks["seen"].delay().get(interval=0.01, timeout=20),)
    }


def test_a_task_may_send_tasks_as_somebody_else(worker: Any) -> None:
    """An actor inside of the task is that of what it sends."""
    with tracking_actor("ann", order=7):
        name = worker.tasks["sends"].delay().get(interval=0.01, timeout=20)
    actor, context = worker.AsyncResult(name).get(interval=0.01, timeout=20)
    assert ("task itself", {"order": 7, "inner": 1}) == (actor, own(context))


def test_a_transaction_is_named_and_stays(worker: Any) -> None:
    """A task that is sent in a transaction knows which one."""
    with tracking_actor("ann"), tracking_transaction() as block:
        sent = worker.tasks["seen"].delay()
    actor, context = sent.get(interval=0.01, timeout=20)
    assert ("ann", {"parent_transaction": block.id}) == (actor, own(context))


class Odd:
    """What JSON does not know."""


LOOP: list[Any] = []
LOOP.append(LOOP)
CONTEXTS = {
    "a number": (7, 7),
    "a list": ([1, (2,)], [1, [2]]),
    "a set": ({1}, "{1}"),
    "text": ("\ud800ä", "\ud800ä"),
    "not a number": (float("inf"), float("inf")),
    "tracked": (TrackedDict(a=1), {"a": 1}),
}


@pytest.mark.parametrize(("value", "expected"), CONTEXTS.values(), ids=CONTEXTS)
def test_any_context_can_be_sent(worker: Any, value: Any, expected: Any) -> None:
    """JSON arrives as it is; everything else as text."""
    if isinstance(value, str):
        value = expected = value.encode("utf-8", "replace").decode()  # results are JSON in UTF-8
    with tracking_actor("ann", value=value):
        assert expected == worker.tasks["seen"].delay().get(interval=0.01, timeout=20)[1]["value"]


@pytest.mark.parametrize("value", [Odd(), LOOP, {(1, 2): 3}, {1: Odd()}, b"\xff"])
def test_what_is_no_json_never_fails_the_sender(worker: Any, value: Any) -> None:
    """Objects, loops and odd keys are sent as text."""
    with tracking_actor("ann", value=value, order="7"):
        actor, context = worker.tasks["seen"].delay().get(interval=0.01, timeout=20)
    assert ("ann", "7") == (actor, context["order"])
    assert isinstance(context["value"], (str, dict))


WRONG = [
    "no json", "[]", "{}", '{"actor": 1, "context": {}}', '{"actor": "a", "context": 1}', "[" * 100_000, 5,
    {"actor": "a"},
]  # fmt: skip


@pytest.mark.parametrize("header", WRONG, ids=range(len(WRONG)))
def test_a_header_that_is_wrong_does_not_fail_the_task(worker: Any, header: Any, caplog: Any) -> None:
    """The task runs without an actor."""
    with caplog.at_level(logging.WARNING, "pydatatracker"):
        actor, context = worker.send_task("seen", headers={HEADER: header}).get(interval=0.01, timeout=20)
    assert ("", {}) == (actor, own(context))


def test_eager_tasks_have_the_actor_around_them(connected: None) -> None:
    """Always-eager applications, apply(), retries and chains."""
    app = application()
    app.conf.task_always_eager = True
    seen = app.tasks["seen"]
    with tracking_actor("ann", order=7):
        assert "ann" == seen.delay().get()[0] == seen.apply(headers={"mine": "x"}).get()[0]
        assert ["ann"] * 3 == [actor for actor, _ in app.tasks["retried"].delay([]).get()]
        assert "ann" == chain(seen.s(), seen.s()).apply_async().get()[0]
        assert 3 == len(chord([seen.s(), seen.s()], app.tasks["collected"].s()).apply_async().get())
        assert ("ann", {"order": 7}) == tracking_scope()[:2]
        assert isinstance(app.tasks["fails"].delay().result, ZeroDivisionError)
        app.conf.task_eager_propagates = True
        with pytest.raises(ZeroDivisionError):
            app.tasks["fails"].delay()
        assert ("ann", {"order": 7}) == tracking_scope()[:2]
    assert ("", {}, None) == tracking_scope()
    assert "" == seen.delay().get()[0]


def test_a_task_that_is_called_is_a_function(connected: None) -> None:
    """A plain call runs no signal, under the actor of the caller."""
    with tracking_actor("ann", order=7):
        assert ["ann", {"order": 7}] == application().tasks["seen"]()


def test_disconnect_ends_it() -> None:
    """No header is sent, and nothing is added to eager tasks."""
    app = application()
    app.conf.task_always_eager = True
    disconnect()
    disconnect()
    with tracking_actor("ann"):
        assert ["ann", {}] == app.tasks["seen"].delay().get()


def test_the_header_is_plain_json(connected: None) -> None:
    """Every broker can carry it, and other programs can read it."""
    app = application()
    with app.connection_for_write() as connection, tracking_actor("ann", order=7):
        app.tasks["seen"].apply_async(queue="unread", connection=connection)
        queue = connection.SimpleQueue("unread")
        message = queue.get(timeout=10)
        assert {"actor": "ann", "context": {"order": 7}} == json.loads(message.headers[HEADER])
        queue.close()


PREFORK = """
import os
import celery
from pydatatracker import track
from pydatatracker.integrations.celery import connect

connect()
app = celery.Celery("shop", broker="filesystem://", backend="db+sqlite:///results.db")
app.conf.broker_transport_options = dict(data_folder_in="queue", data_folder_out="queue", polling_interval=0.02)
app.conf.control_folder = "control"
app.conf.broker_connection_retry_on_startup = True

def now():
    d = track({})
    d["x"] = 1
    change = d.last_change()
    return [os.getpid(), change.actor, change.context.get("n")]

@app.task(name="seen")
def seen(*_):
    return now()

@app.task(name="fails")
def fails():
    raise ZeroDivisionError

@app.task(name="retried", bind=True, max_retries=1)
def retried(self):
    if not self.request.retries:
        raise self.retry(countdown=0)
    return now()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Celery does not fork there")
def test_a_prefork_worker_has_the_actor_in_its_processes(tmp_path: Any, monkeypatch: Any, connected: None) -> None:
    """The process that runs a task has its actor, and no other afterwards.

    Also after a failure, in a retry and in a chain.
    """
    pytest.importorskip("sqlalchemy")
    (tmp_path / "queue").mkdir()
    (tmp_path / "prefork_shop.py").write_text(PREFORK, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    command = [sys.executable, "-m", "celery", "-A", "prefork_shop", "worker", "--pool", "prefork", "-c", "1"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    with open("worker.txt", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        shop = importlib.import_module("prefork_shop")
        with tracking_actor("ann", n=1):
            sent = [shop.seen.delay(), shop.retried.delay(), celery.chain(shop.seen.s(), shop.seen.s())()]
            failed = shop.fails.delay()
        sent.append(shop.seen.delay())
        found = [job.get(interval=0.05, timeout=60) for job in sent]
        assert isinstance(failed.get(interval=0.05, timeout=60, propagate=False), ZeroDivisionError)
    finally:
        process.terminate()
        process.wait(30)
    assert [["ann", 1]] * 3 + [["", None]] == [rest for _, *rest in found]
    assert process.pid not in {pid for pid, *_ in found}
