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
#ifndef Py_GIL_DISABLED
        if (i >= 0 && i < PyList_GET_SIZE(l)) { PyObject *v = PyList_GET_ITEM(l, i); Py_INCREF(v); return v; }
#endif
    }
    return PyList_Type.tp_as_mapping->mp_subscript(l, k);
}
static inline int pdt_list_contains(PyObject *l, PyObject *v) { return PyList_Type.tp_as_sequence->sq_contains(l, v); }
static inline int pdt_list_ass_subscript(PyObject *l, PyObject *k, PyObject *v) { return PyList_Type.tp_as_mapping->mp_ass_subscript(l, k, v); }
static inline int pdt_set_contains(PyObject *s, PyObject *v) { return PySet_Type.tp_as_sequence->sq_contains(s, v); }
static inline int pdt_init(PyTypeObject *base, PyObject *self, PyObject *args, PyObject *kw) { return base->tp_init(self, args, kw); }
static inline int pdt_same_new(PyObject *self, PyTypeObject *base) { return Py_TYPE(self)->tp_new == base->tp_new; }

/* PyDict_SetDefault; CPython 3.13.0 sets no error if there is no memory. */
static inline PyObject *pdt_dict_setdefault(PyObject *d, PyObject *k, PyObject *v) {
    PyObject *held = PyDict_SetDefault(d, k, v);
    if (held == NULL && !PyErr_Occurred()) PyErr_NoMemory();
    Py_XINCREF(held);
    return held;
}

/* PySet_Add, which adds the element and then fails if there is no memory for a larger table. */
static inline int pdt_set_add(PyObject *s, PyObject *element) {
    if (PySet_Add(s, element) == 0) return 0;
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (PySet_Contains(s, element) == 1) {
            Py_XDECREF(type);
            Py_XDECREF(value);
            Py_XDECREF(traceback);
            return 0;
        }
        PyErr_Restore(type, value, traceback);
    }
    return -1;
}

/* True if MemoryError is set, which is cleared. The core catches it so, and not with `except`: Cython's `except` drops
 * the reference to a traceback that was not made for want of memory. */
static inline int pdt_no_memory(void) {
    if (!PyErr_ExceptionMatches(PyExc_MemoryError)) return 0;
    PyErr_Clear();
    return 1;
}

/* Return the exception that is set, with its traceback, and clear it. One that was not made for want of memory is made. */
static PyObject *pdt_take_error(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

#endif
