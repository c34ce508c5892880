/* What differs between platforms and interpreters, behind one small wrapper each. */
#ifndef PYDATATRACKER_NATIVE_H
#define PYDATATRACKER_NATIVE_H

#include <Python.h>
#include <frameobject.h>
#include <stdint.h>

#include "clock.h"

/* ---- the current scope (actor, context, transaction) ------------------------------------
 * PyContextVar_Get costs 4 ns on 3.11 and 14-22 ns on 3.13. The variable is private to this
 * library, so its value can change only by our own set/reset (pdt_scope_changed) or by a
 * switch of thread or context, and each of these shows in (thread id, context version). */
static PyObject *pdt_scope_var = NULL;

#if !defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030F0000
static PyObject *pdt_scope_value = NULL; /* owned */
static uint64_t pdt_scope_thread = 0;
static uint64_t pdt_scope_version = 0;

static inline PyThreadState *pdt_thread(void) {
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#else
    return _PyThreadState_UncheckedGet();
#endif
}

static PyObject *pdt_scope_miss(PyThreadState *ts) {
    PyObject *value = NULL;
    if (PyContextVar_Get(pdt_scope_var, Py_None, &value) < 0) return NULL;
    PyObject *before = pdt_scope_value;
    pdt_scope_value = value;
    pdt_scope_thread = ts->id;
    pdt_scope_version = ts->context_ver;
    Py_XDECREF(before);
    return value;
}

/* Borrowed: good until user code can run. */
static inline PyObject *pdt_scope(void) {
    PyThreadState *ts = pdt_thread();
    if (pdt_scope_value != NULL && ts->id == pdt_scope_thread && ts->context_ver == pdt_scope_version)
        return pdt_scope_value;
    return pdt_scope_miss(ts);
}

static inline void pdt_scope_changed(void) { Py_CLEAR(pdt_scope_value); }
#else
static inline PyObject *pdt_scope(void) {
    PyObject *value = NULL;
    if (PyContextVar_Get(pdt_scope_var, Py_None, &value) < 0) return NULL;
    Py_DECREF(value); /* the context keeps it */
    return value;
}
static inline void pdt_scope_changed(void) {}
#endif

static int pdt_scope_init(PyObject *var) {
    Py_INCREF(var);
    pdt_scope_var = var;
    return 0;
}

/* ---- what kind of object is this, without running its code ------------------------------ */
/* 1 for the immutable scalars that need neither a link nor words when they are recorded. */
static inline int pdt_plain(PyObject *o) {
    return (Py_TYPE(o)->tp_flags &
            (Py_TPFLAGS_LONG_SUBCLASS | Py_TPFLAGS_UNICODE_SUBCLASS | Py_TPFLAGS_BYTES_SUBCLASS)) ||
           o == Py_None || Py_IS_TYPE(o, &PyFloat_Type);
}

/* Keys whose hash and comparison run no Python code. */
static inline int pdt_quiet_key(PyObject *o) {
    return PyUnicode_CheckExact(o) || PyLong_CheckExact(o) || PyBytes_CheckExact(o) || PyFloat_CheckExact(o) ||
           PyBool_Check(o) || o == Py_None;
}

static inline int pdt_heap_type(PyObject *o) {
    return (Py_TYPE(o)->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
}

static inline int pdt_builtin_container(PyObject *o) {
    return (Py_TYPE(o)->tp_flags &
            (Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS | Py_TPFLAGS_DICT_SUBCLASS)) ||
           PyAnySet_Check(o) || PyByteArray_Check(o);
}

/* ---- no collector between the builtin's store and the record ---------------------------------
 * Until 3.11 an allocation can start the collector, and so Python code, and so another thread. Where a record
 * needs memory before it can be written, the collector waits. From 3.12 on it runs between instructions only. */
#if PY_VERSION_HEX < 0x030C0000
static inline int pdt_pause_gc(void) { return PyGC_Disable(); }
static inline void pdt_resume_gc(int was) { if (was) PyGC_Enable(); }
#else
static inline int pdt_pause_gc(void) { return 0; }
static inline void pdt_resume_gc(int was) { (void)was; }
#endif

/* 1 if any item's class was made in Python: only such an item can be a tracked container. */
static inline int pdt_any_heap(PyObject **items, Py_ssize_t n) {
    PyTypeObject *seen = NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTypeObject *type = Py_TYPE(items[i]);
        if (type != seen) {
            if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) return 1;
            seen = type;
        }
    }
    return 0;
}

static inline int pdt_any_heap_in(PyObject *sequence) {
    return PyList_Check(sequence) ? pdt_any_heap(((PyListObject *)sequence)->ob_item, PyList_GET_SIZE(sequence))
                                  : pdt_any_heap(((PyTupleObject *)sequence)->ob_item, PyTuple_GET_SIZE(sequence));
}

