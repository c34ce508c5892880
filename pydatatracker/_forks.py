"""What a forked child sets right, and what a process does at its end.

A fork copies every object, but only the thread that forks. So in the child a lock may be held by a thread that does not
exist, a connection is the parent's as well, and a buffer has lines that the parent will write. This module is the one
that knows all of them: each owner registers here, the core too (`record/ids.pyx`). No other module uses
``os.register_at_fork``.

- ``keep(owner, ORDER)``: ``owner.after_fork()`` is called in the child while the owner exists.
- ``in_child(function, ORDER)``: the same for a function, for what a module owns.
- ``at_end(function)``: is called when the process ends, also in a worker of `multiprocessing`, which ends by
  ``os._exit`` and calls no functions of `atexit`.
- ``in_worker(function)``: is called in a worker that may be killed at any moment (one of a Pool is: ``terminate``).

In the child, the owners of a lower order come first: the core, then files and connections, then the queues that use
them, then the logs. Before a fork, imports of this package by other threads are completed: a half imported module would
stay half imported in the child, with a lock that nobody releases.
"""

from __future__ import annotations

import os
import sys
from _weakref import ref  # builtin: no file of the program can be in its way, as it can be in that of weakref
from time import sleep

TYPE_CHECKING = False  # as type checkers know it; importing typing takes a fifth of a Python start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "CORE",
    "FILES",
    "LOGS",
    "QUEUES",
    "at_end",
    "in_child",
    "in_worker",
    "is_early",
    "is_worker",
    "keep",
    "owners",
]

CORE = 0  # the state of the core: open blocks, the journal
FILES = 10  # files and connections
QUEUES = 20  # queues, and the threads that empty them
LOGS = 30  # what uses the above

_PAUSE = 0.001  # seconds between two looks whether other threads import something
_ATTEMPTS = 5000  # after which a fork does not wait any longer
_SOON = 20
# locks of the standard library that are taken before each fork and released after it
_HELD = (("logging", "_lock"), ("concurrent.futures.thread", "_global_shutdown_lock"))
# what this package imports when it is first needed, while a program runs
_IMPORTED = frozenset((
    "pydatatracker", "msgspec", "tenacity", "urllib3", "sqlite3", "sqlalchemy", "obstore", "confluent_kafka",
    "opentelemetry", "requests", "zstandard", "compression", "gzip", "asyncio", "duckdb",
    "array", "copy", "datetime", "fnmatch", "linecache", "logging", "re", "traceback",
))  # fmt: skip
_LAST = -(10**6)  # after the finalizers of the program

# Owners are in plain dicts: unlike a WeakSet these can be copied at any moment, whatever other threads were doing.
_owners: dict[int, tuple[int, Any]] = {}  # id -> (order, weak reference)
_functions: list[tuple[int, Callable[[], object]]] = []
_enders: list[Callable[[], object]] = []
_workers: list[Callable[[], object]] = []
_is_worker = False
_is_early = False  # whether this process does not know yet what it is
_is_hooked = False  # whether multiprocessing calls _begin_child


def keep(owner: Any, order: int) -> None:
    """Have ``owner.after_fork()`` called in forked children. O(1).

    The owner is referenced weakly.
    """
    number = id(owner)

    def forget(reference: Any) -> None:
        if _owners.get(number, (0, None))[1] is reference:
            del _owners[number]

    _owners[number] = order, ref(owner, forget)
    _hook()


def in_child(function: Callable[[], object], order: int) -> None:
    """Have a function called in forked children. O(1)."""
    _functions.append((order, function))


def at_end(function: Callable[[], object]) -> None:
    """Have a function called at the end of the process. O(1).

    In a worker of `multiprocessing` it may be called more than once.
    """
    import atexit

    atexit.register(function)
    _enders.append(function)
    _hook()


def in_worker(function: Callable[[], object]) -> None:
    """Have a function called in each worker process that may be killed. O(1)."""
    _workers.append(function)
    if _is_worker:
        function()


def is_worker() -> bool:
    """Return whether this process may be killed at any moment. O(1).

    The workers of a multiprocessing.Pool, and all processes with ``daemon=True``: their parent ends them by a signal.
    False while `is_early`.
    """
    is_early()
    return _is_worker


def is_early() -> bool:
    """Return whether this process does not know yet what it is. O(1).

    A spawned child imports the main module of the program before its parent says what it is.
    """
    global _is_early
    if _is_early and not _is_inheriting():
        _is_early = False
        _begin_child()
    return _is_early


def _is_inheriting() -> bool:
    process: Any = sys.modules.get("multiprocessing.process")
    return process is not None and getattr(process.current_process(), "_inheriting", False)


def owners() -> list[str]:
    """Return what is registered now, in the order of the child. O(owners)."""
    return [getattr(owner, "__qualname__", type(owner).__qualname__) for owner, _ in _in_order()]


