/* Owns: writing the references of one record (key, old and new value, ...) into the ring of record/ring.pyx.
 * May touch: the SLOTS references at the given address; the room of lists.
 * Invariant: drops no reference. */
#ifndef PYDATATRACKER_RING_H
#define PYDATATRACKER_RING_H

#include <Python.h>

/* Most references equal what the slot held before (same place, same scope, no extra) and are not touched. Returns how
 * many were displaced and puts them into gone; the caller drops them when the record is complete, because dropping
 * can run user code. */
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

/* Append n times None to a list. Returns -1, with no error set and nothing changed, if there is no memory. */
static int pdt_append_none(PyObject *list, Py_ssize_t n) {
    Py_ssize_t size = PyList_GET_SIZE(list);
    PyObject *more = PyList_New(n);
    int result = -1;
    if (more != NULL) {
        for (Py_ssize_t i = 0; i < n; i++) {
            Py_INCREF(Py_None);
            PyList_SET_ITEM(more, i, Py_None);
        }
        result = PyList_SetSlice(list, size, size, more);
        Py_DECREF(more);
    }
    if (result < 0) PyErr_Clear();
    return result;
}

/* Make sure that the next n appends to a list need no memory. */
static int pdt_list_reserve(PyObject *list, Py_ssize_t n) {
    Py_ssize_t i, size = PyList_GET_SIZE(list);
    for (i = 0; i < n; i++)
        if (PyList_Append(list, Py_None) < 0) break;
    for (Py_ssize_t at = 0; at < i; at++) Py_DECREF(Py_None);
    Py_SET_SIZE(list, size);
    return i == n ? 0 : -1;
}

#endif
