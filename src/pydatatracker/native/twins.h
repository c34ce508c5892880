/* Owns: the types below TrackedOrderedDict, TrackedDefaultDict and TrackedDeque: the type of the standard library with
 * the fields of a hook behind its own.
 * May touch: tp_basicsize, tp_traverse, tp_clear and tp_dealloc of OrderedDict, defaultdict and deque.
 * Invariants:
 *  - the layout of these three is private, so our fields begin where theirs end, found out when the type is made;
 *  - a heap type drops and visits its own reference to the type of an object, a static one does not. From 3.12 on,
 *    defaultdict and deque are heap types; that is asked, not assumed. */
#ifndef PYDATATRACKER_TWINS_H
#define PYDATATRACKER_TWINS_H

#include <Python.h>
#include <stdint.h>
#include <structmember.h>

#include "gate.h"

enum { PDT_NO_TWIN, PDT_ORDERED, PDT_DEFAULT, PDT_DEQUE, PDT_TWINS };

typedef struct {
    PyObject *tracker;              /* NULL until there is something to remember */
    int64_t birth[3];               /* a Birth */
    PyObject *weak;                 /* defaultdict has no list of weak references */
} pdt_twin;

typedef struct {
    PyTypeObject *base;             /* OrderedDict, defaultdict, deque */
    PyTypeObject *hook;
    Py_ssize_t at;                  /* where our fields begin */
} pdt_twin_kind;

static pdt_twin_kind pdt_twin_kinds[PDT_TWINS];
static void (*pdt_twin_detach)(PyObject *) = NULL;

static inline pdt_twin *pdt_twin_in(PyObject *o, int kind) {
    return (pdt_twin *)((char *)o + pdt_twin_kinds[kind].at);
}

/* Which of the three an object is, PDT_NO_TWIN for anything else. */
static inline int pdt_twin_of_dict(PyObject *o) {
    if (PyType_IsSubtype(Py_TYPE(o), pdt_twin_kinds[PDT_ORDERED].hook)) return PDT_ORDERED;
    if (PyType_IsSubtype(Py_TYPE(o), pdt_twin_kinds[PDT_DEFAULT].hook)) return PDT_DEFAULT;
    return PDT_NO_TWIN;
}

static inline int pdt_is_deque(PyObject *o) {
    return (Py_TYPE(o)->tp_flags & Py_TPFLAGS_SEQUENCE) && PyType_IsSubtype(Py_TYPE(o), pdt_twin_kinds[PDT_DEQUE].hook);
}

static inline PyTypeObject *pdt_twin_base(int kind) { return pdt_twin_kinds[kind].base; }
static inline PyTypeObject *pdt_twin_hook(int kind) { return pdt_twin_kinds[kind].hook; }

static int pdt_twin_traverse(PyObject *o, visitproc visit, void *arg, int kind) {
    PyTypeObject *base = pdt_twin_kinds[kind].base;
    Py_VISIT(pdt_twin_in(o, kind)->tracker);
    if (!(base->tp_flags & Py_TPFLAGS_HEAPTYPE)) Py_VISIT(Py_TYPE(o));
    return base->tp_traverse(o, visit, arg);
}

static void pdt_twin_dealloc(PyObject *o, int kind) {
    PyTypeObject *type = Py_TYPE(o);
    PyTypeObject *base = pdt_twin_kinds[kind].base;
    pdt_twin *twin = pdt_twin_in(o, kind);
    PyObject *tracker = twin->tracker;
    PyObject_GC_UnTrack(o);
    if (twin->weak != NULL) PyObject_ClearWeakRefs(o);
    if (tracker != NULL) {
        PyObject *error, *value, *traceback;
        PyErr_Fetch(&error, &value, &traceback);
        twin->tracker = NULL;
        pdt_twin_detach(tracker);
        Py_DECREF(tracker);
        PyErr_Restore(error, value, traceback);
    }
    pdt_dealloc_as(base, o);
    if (!(base->tp_flags & Py_TPFLAGS_HEAPTYPE)) Py_DECREF(type);
}

#define PDT_TWIN(name, kind)                                                                                           \
    static int pdt_##name##_traverse(PyObject *o, visitproc visit, void *arg) {                                       \
        return pdt_twin_traverse(o, visit, arg, kind);                                                                 \
    }                                                                                                                  \
    static int pdt_##name##_clear(PyObject *o) { return pdt_twin_kinds[kind].base->tp_clear(o); }                      \
    static void pdt_##name##_dealloc(PyObject *o) { pdt_twin_dealloc(o, kind); }
