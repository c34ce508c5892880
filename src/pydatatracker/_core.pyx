# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: binding=False, embedsignature=False, always_allow_keywords=False, auto_pickle=False
# cython: freethreading_compatible=True
"""The compiled core: mutation hooks, trackers and the ring of records.

Record cheaply, derive later. Changing a tracked container runs its hook (hooks/dict.pyx, list.pyx,
set.pyx, attr.pyx). The hook lets the builtin do its work and passes what changed to one function,
``commit`` (write/commit.pyx), which writes one record into the ring of the tree's root
(record/ring.pyx). Everything else is built when an observer listens (tell/notify.pyx) or somebody
reads it (read/), except a short text of a value that can change later, and the frames of a stack.

- Every container has a **tracker** (tree/tracker.pyx). It knows its parents by links, each with the
  number of slots that hold the child (tree/links.pyx), and caches its **place** (tree/place.pyx): an
  immutable chain of (parent place, key). A global counter, ``epoch``, rises whenever options or flags
  of some container may have changed; if a container moves, it and what was found below it lose their
  epoch. A tracker whose epoch is older brings these up to date before it records. So nesting costs a
  store one comparison, at any depth, and what moves costs nothing elsewhere.
- Changing and recording is one critical section: between the builtin's store and ``push`` no Python
  code runs, except a guard (``tracking_break(..., do="raise")``) and a function that was given as
  ``tracking_redact``. Storing a plain value allocates nothing that could start the cycle collector.
  Under the GIL, the order of the log is therefore the order of the changes. If a
  key's own ``__eq__`` runs inside the builtin's store, ``version`` and ``net`` of the tracker show
  whether another thread changed the container meanwhile.
- There are no reference cycles by design: a container refers to its tracker, a tracker to its
  parents' trackers, and places refer upwards. A tracker owns a log if it is a root or was one;
  everything else refers to the log weakly. No cycle leads through a container, so a container dies by
  reference counting; its ``__dealloc__`` then cuts the cycles between tracker, place and log.

The folders, in the order in which a change passes through them: hooks/ notices it, tree/ knows where the container
is, write/ turns it into a record, record/ stores records, tell/ notifies observers, line/ writes lines,
read/ answers queries. native/ is the C below. Every part begins with what it owns, what it may touch
and its invariants; _core.pxd lists the structures with the reason for each field. The C API that
Cython lacks is declared in cpython.pxd, native/ in native.pxd, and what the core calls of the package
in connect.pyx.

Owns: MISSING, TrackingLockedError and the counters of the process. May touch: nothing else.
Invariant: a part is included once, and its module-level statements use only what is included above it.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport (
    PyDict_Contains, PyDict_Copy, PyDict_DelItem, PyDict_GetItemWithError, PyDict_Merge, PyDict_Next, PyDict_SetItem,
)
from cpython.list cimport PyList_Append, PyList_GET_SIZE, PyList_Insert, PyList_SetItem, PyList_SetSlice
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.method cimport PyMethod_Check
from cpython.object cimport PyObject, PyObject_Hash, PyObject_RichCompareBool, Py_EQ, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.set cimport PySet_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from pydatatracker.cpython cimport (
    PY_SSIZE_T_MAX, PyObject_GC_Track, PyObject_GC_UnTrack, call_or_null, PyODict_DelItem, PyODict_SetItem, PyAnySet_Check, PyAnySet_CheckExact, PyBytes_AS_STRING, PyErr_Clear, PyErr_Fetch, PyErr_Occurred, PyErr_Restore, PyEval_GetGlobals, PyDict_Check, PyDict_CheckExact, PyDict_Size, PyDict_Type, PyExc_IndexError, PyExc_OverflowError, PyFloat_CheckExact,
    PyIndex_Check, PyList_Check, PyList_CheckExact, PyList_GET_ITEM, PyList_GetSlice, PyList_Type, PyListObject,
    PyLong_AsSsize_t, PyLong_CheckExact, PyNumber_AsSsize_t, PyNumber_Index, PyObject_GenericSetAttr, PySet_Check,
    PySet_Type, PyWeakref_NewRef, PySlice_AdjustIndices, PySlice_Check, PySlice_Unpack, PyThread_get_thread_ident, PyTuple_CheckExact, PyTupleObject,
    PyUnicode_CheckExact, PyUnicode_GET_LENGTH, PyUnicode_READ_CHAR, Py_LeaveRecursiveCall,
    Py_REFCNT, Py_ReprEnter, Py_ReprLeave, Py_TYPE, PyErr_ExceptionMatches, PyErr_WriteUnraisable, PyType_GetName, PyType_IsSubtype,
)
from pydatatracker.native cimport (
    PDT_FREE_THREADED, pdt_can_pin, pdt_enter, pdt_gate_all, pdt_gate_forked, pdt_gate_hold, pdt_gate_release, pdt_leave, pdt_pin,
    pdt_can_hear, pdt_hear_member, pdt_hear_reuse, pdt_stays_heard, pdt_unhear_member, pdt_unhear_reuse,
    pdt_births_begin, pdt_complete_at_birth, pdt_end_births, pdt_is_simple, pdt_report_births,
    PDT_ADDED, PDT_CLEARED, PDT_CLONED, PDT_DEALLOCATED, PDT_DELETED, PDT_MODIFIED, pdt_begin_watching, pdt_call_soon,
    pdt_dict_delete_hashed, pdt_hashes, pdt_set_add_hashed, pdt_set_discard_hashed, pdt_set_swap,
    pdt_dict_of, pdt_end_watching, pdt_entry, pdt_eq_is_quiet, pdt_has_dict, pdt_has_weakref, pdt_hash_at, pdt_hash_is_quiet, pdt_heap_type_of, pdt_is_gc, pdt_own_dict,
    pdt_following, pdt_set_following, PDT_CAN_WATCH, PDT_IS_PUBLIC, pdt_set_is, pdt_set_watching, pdt_slot, pdt_spot_at, pdt_spot_of, pdt_unwatch_dict, pdt_watch_dict, pdt_watched_all,
    pdt_position_of_same, pdt_value_of_same, pdt_watched_count, pdt_watched_find, pdt_watched_put, pdt_watched_take, pdt_watching,
    pdt_dict_get_hashed, pdt_dict_set_hashed, pdt_generic_get, pdt_type_lookup, PDT_AFTER,
    PDT_BEFORE, PDT_DEFAULT, PDT_DEQUE, PDT_NO_TWIN, PDT_ORDERED, PDT_FIRST, PDT_LAST, pdt_all_quiet, pdt_any_heap_in, pdt_append_none, pdt_bound_freeing, pdt_clear_as_base,
    pdt_builtin_container, pdt_clock_setup, pdt_context, pdt_copy_items, pdt_steady, pdt_data_descriptor, pdt_dict_iter,
    pdt_dict_of_scalars, pdt_dict_setdefault, pdt_dict_subscript, pdt_forked_gc, pdt_frame, pdt_frame_back,
    pdt_frame_code, pdt_frame_address, pdt_frame_lasti, pdt_heap_type, pdt_init, pdt_json_is_deeper, pdt_json_lines,
    pdt_append, pdt_is_due, pdt_may_name_secret, pdt_known_plain, pdt_list_as_tuple, pdt_list_ass_subscript, pdt_list_contains, pdt_list_reserve, pdt_list_subscript,
    pdt_attribute_in, pdt_new, pdt_no_memory, pdt_now_ns, pdt_only_str_keys, pdt_out, pdt_out_begin, pdt_out_bytes, pdt_out_end, pdt_out_hex,
    pdt_out_int, pdt_out_literal, pdt_out_scalar, pdt_out_str, pdt_out_time, pdt_pause_gc, pdt_plain, pdt_put,
    pdt_quiet_key, pdt_remember_plain, pdt_repr, pdt_repr_kind, pdt_enter_recursion, pdt_same_items, pdt_resume_gc, pdt_same_new, pdt_arguments, pdt_makes_as, pdt_is_unshared, pdt_take_error, pdt_call_type, pdt_make_with, PyVectorcall_NARGS, pdt_scope, pdt_scope_changed, pdt_scope_init,
    pdt_scope_is, pdt_scope_or_null, pdt_scope_set, pdt_scope_unknown, pdt_scopes_over, pdt_set_add, pdt_set_as_tuple, pdt_set_contains, pdt_spot,
    pdt_has_sha256, pdt_sha256, pdt_sha256_add, pdt_sha256_begin, pdt_sha256_end, pdt_sha256_setup,
    pdt_spot_find, pdt_spot_gap, pdt_stored_element, pdt_stored_key, pdt_twin, pdt_twin_in, pdt_twin_of_dict, pdt_is_deque,
    pdt_twin_stores, pdt_twin_base, pdt_twin_hook, pdt_make_twin, pdt_twin_init, pdt_deque_item, pdt_deque_ass_item,
    pdt_deque_size, PyType_Slot,
)

import builtins as _builtins
import collections as _collections
import contextvars as _contextvars
import copyreg as _copyreg
import gc as _gc
import os as _os
import sys as _sys
import weakref as _weakref
from collections import OrderedDict as _OrderedDict
from types import MappingProxyType as _MappingProxyType


class _Missing:
    """Stands for "no value": ``None`` is a value, ``MISSING`` is not."""

    __slots__ = ()

    def __new__(cls):
        return MISSING if MISSING is not None else object.__new__(cls)

    def __repr__(self):
        return "MISSING"

    def __bool__(self):
        return False

    def __reduce__(self):
        return "MISSING"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


_Missing.__name__ = _Missing.__qualname__ = "MissingType"
cdef object missing = None
MISSING = None
MISSING = missing = _Missing()


class TrackingLockedError(RuntimeError):
    """Raised when a locked container is changed. The container stays as it was."""


PUBLIC_API_ONLY = PDT_IS_PUBLIC != 0     # built without private names of CPython: see native/compat.h

include "record/codes.pyx"

cdef uint64_t epoch = 1                 # rises when path, log, options or flags of a container may have changed
cdef uint64_t last_seq = 0              # seq of the newest change in the process
cdef uint64_t last_number = 0           # number of the newest tracker in the process
cdef uint64_t moves = 0                 # rises when places below some container may have changed
cdef uint64_t places_found = 0          # how often a place was found or looked over, which tests count
cdef object process_observer = None     # called with every change in the process, or None
cdef Feed process_feed = None           # takes most of them without that call, or None

include "connect.pyx"
include "record/scope.pyx"
include "record/block.pyx"
include "record/ring.pyx"
include "record/summary.pyx"
include "record/key.pyx"
include "record/ids.pyx"
include "record/change.pyx"
include "record/remember.pyx"
include "tree/options.pyx"
include "tree/tracker.pyx"
include "tree/links.pyx"
include "tree/cycles.pyx"
include "tree/place.pyx"
include "tree/convert.pyx"
include "write/commit.pyx"
include "write/later.pyx"
include "write/stack.pyx"
include "write/rules.pyx"
include "write/inside.pyx"
include "write/redact.pyx"
include "write/guard.pyx"
include "write/lock.pyx"
include "write/undone.pyx"
include "write/transaction.pyx"
include "hooks/hook.pyx"
include "hooks/bulk.pyx"
include "hooks/dict.pyx"
include "hooks/list.pyx"
include "hooks/set.pyx"
include "hooks/making.pyx"
include "hooks/attr.pyx"
include "hooks/twins.pyx"
include "hooks/deque.pyx"
include "watch/node.pyx"
include "watch/walk.pyx"
include "watch/keep.pyx"
include "watch/compare.pyx"
include "watch/slots.pyx"
include "watch/doubt.pyx"
include "watch/event.pyx"
include "watch/births.pyx"
include "watch/handle.pyx"
include "watch/adopt.pyx"
include "watch/untracked.pyx"
include "hooks/restore.pyx"
include "hooks/rebuild.pyx"
include "tree/freeing.pyx"
include "read/query.pyx"
include "read/shown.pyx"
include "read/text.pyx"
include "read/elsewhere.pyx"
include "read/replay.pyx"
include "read/facade.pyx"
include "read/json_depth.pyx"
include "write/undo.pyx"
include "line/value.pyx"
include "line/place.pyx"
include "line/words.pyx"
include "line/stack.pyx"
include "line/line.pyx"
include "tell/registry.pyx"
include "tell/notify.pyx"
include "tell/collect.pyx"
include "tell/seal.pyx"
include "tell/append.pyx"
include "tell/intake.pyx"

pdt_gate_all(globals())                  # the last statement: nothing is there that others could call without