def _in_order() -> list[tuple[Any, Callable[[], object]]]:
    found: list[tuple[int, Any, Callable[[], object]]] = [(order, call, call) for order, call in _functions]
    for order, reference in list(_owners.values()):
        owner = reference()
        if owner is not None:
            found.append((order, owner, owner.after_fork))
    return [(owner, call) for _, owner, call in sorted(found, key=lambda each: each[0])]


# ---- a fork


def _before() -> None:
    """Let other threads complete their imports of this package.

    From then until the fork nobody can begin one: the lock of all imports is held.
    """
    locks = _module_locks()
    if locks is None:
        return
    import _imp
    from _thread import get_ident

    me = get_ident()
    before = _held_over_forks()
    for attempt in range(_ATTEMPTS):
        _imp.acquire_lock()
        ours = [locks.get(name) for name in list(locks) if name.split(".", 1)[0] in _IMPORTED]
        if not any(_is_of_another(reference, me, attempt) for reference in ours):
            break
        _imp.release_lock()
        _pause()
    else:
        _imp.acquire_lock()
    for name, lock in _held_over_forks().items():
        if name not in before:  # imported meanwhile: its own function for this was not called, the one for after it is
            lock.acquire(timeout=1.0)


def _held_over_forks() -> dict[str, Any]:
    found = {name: getattr(sys.modules.get(name), attribute, None) for name, attribute in _HELD}
    return {name: lock for name, lock in found.items() if lock is not None}


def _pause() -> None:
    """Let other threads run, without the lock of logging.

    Their imports may need it.
    """
    lock = _held_over_forks().get("logging")
    if lock is None or not getattr(lock, "_is_owned", bool)():
        sleep(_PAUSE)
        return
    state = lock._release_save()
    sleep(_PAUSE)
    lock._acquire_restore(state)


def _module_locks() -> Any:
    # not public: without it a fork beside an import is what it is in any program
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", None)
    return locks if isinstance(locks, dict) else None


def _is_of_another(reference: Any, me: int, attempt: int) -> bool:
    lock = None if reference is None else reference()
    owner = getattr(lock, "owner", None)
    if owner is None:  # about to be taken, or about to be freed: that is soon over
        return lock is not None and attempt < _SOON
    return bool(owner != me)


def _after() -> None:
    if _module_locks() is None:
        return
    import _imp

    try:
        _imp.release_lock()
    except RuntimeError:  # the interpreter has released it
        pass


def _after_in_child() -> None:
    global _is_early, _is_worker
    _after()
    _is_worker = _is_early = False
    for owner, after_fork in _in_order():
        try:
            after_fork()
        except Exception as error:  # one that fails does not keep the others from being right
            _report(owner, error)
    _hook()


def _report(owner: Any, error: Exception) -> None:
    import logging

    try:
        logging.getLogger("pydatatracker").error("%r is not usable after a fork: %s", owner, type(error).__name__)
    except Exception:  # a logging handler that raises must not end the child
        pass


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)


# ---- workers of multiprocessing


def _hook() -> None:
    """Have multiprocessing call us in its children, if the program uses it.

    A child first forgets the finalizers of its parent and then calls what is registered for after a fork: this is where
    ours are registered again. A child of the fork server imports modules before that, or later. A spawned child calls
    nothing: `is_early` looks until it knows what it is.
    """
    global _is_early, _is_hooked
    util = sys.modules.get("multiprocessing.util")
    process: Any = sys.modules.get("multiprocessing.process")
    if not hasattr(util, "register_after_fork") or process is None:
        return
    if not _is_hooked:
        _is_hooked = True
        util.register_after_fork(_begin_child, _begin_child)  # type: ignore[union-attr]
        if process.parent_process() is not None:
            _begin_child()
        _is_early = _is_inheriting()


def _begin_child(_: object = None) -> None:
    """Prepare the end of a child of multiprocessing."""
    global _is_worker
    from multiprocessing import process, util

    util.Finalize(None, _end_child, exitpriority=_LAST)
    if process.current_process().daemon:
        _is_worker = True
        for function in list(_workers):
            function()


def _end_child() -> None:
    """Call the functions of `at_end` when the last thread has ended.

    A thread of the program may go on changing data until then, so a thread of our own waits for the others;
    multiprocessing waits for that one.
    """
    import threading

    others = [
        thread
        for thread in threading.enumerate()
        if not thread.daemon and thread not in (threading.current_thread(), threading.main_thread())
    ]
    if not others:
        _end(others)
        return
    try:
        threading.Thread(target=_end, args=(others,), name="pydatatracker-end").start()
    except RuntimeError:  # no more threads
        _end([])


def _end(others: list[Any]) -> None:
    for thread in others:
        thread.join()
    for function in reversed(list(_enders)):
        try:
            function()
        except Exception as error:
            _report(function, error)