PDT_TWIN(ordered, PDT_ORDERED)
PDT_TWIN(default, PDT_DEFAULT)
PDT_TWIN(deque, PDT_DEQUE)
#undef PDT_TWIN

#define PDT_TWIN_SLOTS 16

/* Make the hook over a type of the standard library. slots: what it overrides, ended by slot 0. */
static PyObject *pdt_make_twin(int kind, PyObject *base, const char *name, PyType_Slot *slots, void (*detach)(PyObject *)) {
    static PyMemberDef members[PDT_TWINS][2];
    static const traverseproc traverse[] = {NULL, pdt_ordered_traverse, pdt_default_traverse, pdt_deque_traverse};
    static const inquiry clear[] = {NULL, pdt_ordered_clear, pdt_default_clear, pdt_deque_clear};
    static const destructor dealloc[] = {NULL, pdt_ordered_dealloc, pdt_default_dealloc, pdt_deque_dealloc};
    PyTypeObject *of = (PyTypeObject *)base;
    PyType_Slot all[PDT_TWIN_SLOTS + 5];
    PyType_Spec spec;
    PyObject *bases, *made;
    int n = 0;
    for (; slots[n].slot != 0 && n < PDT_TWIN_SLOTS; n++) all[n] = slots[n];
    all[n].slot = Py_tp_traverse, all[n++].pfunc = (void *)traverse[kind];
    all[n].slot = Py_tp_clear, all[n++].pfunc = (void *)clear[kind];
    all[n].slot = Py_tp_dealloc, all[n++].pfunc = (void *)dealloc[kind];
    if (of->tp_weaklistoffset == 0) {
        members[kind][0].name = "__weaklistoffset__";
        members[kind][0].type = T_PYSSIZET;
        members[kind][0].offset = of->tp_basicsize + (Py_ssize_t)offsetof(pdt_twin, weak);
        members[kind][0].flags = READONLY;
        all[n].slot = Py_tp_members, all[n++].pfunc = members[kind];
    }
    all[n].slot = 0, all[n].pfunc = NULL;
    spec.name = name;
    spec.basicsize = (int)(of->tp_basicsize + (Py_ssize_t)sizeof(pdt_twin));
    spec.itemsize = 0;
    spec.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC;
    spec.slots = all;
    bases = PyTuple_Pack(1, base);
    if (bases == NULL) return NULL;
    made = PyType_FromSpecWithBases(&spec, bases);
    Py_DECREF(bases);
    if (made == NULL) return NULL;
    Py_INCREF(base);
    Py_INCREF(made);
    pdt_twin_kinds[kind].base = of;
    pdt_twin_kinds[kind].hook = (PyTypeObject *)made;
    pdt_twin_kinds[kind].at = of->tp_basicsize;
    pdt_twin_detach = detach;
    return made;
}

/* ---- what they do below the hook ---------------------------------------------------------------------- */
static inline int pdt_twin_init(int kind, PyObject *o, PyObject *args, PyObject *kwargs) {
    return pdt_twin_kinds[kind].base->tp_init(o, args, kwargs);
}
static inline PyObject *pdt_deque_item(PyObject *o, Py_ssize_t i) {
    return pdt_twin_kinds[PDT_DEQUE].base->tp_as_sequence->sq_item(o, i);
}
static inline int pdt_deque_ass_item(PyObject *o, Py_ssize_t i, PyObject *value) {
    return pdt_twin_kinds[PDT_DEQUE].base->tp_as_sequence->sq_ass_item(o, i, value);
}
static inline Py_ssize_t pdt_deque_size(PyObject *o) {
    return pdt_twin_kinds[PDT_DEQUE].base->tp_as_sequence->sq_length(o);
}

/* True if a store of the object goes through our hook and no method of a class below. */
static inline int pdt_twin_stores(PyObject *o, int kind) {
    PyTypeObject *hook = pdt_twin_kinds[kind].hook;
    return Py_TYPE(o)->tp_as_mapping->mp_ass_subscript == hook->tp_as_mapping->mp_ass_subscript;
}

#endif
