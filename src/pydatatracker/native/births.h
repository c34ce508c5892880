/* Owns: hearing of the birth and the end of every instance of a class, without anything that Python code could see.
 * May touch: tp_alloc and tp_finalize of the classes that are watched, which get them back afterwards.
 * Invariants:
 *  - an object is reported before its first attribute is set, whoever makes it: a call, copy, pickle, a subclass whose
 *    __init__ calls no other;
 *  - __del__ runs as before, and before the end is reported;
 *  - nothing here runs Python code. */
#ifndef PYDATATRACKER_BIRTHS_H
#define PYDATATRACKER_BIRTHS_H

#include <Python.h>

#include "members.h"

typedef struct {
    PyTypeObject *type; /* a reference */
    destructor finalize;
} pdt_born_class;

static pdt_born_class *pdt_born_classes = NULL;
static Py_ssize_t pdt_born_count = 0;
static void (*pdt_on_birth)(PyObject *) = NULL;
static void (*pdt_on_end)(PyObject *) = NULL;

static Py_ssize_t pdt_born_index(PyTypeObject *type) {
    for (Py_ssize_t i = 0; i < pdt_born_count; i++)
        if (pdt_born_classes[i].type == type) return i;
    return -1;
}

static PyObject *pdt_born_alloc(PyTypeObject *type, Py_ssize_t items) {
    PyObject *o = pdt_heard_alloc(type, items);
    if (o != NULL && pdt_on_birth != NULL) pdt_on_birth(o);
    return o;
}

static void pdt_born_finalize(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    Py_ssize_t i;
    while (type != NULL && (i = pdt_born_index(type)) < 0) type = type->tp_base; /* a class made later inherits this */
    if (type != NULL && pdt_born_classes[i].finalize != NULL) pdt_born_classes[i].finalize(o);
    if (pdt_on_end != NULL) pdt_on_end(o);
}

static void pdt_births_begin(void (*on_birth)(PyObject *), void (*on_end)(PyObject *)) {
    pdt_on_birth = on_birth;
    pdt_watched_alloc = pdt_born_alloc;
    pdt_on_end = on_end;
}

/* True if an object is complete once it has memory: CPython 3.12 sets up the place of its attributes afterwards. */
static int pdt_complete_at_birth(PyTypeObject *type);

/* True if objects of a class are laid out by Python alone. */
static int pdt_is_simple(PyTypeObject *type) {
    while (type->tp_flags & Py_TPFLAGS_HEAPTYPE) type = type->tp_base;
    return type == &PyBaseObject_Type;
}

static int pdt_complete_at_birth(PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030D0000
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) return 0;
#endif
    return pdt_is_simple(type);
}

/* Report births and ends of direct instances of a class. 1: done; 0: the class has an allocator of its own. */
static int pdt_report_births(PyTypeObject *type) {
    pdt_born_class *more;
    if (pdt_born_index(type) >= 0) return 1;
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE) || !PyType_IS_GC(type)) return 0;
    if (type->tp_alloc != PyType_GenericAlloc && type->tp_alloc != pdt_heard_alloc) return 0;
    more = (pdt_born_class *)PyMem_Realloc(pdt_born_classes, (pdt_born_count + 1) * sizeof(pdt_born_class));
    if (more == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    pdt_born_classes = more;
    Py_INCREF(type);
    more[pdt_born_count].type = type;
    more[pdt_born_count].finalize = type->tp_finalize == pdt_born_finalize ? NULL : type->tp_finalize;
    if (type->tp_finalize == pdt_born_finalize) { /* inherited: find what it stands for */
        PyTypeObject *base = type->tp_base;
        Py_ssize_t i;
        while (base != NULL && (i = pdt_born_index(base)) < 0) base = base->tp_base;
        if (base != NULL) more[pdt_born_count].finalize = more[i].finalize;
    }
    pdt_born_count++;
    type->tp_alloc = pdt_born_alloc;
    type->tp_finalize = pdt_born_finalize;
    PyType_Modified(type); /* calls that were specialized allocate by themselves */
    return 1;
}

/* Give a class back what it had. */
static void pdt_end_births(PyTypeObject *type) {
    Py_ssize_t i = pdt_born_index(type);
    if (i < 0) return;
    if (type->tp_alloc == pdt_born_alloc) type->tp_alloc = pdt_heard_members ? pdt_heard_alloc : PyType_GenericAlloc;
    if (type->tp_finalize == pdt_born_finalize) type->tp_finalize = pdt_born_classes[i].finalize;
    pdt_born_classes[i] = pdt_born_classes[--pdt_born_count];
    PyType_Modified(type);
    Py_DECREF(type);
}

#endif
