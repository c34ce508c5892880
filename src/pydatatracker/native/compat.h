/* Owns: what differs between CPython versions. What differs between platforms is in clock.h.
 * May touch: the private C API. Other parts use only the private functions that are declared here.
 * Invariant: a new CPython version needs edits in this file only. */
#ifndef PYDATATRACKER_COMPAT_H
#define PYDATATRACKER_COMPAT_H

#include <Python.h>
#include <frameobject.h>
#include <stdint.h>
#include <string.h>

/* ---- private functions that CPython exports ---------------------------------------------------------- */
/* They hash a key once for several operations and look up attributes without raising. */
#if PY_VERSION_HEX >= 0x030D0000
PyAPI_FUNC(int) _PyDict_SetItem_KnownHash(PyObject *, PyObject *, PyObject *, Py_hash_t);
PyAPI_FUNC(int) _PyDict_DelItem_KnownHash(PyObject *, PyObject *, Py_hash_t);
#endif
PyAPI_FUNC(PyObject *) _PyDict_GetItem_KnownHash(PyObject *, PyObject *, Py_hash_t);
PyAPI_FUNC(PyObject *) _PyObject_GenericGetAttrWithDict(PyObject *, PyObject *, PyObject *, int);
PyAPI_FUNC(PyObject *) _PyType_Lookup(PyTypeObject *, PyObject *);

/* PyDict_DelItem without calling __hash__, where CPython is known to export that. */
static inline int pdt_dict_delete_hashed(PyObject *d, PyObject *key, Py_hash_t hash) {
#if PY_VERSION_HEX < 0x030E0000
    return _PyDict_DelItem_KnownHash(d, key, hash);
#else
    (void)hash;
    return PyDict_DelItem(d, key);
#endif
}