/* 1 if no item's hash or comparison runs Python code. */
static inline int pdt_all_quiet(PyObject *tuple) {
    PyTypeObject *seen = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *item = PyTuple_GET_ITEM(tuple, i);
        if (Py_TYPE(item) != seen) {
            if (!pdt_quiet_key(item)) return 0;
            seen = Py_TYPE(item);
        }
    }
    return 1;
}

/* The items of a list as a tuple. PyList_AsTuple reads the list's address before it takes memory, and until 3.11 that
 * can start the collector, Python code, and another thread that moves the list. */
static PyObject *pdt_list_as_tuple(PyObject *list) {
    int gc = pdt_pause_gc();
    PyObject *result = PyList_AsTuple(list);
    pdt_resume_gc(gc);
    return result;
}

/* A list of items[:n]; *heap as pdt_any_heap, found in the same pass, as memory is what it costs. */
static PyObject *pdt_copy_items(PyObject *list, Py_ssize_t n, int *heap) {
    PyObject *copy;
    PyTypeObject *seen = NULL;
    *heap = 0;
    for (;;) { /* taking memory can let another thread in */
        copy = PyList_New(n);
        if (copy == NULL) return NULL;
        if (n <= PyList_GET_SIZE(list)) break;
        n = PyList_GET_SIZE(list);
        Py_DECREF(copy);
    }
    PyObject **items = ((PyListObject *)list)->ob_item;
    PyObject **to = ((PyListObject *)copy)->ob_item;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = items[i];
        PyTypeObject *type = Py_TYPE(item);
        if (type != seen) {
            if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) *heap = 1;
            seen = type;
        }
        Py_INCREF(item);
        to[i] = item;
    }
    return copy;
}

/* 1 if a dict may hold more than scalars; the collector does not track those that do not (3.13 and older). */
static inline int pdt_dict_of_scalars(PyObject *d) { return PyDict_CheckExact(d) && !PyObject_GC_IsTracked(d); }

/* All elements of a set as a tuple. */
#if PY_VERSION_HEX < 0x030E0000
PyAPI_FUNC(int) _PySet_NextEntry(PyObject *, Py_ssize_t *, PyObject **, Py_hash_t *);
static PyObject *pdt_set_as_tuple(PyObject *set) {
    Py_ssize_t n, i = 0, at = 0;
    PyObject *element;
    Py_hash_t hash;
    PyObject *result;
    for (;;) { /* taking memory can let another thread in */
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
    if (i < n) _PyTuple_Resize(&result, i); /* a set that threads broke (CPython 3.11) says more than it holds */
    return result;
}
#else
static PyObject *pdt_set_as_tuple(PyObject *set) { return PySequence_Tuple(set); }
#endif

/* ---- the references of one record ----------------------------------------------------------
 * Most are what the place held before (same place, scope, no extra): those are not touched. What is
 * displaced is handed back, as dropping it can run user code and the record must stand first. */
static inline int pdt_put(PyObject **at, PyObject *place, PyObject *key, PyObject *before, PyObject *after,
                          PyObject *scope, PyObject *extra, PyObject **gone) {
    int n = 0;
#define PDT_PUT(i, value) \
    if (at[i] != (value)) { Py_INCREF(value); gone[n++] = at[i]; at[i] = (value); }
    PDT_PUT(0, place)
    PDT_PUT(1, key)
    PDT_PUT(2, before)
    PDT_PUT(3, after)
    PDT_PUT(4, scope)
    PDT_PUT(5, extra)
#undef PDT_PUT
    return n;
}

/* ---- frames as plain objects -------------------------------------------------------------- */
static inline PyObject *pdt_frame(void) { PyObject *f = (PyObject *)PyEval_GetFrame(); Py_XINCREF(f); return f; }
static inline PyObject *pdt_frame_back(PyObject *f) { return (PyObject *)PyFrame_GetBack((PyFrameObject *)f); }
static inline PyObject *pdt_frame_code(PyObject *f) { return (PyObject *)PyFrame_GetCode((PyFrameObject *)f); }
static inline int pdt_frame_lasti(PyObject *f) { return PyFrame_GetLasti((PyFrameObject *)f); }

/* ---- a key is hashed once --------------------------------------------------------------- */
#if PY_VERSION_HEX >= 0x030D0000
PyAPI_FUNC(int) _PyDict_SetItem_KnownHash(PyObject *, PyObject *, PyObject *, Py_hash_t);
#endif
PyAPI_FUNC(PyObject *) _PyDict_GetItem_KnownHash(PyObject *, PyObject *, Py_hash_t);
PyAPI_FUNC(PyObject *) _PyObject_GenericGetAttrWithDict(PyObject *, PyObject *, PyObject *, int);
PyAPI_FUNC(PyObject *) _PyType_Lookup(PyTypeObject *, PyObject *);

/* ---- names that are plain public attributes ------------------------------------------------
 * Whether class and name make a tracked attribute that lives in the instance, with nothing of that name in
 * the class: found once and remembered as long as the class has the same version tag, which no two
 * classes share. A name is kept alive by its entry, so that its address stays its own. */
#define PDT_PLAIN_NAMES 512
static struct { unsigned int version; PyObject *name; } pdt_plain_names[PDT_PLAIN_NAMES];

static inline unsigned int pdt_class_version(PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
    return type->tp_version_tag;
}

static inline int pdt_plain_slot(unsigned int version, PyObject *name) {
    return (int)((version * 31u + (unsigned int)((uintptr_t)name >> 4)) % PDT_PLAIN_NAMES);
}

static inline int pdt_known_plain(PyObject *self, PyObject *name) {
#ifdef Py_GIL_DISABLED
    return 0;
#else
    unsigned int version = pdt_class_version(Py_TYPE(self));
    int i = pdt_plain_slot(version, name);
    return version != 0 && pdt_plain_names[i].version == version && pdt_plain_names[i].name == name;
#endif
}

static inline void pdt_remember_plain(PyObject *self, PyObject *name) {
#ifndef Py_GIL_DISABLED
    unsigned int version = pdt_class_version(Py_TYPE(self));
    if (version == 0) return;
    int i = pdt_plain_slot(version, name);
    PyObject *gone = pdt_plain_names[i].name;
    Py_INCREF(name);
    pdt_plain_names[i].version = version;
    pdt_plain_names[i].name = name;
    Py_XDECREF(gone); /* an exact str */
#endif
}

/* ---- a new instance, without the look-up of __new__ ---------------------------------------- */
static PyObject *pdt_no_args = NULL;
static inline PyObject *pdt_new(PyObject *cls) {
    if (pdt_no_args == NULL && (pdt_no_args = PyTuple_New(0)) == NULL) return NULL;
    return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, pdt_no_args, NULL);
}

