"""Let the actor travel with Celery tasks: `connect`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pydatatracker._core import words_for
from pydatatracker.actors import tracking_actor, tracking_scope

try:
    from celery import signals
except ImportError:
    raise ImportError("pydatatracker.integrations.celery needs Celery: pip install celery") from None

__all__ = ["HEADER", "connect", "disconnect"]

HEADER = "pydatatracker"  # of a message; its value is JSON

_open: WeakKeyDictionary[Any, list[tracking_actor]] = WeakKeyDictionary()  # of the request of each task that runs


def connect() -> None:
    """Let the actor and context of whoever sends a task travel with it.

    Call it where tasks are sent and where they are executed, best in the module that makes the Celery application. It
    holds for all applications of the process. Calling it again changes nothing. O(context) per task.

    The changes of a task have the actor of its sender; ``change.context`` has that of the sender, and ``celery_task``
    and ``celery_task_id``. Retries, and the tasks of chains, groups and chords, have the actor of the first. A
    transaction stays where it is: a task that is sent in one gets its id as ``parent_transaction``.

    >>> from celery import Celery
    >>> from pydatatracker import TrackedDict
    >>> connect()
    >>> app, stock = Celery("shop", set_as_current=False), TrackedDict()
    >>> app.conf.task_always_eager = True
    >>> @app.task(name="ship", shared=False)
    ... def ship():
    ...     stock["tea"] = 1
    >>> with tracking_actor("ann"):
    ...     result = ship.delay()
    >>> stock.last_change().actor, stock.last_change().context["celery_task"]
    ('ann', 'ship')
    """
    signals.before_task_publish.connect(_publish, weak=False, dispatch_uid=HEADER)
    signals.task_prerun.connect(_begin, weak=False, dispatch_uid=HEADER)
    signals.task_postrun.connect(_end, weak=False, dispatch_uid=HEADER)


def disconnect() -> None:
    """End what `connect` began; tasks that run go on under their actor.

    >>> disconnect()
    """
    signals.before_task_publish.disconnect(_publish, dispatch_uid=HEADER)
    signals.task_prerun.disconnect(_begin, dispatch_uid=HEADER)


def _publish(headers: dict[str, Any] | None = None, **_: Any) -> None:
    now = tracking_scope()
    if headers is None or not (now.actor or now.context or now.transaction):
        return
    context = dict(now.context)
    if now.transaction is not None:
        context["parent_transaction"] = now.transaction
    headers[HEADER] = _as_json(now.actor, context)


def _as_json(actor: str, context: dict[str, Any]) -> str:
    """Return actor and context as JSON; what JSON lacks as text."""
    try:
        return json.dumps({"actor": actor, "context": context}, default=words_for)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, data that refers to itself
        texts = {key: value if isinstance(value, str) else words_for(value) for key, value in context.items()}
        return json.dumps({"actor": actor, "context": texts})


def _begin(task: Any = None, task_id: str | None = None, **_: Any) -> None:
    request = task.request
    now = tracking_scope()
    actor, context = _sender(request) or (now.actor, {})
    block = tracking_actor(actor, **{**context, "celery_task": task.name, "celery_task_id": task_id})
    block.__enter__()
    _open.setdefault(request, []).append(block)


def _sender(request: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the actor and context of whoever sent a task, or None."""
    header = vars(request).get(HEADER) or (request.headers or {}).get(HEADER)
    if not isinstance(header, str):
        return None
    try:
        found = json.loads(header)
        actor, context = found["actor"], found["context"]
        if not isinstance(actor, str) or not isinstance(context, Mapping):
            raise TypeError(f"actor or context is of type {type(actor).__name__}, {type(context).__name__}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        logging.getLogger("pydatatracker").warning(
            "the header %r of task %s cannot be read; its changes are recorded without actor", HEADER, request.id,
            exc_info=error,
        )  # fmt: skip
        return None
    return actor, dict(context)


def _end(task: Any = None, **_: Any) -> None:
    blocks = _open.get(task.request)
    if blocks:
        blocks.pop().__exit__(None, None, None)
