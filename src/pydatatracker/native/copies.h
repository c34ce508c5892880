/* Owns: copies of a list's items that stay right if another thread changes the list meanwhile.
 * May touch: the item arrays of lists.
 * Invariant: nothing runs Python code between reading the length and copying the items. */
#ifndef PYDATATRACKER_COPIES_H
#define PYDATATRACKER_COPIES_H

#include "compat.h"
#include "kinds.h"

/* Return the items of a list as a tuple. PyList_AsTuple reads the list's address before it allocates, and until
 * 3.11 an allocation can start the collector, Python code, and another thread that moves the list. */
static PyObject *pdt_list_as_tuple(PyObject *list) {
    int gc = pdt_pause_gc();
    PyObject *result = PyList_AsTuple(list);
    pdt_resume_gc(gc);
    return result;
}

/* A plain dict or list as it is now, to go through it: itself, but for a free-threaded CPython, where others can change it
 * meanwhile, a copy. */
static inline PyObject *pdt_steady(PyObject *o) {
#ifdef Py_GIL_DISABLED
    PyObject *copy = NULL;
    if (PyDict_CheckExact(o)) copy = PyDict_Copy(o);
    else if (PyList_CheckExact(o)) copy = PyList_GetSlice(o, 0, PY_SSIZE_T_MAX);
    if (copy != NULL) return copy;
    PyErr_Clear(); /* no memory: as it is */
#endif
    Py_INCREF(o);
    return o;
}

/* Return the first n items of a list as a new list; *heap as pdt_any_heap. Both happen in one pass, because reading
 * the items from memory is what costs. */
static PyObject *pdt_copy_items(PyObject *list, Py_ssize_t n, int *heap) {
    PyObject *copy;
#ifdef Py_GIL_DISABLED
    copy = PyList_GetSlice(list, 0, n);
    *heap = copy != NULL && pdt_any_heap(((PyListObject *)copy)->ob_item, PyList_GET_SIZE(copy));
#else
    PyTypeObject *seen = NULL;
    *heap = 0;
    for (;;) { /* allocating can let another thread in */
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
            if (type->tp_flags & Py_TPFLAGS_HEAPTYPE || (pdt_watching && PyType_IS_GC(type))) *heap = 1;
            seen = type;
        }
        Py_INCREF(item);
        to[i] = item;
    }
#endif
    return copy;
}

#endif
