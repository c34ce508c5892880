/* Owns: freeing long chains (containers inside each other, places, links, records) with a bounded C stack.
 * May touch: tp_dealloc and tp_clear of the core's types; the collector's link of a dead object, which nothing else reads.
 * Invariants:
 *  - deallocators of the core are inside each other at most PDT_FREEING_DEPTH times in a thread. What would go deeper
 *    waits, with a reference count of 0, until the outermost one returns;
 *  - waiting takes no memory: the objects form a chain through the collector's link.
 *
 * CPython's own trashcan is not enough. It exists for types that opt in, and from 3.12 to 3.13 it allows thousands of
 * levels, which a thread with a small stack does not have. */
#ifndef PYDATATRACKER_FREEING_H
#define PYDATATRACKER_FREEING_H

#include <Python.h>
#include <stdint.h>

#include "compat.h"

#if defined(_MSC_VER)
#define PDT_THREAD_LOCAL __declspec(thread)
#else
#define PDT_THREAD_LOCAL _Thread_local
#endif

#define PDT_FREEING_DEPTH 20
#define PDT_FREEING_TYPES 15

static PDT_THREAD_LOCAL int pdt_freeing_depth = 0;
#ifndef PDT_PUBLIC_API_ONLY
static PDT_THREAD_LOCAL PyObject *pdt_freeing_later = NULL;
#endif
static struct {
    PyTypeObject *type;
    destructor free;
    Py_ssize_t tracker; /* offset of the tracker in a container; 0: it is none */
} pdt_freeing_types[PDT_FREEING_TYPES];
static int pdt_freeing_count = 0;

#ifndef PDT_PUBLIC_API_ONLY
/* Where a dead object keeps the next one that waits. */
static inline uintptr_t *pdt_freeing_next(PyObject *o) {
#ifdef Py_GIL_DISABLED
    return &o->ob_tid;
#else
    return (uintptr_t *)o - 2; /* PyGC_Head._gc_next; 0 if the collector does not track the object */
#endif
}
static inline int pdt_freeing_wait(PyObject *o) {
    *pdt_freeing_next(o) = (uintptr_t)pdt_freeing_later;
    pdt_freeing_later = o;
    return 1;
}
static inline PyObject *pdt_freeing_take(void) {
    PyObject *o = pdt_freeing_later;
    if (o == NULL) return NULL;
    pdt_freeing_later = (PyObject *)*pdt_freeing_next(o);
    *pdt_freeing_next(o) = 0;
    return o;
}
#else
/* What waits is in an array of the thread: without memory for it, an object is freed at once. */
static PDT_THREAD_LOCAL PyObject **pdt_freeing_waiting = NULL;
static PDT_THREAD_LOCAL Py_ssize_t pdt_freeing_length = 0, pdt_freeing_room = 0;
static int pdt_freeing_wait(PyObject *o) {
    if (pdt_freeing_length == pdt_freeing_room) {
        Py_ssize_t room = 2 * pdt_freeing_room + 32;
        PyObject **more = (PyObject **)PyMem_RawRealloc(pdt_freeing_waiting, (size_t)room * sizeof(PyObject *));
        if (more == NULL) return 0;
        pdt_freeing_waiting = more;
        pdt_freeing_room = room;
    }
    pdt_freeing_waiting[pdt_freeing_length++] = o;
    return 1;
}
static PyObject *pdt_freeing_take(void) {
    if (pdt_freeing_length > 0) return pdt_freeing_waiting[--pdt_freeing_length];
    PyMem_RawFree(pdt_freeing_waiting);
    pdt_freeing_waiting = NULL;
    pdt_freeing_room = 0;
    return NULL;
}
#endif

static void pdt_freeing_dealloc(PyObject *);

/* Which of the types an object is of, or its class is derived from. */
static inline int pdt_freeing_of(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    int i = 0;
    while (type->tp_dealloc != pdt_freeing_dealloc) type = type->tp_base;
    while (pdt_freeing_types[i].type != type) i++;
    return i;
}

/* Free an object as its type did before. A container that nothing was ever remembered of has nothing but what its builtin
 * frees: the type of the core would save and restore the current exception, and look for what is not there. */
static inline void pdt_free(PyObject *o, int i) {
    PyTypeObject *type = pdt_freeing_types[i].type;
    PyObject **tracker = (PyObject **)((char *)o + pdt_freeing_types[i].tracker);
    if (pdt_freeing_types[i].tracker && *tracker == Py_None && *(PyObject **)((char *)o + type->tp_weaklistoffset) == NULL) {
        *tracker = NULL;
        Py_DECREF(Py_None);
        pdt_dealloc_as(type->tp_base, o);
    } else {
        pdt_freeing_types[i].free(o);
    }
}

static void pdt_freeing_dealloc(PyObject *o) {
    int i = pdt_freeing_of(o), inside = 0;
    if (!pdt_enter_freeing(o, pdt_freeing_types[i].type, &inside)) return;
    if (pdt_freeing_depth >= PDT_FREEING_DEPTH) {
        PyObject_GC_UnTrack(o);
        if (pdt_freeing_wait(o)) {
            Py_INCREF(Py_TYPE(o)); /* the deallocator of a derived class drops its reference when this returns */
            goto leave;
        }
    }
    pdt_freeing_depth++;
    pdt_free(o, i);
    if (pdt_freeing_depth == 1) {
        while ((o = pdt_freeing_take()) != NULL) {
            PyTypeObject *type = Py_TYPE(o);
            pdt_free(o, pdt_freeing_of(o));
            Py_DECREF(type);
        }
    }
    pdt_freeing_depth--;
leave:
    pdt_leave(inside);
}

/* Bound the depth of freeing for a type of the core, and for classes derived from it. */
static int pdt_bound_freeing(PyTypeObject *type, Py_ssize_t tracker) {
    if (pdt_freeing_count == PDT_FREEING_TYPES || !PyType_IS_GC(type)) {
        PyErr_SetString(PyExc_SystemError, "pdt_bound_freeing: too many types, or one that the collector ignores");
        return -1;
    }
    pdt_freeing_types[pdt_freeing_count].type = type;
    pdt_freeing_types[pdt_freeing_count].free = type->tp_dealloc;
    pdt_freeing_types[pdt_freeing_count].tracker = tracker;
    pdt_freeing_count++;
    type->tp_dealloc = pdt_freeing_dealloc;
    return 0;
}

/* Have the collector clear an object of a type, and of classes derived from it, as it clears one of its base. */
static inline void pdt_clear_as_base(PyTypeObject *type) {
    type->tp_clear = type->tp_base->tp_clear;
}

#endif