/* ---- the current thread ------------------------------------------------------------------------------ */
static inline PyThreadState *pdt_thread(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* A thread state counts the switches of its context, which is what scope.h needs. */
#if !defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030F0000
#define PDT_CONTEXT_VERSION
#endif

/* ---- the version of a class --------------------------------------------------------------------------
 * No two classes share a version tag, and changing a class gives it another one. 0: it has none now. */
static inline unsigned int pdt_class_version(PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
    return type->tp_version_tag;
}

/* ---- pausing the cycle collector ---------------------------------------------------------------------
 * Until 3.11, any allocation can start the collector, which runs Python code and can switch threads; from 3.12 on,
 * functions that check for signals can, too (PyErr_CheckSignals, which PyObject_Repr calls). Where memory is needed
 * between a change and its record, the collector is paused. */
static int pdt_gc_paused = 0; /* by us; after a fork, the thread that paused it may not be there to resume */
static inline int pdt_pause_gc(void) { int was = PyGC_Disable(); pdt_gc_paused |= was; return was; }
static inline void pdt_resume_gc(int was) { if (was) { pdt_gc_paused = 0; PyGC_Enable(); } }
static inline void pdt_forked_gc(void) { pdt_resume_gc(pdt_gc_paused); }

/* repr() of an exact builtin scalar, without the check for signals: a handler could raise, or change the container,
 * between a change and its record. */
static inline PyObject *pdt_repr(PyObject *value) { return Py_TYPE(value)->tp_repr(value); }

/* Py_EnterRecursiveCall() fails with 1, in every version. Returns -1, as all that Cython calls. */
static inline int pdt_enter_recursion(const char *where) { return Py_EnterRecursiveCall(where) ? -1 : 0; }

/* Whose repr() a value has: 'd' a dict's, 'l' a list's, 't' a tuple's, 0 another one. */
static inline int pdt_repr_kind(PyObject *value) {
    reprfunc own = Py_TYPE(value)->tp_repr;
    return own == PyDict_Type.tp_repr ? 'd' : own == PyList_Type.tp_repr ? 'l' : own == PyTuple_Type.tp_repr ? 't' : 0;
}

/* True if two arrays hold the same objects. memcmp() must not be given NULL, which is what an empty list has. */
static inline int pdt_same_items(PyObject *const *a, PyObject *const *b, Py_ssize_t n) {
    return n == 0 || memcmp(a, b, (size_t)n * sizeof(PyObject *)) == 0;
}

/* ---- dicts that the collector ignores ----------------------------------------------------------------
 * True if a dict surely holds scalars only: up to 3.13 the collector does not track such a dict. */
static inline int pdt_dict_of_scalars(PyObject *d) { return PyDict_CheckExact(d) && !PyObject_GC_IsTracked(d); }

/* ---- the elements of a set as a tuple ---------------------------------------------------------------- */
#if PY_VERSION_HEX < 0x030E0000
PyAPI_FUNC(int) _PySet_NextEntry(PyObject *, Py_ssize_t *, PyObject **, Py_hash_t *);
static PyObject *pdt_set_as_tuple(PyObject *set) {
    Py_ssize_t n, i = 0, at = 0;
    PyObject *element;
    Py_hash_t hash;
    PyObject *result;
    for (;;) { /* allocating can let another thread in */
        n = PySet_GET_SIZE(set);
        result = PyTuple_New(n);
        if (result == NULL) return NULL;
        if (n == PySet_GET_SIZE(set)) break;
        Py_DECREF(result);
    }
    while (i < n && _PySet_NextEntry(set, &at, &element, &hash)) {
        Py_INCREF(element);
        PyTuple_SET_ITEM(result, i++, element);
    }
    if (i < n) _PyTuple_Resize(&result, i); /* after a data race (CPython 3.11), a set can report more than it holds */
    return result;
}
/* True if a set holds exactly these objects, in the order of its table. */
static int pdt_set_is(PyObject *set, PyObject **seen) {
    Py_ssize_t i = 0, at = 0;
    PyObject *element;
    Py_hash_t hash;
    while (_PySet_NextEntry(set, &at, &element, &hash))
        if (seen[i++] != element) return 0;
    return 1;
}
#else
static PyObject *pdt_set_as_tuple(PyObject *set) { return PySequence_Tuple(set); }
static int pdt_set_is(PyObject *set, PyObject **seen) { (void)set, (void)seen; return 0; }
#endif

/* ---- frames as plain objects ------------------------------------------------------------------------- */
static inline PyObject *pdt_frame(void) { PyObject *f = (PyObject *)PyEval_GetFrame(); Py_XINCREF(f); return f; }
/* What identifies the running frame while it runs, without making an object of it; 0: there is none. */
static inline size_t pdt_frame_address(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return (size_t)pdt_thread()->current_frame;
#else
    return (size_t)pdt_thread()->cframe->current_frame;
#endif
}
static inline PyObject *pdt_frame_back(PyObject *f) { return (PyObject *)PyFrame_GetBack((PyFrameObject *)f); }
static inline PyObject *pdt_frame_code(PyObject *f) { return (PyObject *)PyFrame_GetCode((PyFrameObject *)f); }
static inline int pdt_frame_lasti(PyObject *f) { return PyFrame_GetLasti((PyFrameObject *)f); }

/* ---- a fault of Cython ------------------------------------------------------------------------------- */
/* Cython 3.3 (up to 3.3.1, the newest when this was written) drops an item of a list comprehension twice if there is no
 * memory to append it. With one reference more the item is never freed, which is better than freed too early. Other calls
 * of PyList_Append look the same here, and leave that reference as well. */
#if defined(CYTHON_HEX_VERSION) && CYTHON_HEX_VERSION >= 0x030300A0
static inline int pdt_list_append(PyObject *list, PyObject *item) {
    int failed = PyList_Append(list, item);
    if (failed) Py_INCREF(item);
    return failed;
}
#define PyList_Append(list, item) pdt_list_append(list, item)
#endif

#endif
