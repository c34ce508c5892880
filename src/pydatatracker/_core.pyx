# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: binding=False, embedsignature=False, always_allow_keywords=False, auto_pickle=False
"""The compiled core: mutation hooks, trackers, the ring of records.

Record cheap, derive late. A mutation of a tracked container runs its hook (hooks/dict.pyx, list.pyx,
set.pyx, attr.pyx). The hook lets the builtin do its work and hands what changed to *one* function,
``commit`` (write/commit.pyx), which writes one record into the ring of the tree's root (record/ring.pyx).
Nothing else happens: no text, no path, no entry, unless somebody listens (tell/notify.pyx).

- The **tracker** (tree/tracker.pyx) is what a container carries. It knows its parents by counted links
  and caches its **place**, an immutable chain of (parent place, key). One global ``epoch`` rises
  whenever a tree above somebody may have moved; a tracker whose own epoch is behind makes its
  place anew before it records. So a store costs one comparison for being nested, at any depth.
- Mutation and record are one critical section: between the builtin's store and ``push`` runs no
  Python code, and for values that are not tracked containers nothing that could start the collector. Under the GIL that makes the order of the
  log the order of the changes. Where a key's own ``__eq__`` runs inside the builtin's store, the
  tracker's ``version`` and ``net`` tell whether another thread got in between.
- No reference cycles by design: container -> tracker -> parent's tracker; places point upwards;
  logs are owned by the root's tracker alone and otherwise known by weak reference. What a dying
  container leaves is cut in its ``__dealloc__``.
"""

cimport cython
from cpython.dict cimport (
    PyDict_Contains, PyDict_Copy, PyDict_GetItemWithError, PyDict_Merge, PyDict_Next, PyDict_SetItem,
)
from cpython.list cimport PyList_Append, PyList_GET_SIZE, PyList_Insert, PyList_SetSlice
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject, PyObject_Hash, PyObject_RichCompareBool, Py_EQ, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, Py_XINCREF
from cpython.set cimport PySet_Add, PySet_Contains, PySet_Discard, PySet_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

import contextvars as _contextvars
import os as _os
import sys as _sys
import weakref as _weakref


cdef extern from "native/compat.h":
    int64_t pdt_now_ns() nogil
    void pdt_clock_setup(int)
    PyObject *pdt_scope() except NULL
    void pdt_scope_changed()
    int pdt_scope_init(object) except -1
    bint pdt_plain(object)
    bint pdt_quiet_key(object)
    bint pdt_heap_type(object)
    bint pdt_builtin_container(object)
    int _PyDict_SetItem_KnownHash(object, object, object, Py_hash_t) except -1
    PyObject *_PyDict_GetItem_KnownHash(object, object, Py_hash_t) except? NULL
    PyObject *_PyObject_GenericGetAttrWithDict(object, object, PyObject *, int) except? NULL
    PyObject *_PyType_Lookup(PyTypeObject *, object)
    object pdt_dict_subscript(object, object)
    bint pdt_dict_iter(object)
    object pdt_list_subscript(object, object)
    int pdt_list_contains(object, object) except -1
    int pdt_list_ass_subscript(object, object, PyObject *) except -1
    object pdt_list_imul(object, Py_ssize_t)
    int pdt_set_contains(object, object) except -1
    object pdt_set_inplace(object, object, int)
    int pdt_init(PyTypeObject *, object, object, PyObject *) except -1
    bint pdt_same_new(object, PyTypeObject *)
    bint pdt_data_descriptor(object)
    object pdt_new(object)
    object pdt_list_as_tuple(object)
    int pdt_pause_gc()
    void pdt_resume_gc(int)
    bint pdt_known_plain(object, object)
    void pdt_remember_plain(object, object)
    bint pdt_all_quiet(object)                  # of a tuple
    bint pdt_any_heap_in(object)                # of a list or tuple
    object pdt_copy_items(object, Py_ssize_t, int *)
    bint pdt_dict_of_scalars(object)
    object pdt_set_as_tuple(object)
    int pdt_put(PyObject **, PyObject *, PyObject *, PyObject *, PyObject *, PyObject *, PyObject *, PyObject **)
    PyObject *pdt_frame()                       # new reference, or NULL
    PyObject *pdt_frame_back(PyObject *)        # new reference, or NULL
    PyObject *pdt_frame_code(PyObject *)        # new reference
    int pdt_frame_lasti(PyObject *)

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char *) except -1
    void Py_LeaveRecursiveCall()
    ctypedef struct PyListObject:
        PyObject **ob_item
    PyTypeObject PyDict_Type, PyList_Type, PySet_Type
    Py_ssize_t Py_REFCNT(PyObject *)
    PyTypeObject *Py_TYPE(object)
    bint PyUnicode_CheckExact(object)
    bint PyLong_CheckExact(object)
    bint PyDict_CheckExact(object)
    bint PyList_CheckExact(object)
    bint PyTuple_CheckExact(object)
    bint PyAnySet_CheckExact(object)
    bint PyDict_Check(object)
    bint PyList_Check(object)
    bint PySet_Check(object)
    bint PyIndex_Check(object)
    PyObject *PyExc_OverflowError
    Py_ssize_t PY_SSIZE_T_MAX
    Py_ssize_t PyDict_Size(object) except -1
    PyObject *PyList_GET_ITEM(PyObject *, Py_ssize_t)
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    Py_ssize_t PyNumber_AsSsize_t(object, PyObject *) except? -1
    object PyNumber_Index(object)
    Py_ssize_t PyLong_AsSsize_t(object) except? -1
    PyObject *PyExc_IndexError
    int PySlice_Unpack(object, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t, Py_ssize_t *, Py_ssize_t *, Py_ssize_t)
    object PySequence_List(object)
    object PyList_GetSlice(object, Py_ssize_t, Py_ssize_t)
    int PyObject_GenericSetAttr(object, object, PyObject *) except -1
    unsigned long PyThread_get_thread_ident()
    bint PySlice_Check(object)


class _Missing:
    """The value of a place that holds none: ``None`` is a value, ``MISSING`` is not."""

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
    """A locked container was asked to change; it is as it was."""


include "record/codes.pyx"

cdef uint64_t epoch = 1         # rises whenever a cached place somewhere may have become wrong
cdef uint64_t last_seq = 0      # newest change of the process
cdef uint64_t last_number = 0   # newest tracker of the process
cdef Py_ssize_t back_links = 0  # links in the process that close a cycle
cdef object process_observer = None  # told of every change in the process, or None

include "record/ring.pyx"
include "record/words.pyx"
include "tree/tracker.pyx"
include "tree/place.pyx"
include "write/commit.pyx"
include "hooks/bulk.pyx"
include "tell/notify.pyx"
include "tree/options.pyx"
include "read/access.pyx"
include "record/remember.pyx"
include "write/redact.pyx"
include "write/guard.pyx"
include "hooks/dict.pyx"
include "hooks/list.pyx"
include "hooks/set.pyx"
include "hooks/attr.pyx"
include "write/transaction.pyx"
include "hooks/restore.pyx"
include "tell/line.pyx"
