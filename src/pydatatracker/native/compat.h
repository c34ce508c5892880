/* Owns: what differs between CPython versions. What differs between platforms is in clock.h.
 * May touch: the private C API. Other parts use only the private functions that are declared here.
 * Invariant: a new CPython version needs edits in this file only. */
#ifndef PYDATATRACKER_COMPAT_H
#define PYDATATRACKER_COMPAT_H

#include <Python.h>
#include <frameobject.h>
#include <stdint.h>
#include <string.h>

#include "gate.h"

/* ---- which functions are used ------------------------------------------------------------------------ */
/* Private names are used on the versions that the tests run on. Built with PDT_PUBLIC_API_ONLY, which newer and
 * free-threaded versions are by default (PDT_PRIVATE_API says otherwise), the core does without them: all work but `watch`, some is slower, and a
 * dict does not say where a removed key was. docs/design.md has the table. */
#if (PY_VERSION_HEX >= 0x030E0000 || defined(Py_GIL_DISABLED)) && !defined(PDT_PRIVATE_API) && !defined(PDT_PUBLIC_API_ONLY)
#define PDT_PUBLIC_API_ONLY
#endif
#ifdef PDT_PUBLIC_API_ONLY
enum { PDT_IS_PUBLIC = 1 };
#else
enum { PDT_IS_PUBLIC = 0 };
#endif

/* ---- dicts, attributes and types, by a key whose hash is known ---------------------------------------- */
#ifndef PDT_PUBLIC_API_ONLY
#if PY_VERSION_HEX >= 0x030D0000
PyAPI_FUNC(int) _PyDict_SetItem_KnownHash(PyObject *, PyObject *, PyObject *, Py_hash_t);
PyAPI_FUNC(int) _PyDict_DelItem_KnownHash(PyObject *, PyObject *, Py_hash_t);
#endif
PyAPI_FUNC(PyObject *) _PyDict_GetItem_KnownHash(PyObject *, PyObject *, Py_hash_t);
PyAPI_FUNC(PyObject *) _PyObject_GenericGetAttrWithDict(PyObject *, PyObject *, PyObject *, int);
PyAPI_FUNC(PyObject *) _PyType_Lookup(PyTypeObject *, PyObject *);

/* The value of a key (borrowed); NULL, without an error, if there is none. */
static inline PyObject *pdt_dict_get_hashed(PyObject *d, PyObject *key, Py_hash_t hash) {
    return _PyDict_GetItem_KnownHash(d, key, hash);
}
static inline int pdt_dict_set_hashed(PyObject *d, PyObject *key, PyObject *value, Py_hash_t hash) {
    return _PyDict_SetItem_KnownHash(d, key, value, hash);
}
static inline int pdt_dict_delete_hashed(PyObject *d, PyObject *key, Py_hash_t hash) {
    return _PyDict_DelItem_KnownHash(d, key, hash);
}
/* What object.__getattribute__ finds; NULL, without an error, if that is nothing. */
static inline PyObject *pdt_generic_get(PyObject *o, PyObject *name) {
    return _PyObject_GenericGetAttrWithDict(o, name, NULL, 1);
}
/* What a class or one of its bases has under a name (borrowed); NULL, without an error, if that is nothing. */
static inline PyObject *pdt_type_lookup(PyTypeObject *type, PyObject *name) { return _PyType_Lookup(type, name); }
#else
static inline PyObject *pdt_dict_get_hashed(PyObject *d, PyObject *key, Py_hash_t hash) {
    (void)hash;
    return PyDict_GetItemWithError(d, key);
}
static inline int pdt_dict_set_hashed(PyObject *d, PyObject *key, PyObject *value, Py_hash_t hash) {
    (void)hash;
    return PyDict_SetItem(d, key, value);
}
static inline int pdt_dict_delete_hashed(PyObject *d, PyObject *key, Py_hash_t hash) {
    (void)hash;
    return PyDict_DelItem(d, key);
}
static inline PyObject *pdt_generic_get(PyObject *o, PyObject *name) {
    PyObject *found = PyObject_GenericGetAttr(o, name);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return found;
}
static PyObject *pdt_type_lookup(PyTypeObject *type, PyObject *name) {
    PyObject *bases = type->tp_mro, *found = NULL;
    Py_ssize_t i;
    for (i = 0; found == NULL && bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
#if PY_VERSION_HEX >= 0x030C0000
        PyObject *names = PyType_GetDict(base);
        if (names == NULL) continue;
        found = PyDict_GetItemWithError(names, name); /* the class has it, too */
        Py_DECREF(names);
#else
        if (base->tp_dict != NULL) found = PyDict_GetItemWithError(base->tp_dict, name);
#endif
        if (found == NULL) PyErr_Clear();
    }
    return found;
}
#endif

