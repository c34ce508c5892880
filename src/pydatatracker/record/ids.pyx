# Owns: the ids of changes and containers, and what a fork resets.
# May touch: the counters of the process; in the child of a fork, the caches of line/line.pyx and tell/notify.pyx.
# Invariants:
#  - an id is the same from wherever a change is seen, and on both sides of a fork;
#  - numbers go on counting in the child, under a random part of its own, so no two processes give out the same id.

cdef list process_ids = [(0, 0, _os.urandom(8).hex())]     # (last seq, last number, random part) at every fork


cdef str process_part(uint64_t number, bint container):
    """Return the first half of an id: the random part of the process in which the number was given out."""
    cdef Py_ssize_t i = len(process_ids) - 1
    while i > 0 and number <= <uint64_t>(<tuple>process_ids[i])[1 if container else 0]:
        i -= 1
    return (<tuple>process_ids[i])[2]


cdef str uuid_text(uint64_t number, bint container):
    """Return the id of change or container `number`, 32 hex digits."""
    return f"{process_part(number, container)}{number | (<uint64_t>container << 63):016x}"


def any_tracked():
    """Return whether anything was tracked or watched in this process. O(1)."""
    return last_number > 0


def _forked():
    """Begin anew what belongs to one process: ids, the process id in lines, and what other threads were doing."""
    global line_pid
    line_pid = 0
    process_ids.append((last_seq, last_number, _os.urandom(8).hex()))
    forget_threads(PyThread_get_thread_ident())


def _gate_hold():
    """Keep all other threads out of the core while the process forks."""
    pdt_gate_hold()


def _gate_release():
    pdt_gate_release()


def _gate_release_in_child():
    pdt_gate_forked()
    pdt_gate_release()


if PDT_FREE_THREADED and hasattr(_os, "register_at_fork"):     # under the GIL a fork is a step of its own
    _os.register_at_fork(before=_gate_hold, after_in_parent=_gate_release, after_in_child=_gate_release_in_child)

from pydatatracker import _forks as _package_forks

_package_forks.in_child(_forked, _package_forks.CORE)
