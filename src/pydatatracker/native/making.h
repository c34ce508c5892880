/* Owns: calling a class without a tuple and a dict of the arguments (PEP 590), and whether an object may be used again.
 * May touch: tp_vectorcall of the package's own classes, which no class inherits.
 * Invariants:
 *  - pdt_call_type does what type.__call__ does;
 *  - an object that is used again was one that its end would not have told anybody of. */
#ifndef PYDATATRACKER_MAKING_H
#define PYDATATRACKER_MAKING_H

#include <Python.h>

#include "gate.h"

typedef PyObject *const *pdt_arguments;
typedef PyObject *(*pdt_maker)(PyObject *, pdt_arguments, size_t, PyObject *);

static inline void pdt_make_with(PyObject *type, pdt_maker maker) { ((PyTypeObject *)type)->tp_vectorcall = PDT_GATED(maker); }

/* True if nobody replaced __new__ or __init__ of a class below a hook. */
static inline int pdt_makes_as(PyObject *type, PyTypeObject *hook) {
    return ((PyTypeObject *)type)->tp_new == hook->tp_new && ((PyTypeObject *)type)->tp_init == hook->tp_init;
}

static PyObject *pdt_call_type(PyObject *type, pdt_arguments args, size_t given, PyObject *names) {
    Py_ssize_t i, n = PyVectorcall_NARGS(given);
    PyObject *tuple, *dict = NULL, *made = NULL;
    if ((tuple = PyTuple_New(n)) == NULL) return NULL;
    for (i = 0; i < n; i++) {
        Py_INCREF(args[i]);
        PyTuple_SET_ITEM(tuple, i, args[i]);
    }
    if (names != NULL && PyTuple_GET_SIZE(names) > 0) {
        if ((dict = PyDict_New()) == NULL) goto end;
        for (i = 0; i < PyTuple_GET_SIZE(names); i++)
            if (PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), args[n + i]) < 0) goto end;
    }
    made = PyType_Type.tp_call(type, tuple, dict);
end:
    Py_DECREF(tuple);
    Py_XDECREF(dict);
    return made;
}

/* True if we have the only reference to an object of exactly this class, and nothing would hear of its end. */
static inline int pdt_is_unshared(PyObject *o, PyObject *type) {
    PyTypeObject *cls = Py_TYPE(o);
    return Py_REFCNT(o) == 1 && (PyObject *)cls == type && cls->tp_finalize == NULL && cls->tp_del == NULL &&
        *(PyObject **)((char *)o + cls->tp_weaklistoffset) == NULL;
}

#endif
