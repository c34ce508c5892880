/* Owns: questions about the type of an object that are answered without running its code.
 * May touch: type flags and exact types.
 * Invariant: no function here raises, allocates or calls Python code. */
#ifndef PYDATATRACKER_KINDS_H
#define PYDATATRACKER_KINDS_H

#include <Python.h>

/* True for immutable scalars, which need neither a link nor a summary when they are recorded. */
static inline int pdt_plain(PyObject *o) {
    return (Py_TYPE(o)->tp_flags &
            (Py_TPFLAGS_LONG_SUBCLASS | Py_TPFLAGS_UNICODE_SUBCLASS | Py_TPFLAGS_BYTES_SUBCLASS)) ||
           o == Py_None || Py_IS_TYPE(o, &PyFloat_Type);
}

/* True for keys whose hash and comparison run no Python code. */
static inline int pdt_quiet_key(PyObject *o) {
    return PyUnicode_CheckExact(o) || PyLong_CheckExact(o) || PyBytes_CheckExact(o) || PyFloat_CheckExact(o) ||
           PyBool_Check(o) || o == Py_None;
}

static int pdt_watching = 0; /* objects that were not written for this library are watched */
static int pdt_following = 0; /* some tracked container follows the objects that are put into it */
static inline void pdt_set_watching(Py_ssize_t objects) { pdt_watching = objects > 0 || pdt_following; }
static inline void pdt_set_following(void) { pdt_following = pdt_watching = 1; }
static inline int pdt_has_weakref(PyObject *o) { return PyType_SUPPORTS_WEAKREFS(Py_TYPE(o)); }
static inline int pdt_is_gc(PyObject *o) { return PyObject_IS_GC(o); }
static inline int pdt_heap_type_of(PyTypeObject *type) { return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0; }

/* True if an object may have a tracker: its class was made in Python, or objects of other classes are watched. */
static inline int pdt_heap_type(PyObject *o) {
    return (Py_TYPE(o)->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0 || (pdt_watching && PyObject_IS_GC(o));
}

/* True for mutable builtin containers and for tuples, subclasses included. */
static inline int pdt_builtin_container(PyObject *o) {
    return (Py_TYPE(o)->tp_flags &
            (Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS | Py_TPFLAGS_DICT_SUBCLASS)) ||
           PyAnySet_Check(o) || PyByteArray_Check(o);
}

/* True if any of n items can be a tracked container. */
static inline int pdt_any_heap(PyObject **items, Py_ssize_t n) {
    PyTypeObject *seen = NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTypeObject *type = Py_TYPE(items[i]);
        if (type != seen) {
            if (type->tp_flags & Py_TPFLAGS_HEAPTYPE || (pdt_watching && PyType_IS_GC(type))) return 1;
            seen = type;
        }
    }
    return 0;
}

/* The same for the items of a list or tuple. */
static inline int pdt_any_heap_in(PyObject *sequence) {
#ifdef Py_GIL_DISABLED
    if (PyList_CheckExact(sequence)) { /* another thread may change it */
        PyObject *items = PyList_AsTuple(sequence);
        int any = items == NULL || pdt_any_heap(((PyTupleObject *)items)->ob_item, PyTuple_GET_SIZE(items));
        if (items == NULL) PyErr_Clear();
        Py_XDECREF(items);
        return any;
    }
#endif
    return PyList_Check(sequence) ? pdt_any_heap(((PyListObject *)sequence)->ob_item, PyList_GET_SIZE(sequence))
                                  : pdt_any_heap(((PyTupleObject *)sequence)->ob_item, PyTuple_GET_SIZE(sequence));
}

/* True if hashing and comparing the items of a tuple runs no Python code. */
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

/* True if changing an attribute calls the class attribute d (a property, a slot). */
static inline int pdt_data_descriptor(PyObject *d) { return Py_TYPE(d)->tp_descr_set != NULL; }

#endif