/* ---- the builtins' own slots, under the hooks ------------------------------------------- */
static inline PyObject *pdt_dict_subscript(PyObject *d, PyObject *k) { return PyDict_Type.tp_as_mapping->mp_subscript(d, k); }
static inline int pdt_dict_iter(PyObject *d) { return Py_TYPE(d)->tp_iter == PyDict_Type.tp_iter; }
static inline PyObject *pdt_list_subscript(PyObject *l, PyObject *k) {
    if (PyLong_CheckExact(k)) {
        Py_ssize_t i = PyLong_AsSsize_t(k);
        if (i == -1 && PyErr_Occurred()) { PyErr_Clear(); return PyList_Type.tp_as_mapping->mp_subscript(l, k); }
        if (i < 0) i += PyList_GET_SIZE(l);
        if (i >= 0 && i < PyList_GET_SIZE(l)) { PyObject *v = PyList_GET_ITEM(l, i); Py_INCREF(v); return v; }
    }
    return PyList_Type.tp_as_mapping->mp_subscript(l, k);
}
static inline int pdt_list_contains(PyObject *l, PyObject *v) { return PyList_Type.tp_as_sequence->sq_contains(l, v); }
static inline int pdt_list_ass_subscript(PyObject *l, PyObject *k, PyObject *v) { return PyList_Type.tp_as_mapping->mp_ass_subscript(l, k, v); }
static inline PyObject *pdt_list_imul(PyObject *l, Py_ssize_t n) { return PyList_Type.tp_as_sequence->sq_inplace_repeat(l, n); }
static inline int pdt_set_contains(PyObject *s, PyObject *v) { return PySet_Type.tp_as_sequence->sq_contains(s, v); }
static inline PyObject *pdt_set_inplace(PyObject *s, PyObject *o, int which) {
    PyNumberMethods *m = PySet_Type.tp_as_number;
    switch (which) {
        case 0: return m->nb_inplace_or(s, o);
        case 1: return m->nb_inplace_and(s, o);
        case 2: return m->nb_inplace_subtract(s, o);
        default: return m->nb_inplace_xor(s, o);
    }
}
static inline int pdt_init(PyTypeObject *base, PyObject *self, PyObject *args, PyObject *kw) { return base->tp_init(self, args, kw); }
static inline int pdt_same_new(PyObject *self, PyTypeObject *base) { return Py_TYPE(self)->tp_new == base->tp_new; }
static inline int pdt_data_descriptor(PyObject *d) { return Py_TYPE(d)->tp_descr_set != NULL; }

#endif