/* ---- the current thread ------------------------------------------------------------------------------ */
static inline PyThreadState *pdt_thread(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#elif defined(PDT_PUBLIC_API_ONLY)
    return PyThreadState_Get();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

/* A thread state counts the switches of its context, which is what scope.h needs. */
#if !defined(Py_GIL_DISABLED) && !defined(PDT_PUBLIC_API_ONLY)
#define PDT_CONTEXT_VERSION
#endif

/* ---- the version of a class --------------------------------------------------------------------------
 * No two classes share a version tag, and changing a class gives it another one. 0: it has none now. */
static inline unsigned int pdt_class_version(PyTypeObject *type) {
#ifdef PDT_PUBLIC_API_ONLY
    (void)type;
    return 0;
#else
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
    return type->tp_version_tag;
#endif
}

/* ---- pausing the cycle collector ---------------------------------------------------------------------
 * Until 3.11, any allocation can start the collector, which runs Python code and can switch threads; from 3.12 on,
 * functions that check for signals can, too (PyErr_CheckSignals, which PyObject_Repr calls). Where memory is needed
 * between a change and its record, the collector is paused. */
static int pdt_gc_paused = 0; /* by us; after a fork, the thread that paused it may not be there to resume */
#ifdef Py_GIL_DISABLED
/* A thread that paused it can let others in, so they are counted. Whoever has the lock of the core counts. */
static int pdt_gc_pauses = 0;
static inline int pdt_pause_gc(void) {
    if (pdt_gc_pauses++ == 0) pdt_gc_paused = PyGC_Disable();
    return 1;
}
static inline void pdt_resume_gc(int was) {
    if (was && pdt_gc_pauses > 0 && --pdt_gc_pauses == 0 && pdt_gc_paused) PyGC_Enable();
}
static inline void pdt_forked_gc(void) {
    if (pdt_gc_pauses > 0 && pdt_gc_paused) PyGC_Enable();
    pdt_gc_pauses = pdt_gc_paused = 0;
}
#else
static inline int pdt_pause_gc(void) { int was = PyGC_Disable(); pdt_gc_paused |= was; return was; }
static inline void pdt_resume_gc(int was) { if (was) { pdt_gc_paused = 0; PyGC_Enable(); } }
static inline void pdt_forked_gc(void) { pdt_resume_gc(pdt_gc_paused); }
#endif

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

/* ---- dicts of scalars --------------------------------------------------------------------------------
 * True if a dict surely holds scalars only. Up to 3.13 the collector does not track such a dict: O(1). Else O(items). */
#ifndef PDT_PUBLIC_API_ONLY
static inline int pdt_dict_of_scalars(PyObject *d) { return PyDict_CheckExact(d) && !PyObject_GC_IsTracked(d); }
#else
static inline int pdt_is_scalar(PyObject *o) {
    return o == Py_None || PyUnicode_CheckExact(o) || PyLong_CheckExact(o) || PyFloat_CheckExact(o) || PyBool_Check(o) ||
        PyBytes_CheckExact(o);
}
static int pdt_dict_of_scalars(PyObject *d) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int only = PyDict_CheckExact(d);
    if (!only) return 0;
#ifdef Py_GIL_DISABLED
    Py_BEGIN_CRITICAL_SECTION(d);
#endif
    while (only && PyDict_Next(d, &at, &key, &value)) only = pdt_is_scalar(key) && pdt_is_scalar(value);
#ifdef Py_GIL_DISABLED
    Py_END_CRITICAL_SECTION();
#endif
    return only;
}
#endif

/* ---- the elements of a set as a tuple ---------------------------------------------------------------- */
#ifndef PDT_PUBLIC_API_ONLY
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
static PyObject *pdt_set_as_tuple(PyObject *set) { /* whatever a class below set does in __iter__ */
    PyObject *elements, *result = NULL;
#ifdef Py_GIL_DISABLED
    if ((set = PySet_New(set)) == NULL) return NULL; /* others may change it: a copy is one step */
#endif
    if ((elements = PySet_Type.tp_iter(set)) != NULL) result = PySequence_Tuple(elements);
    Py_XDECREF(elements);
#ifdef Py_GIL_DISABLED
    Py_DECREF(set);
#endif
    return result;
}
static int pdt_set_is(PyObject *set, PyObject **seen) { (void)set, (void)seen; return 0; }
#endif

/* ---- frames as plain objects ------------------------------------------------------------------------- */
static inline PyObject *pdt_frame(void) { PyObject *f = (PyObject *)PyEval_GetFrame(); Py_XINCREF(f); return f; }
/* What identifies the running frame while it runs, without making an object of it; 0: there is none. */
static inline size_t pdt_frame_address(void) {
#if defined(PDT_PUBLIC_API_ONLY)
    return (size_t)PyEval_GetFrame(); /* makes the object */
#elif PY_VERSION_HEX >= 0x030D0000
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
