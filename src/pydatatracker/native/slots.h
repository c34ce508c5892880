/* Owns: access to the slots of dict, list and set themselves, below the hooks that override them.
 * May touch: the type objects of the builtins.
 * Invariant: behaves exactly as the builtin does, exceptions included. */
#ifndef PYDATATRACKER_SLOTS_H
#define PYDATATRACKER_SLOTS_H

#include <Python.h>

/* Create an instance without looking up __new__. */
static PyObject *pdt_no_args = NULL;
static inline PyObject *pdt_new(PyObject *cls) {
    if (pdt_no_args == NULL && (pdt_no_args = PyTuple_New(0)) == NULL) return NULL;
    return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, pdt_no_args, NULL);
}

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
static inline int pdt_set_contains(PyObject *s, PyObject *v) { return PySet_Type.tp_as_sequence->sq_contains(s, v); }
static inline int pdt_init(PyTypeObject *base, PyObject *self, PyObject *args, PyObject *kw) { return base->tp_init(self, args, kw); }
static inline int pdt_same_new(PyObject *self, PyTypeObject *base) { return Py_TYPE(self)->tp_new == base->tp_new; }

#endif
