/* Owns: writing the references of one record (key, old and new value, ...) into the ring of record/ring.pyx.
 * May touch: the SLOTS references at the given address.
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

#endif
