# Owns: declarations of the C API that Cython's own `cpython` package lacks, or declares with another signature.
# May touch: Python.h. Whatever differs between versions is in native/compat.h and declared in native.pxd.
# Invariant: holds external declarations only, so that importing from it costs nothing at run time.

from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    object PyWeakref_NewRef(object, PyObject *)
    ctypedef struct PyListObject:
        PyObject **ob_item
    ctypedef struct PyTupleObject:
        PyObject *ob_item[1]
    PyTypeObject PyDict_Type, PyList_Type, PySet_Type
    PyObject *PyExc_IndexError
    PyObject *PyExc_OverflowError
    Py_ssize_t PY_SSIZE_T_MAX

    # objects
    Py_ssize_t Py_REFCNT(PyObject *)
    PyTypeObject *Py_TYPE(object)
    object PyType_GetName(PyTypeObject *)
    bint PyType_IsSubtype(PyTypeObject *, PyTypeObject *)
    int PyObject_GenericSetAttr(object, object, PyObject *) except -1
    void Py_LeaveRecursiveCall()
    int Py_ReprEnter(object) except -1
    void Py_ReprLeave(object)
    unsigned long PyThread_get_thread_ident()
    PyObject *PyEval_GetGlobals()

    # type checks that run no code
    bint PyUnicode_CheckExact(object)
    bint PyLong_CheckExact(object)
    bint PyList_CheckExact(object)
    bint PyTuple_CheckExact(object)
    bint PyAnySet_Check(object)
    bint PyAnySet_CheckExact(object)
    char *PyBytes_AS_STRING(object)
    bint PyDict_Check(object)
    bint PyDict_CheckExact(object)
    bint PyFloat_CheckExact(object)
    bint PyList_Check(object)
    bint PySet_Check(object)
    bint PySlice_Check(object)
    bint PyIndex_Check(object)

    void PyObject_GC_Track(object)
    void PyObject_GC_UnTrack(object)
    PyObject *call_or_null "PyObject_CallOneArg"(object, object)    # new reference; NULL: the exception is set

    # the current exception
    void PyErr_Clear()
    PyObject *PyErr_Occurred()                              # borrowed
    void PyErr_Fetch(PyObject **, PyObject **, PyObject **)
    void PyErr_Restore(PyObject *, PyObject *, PyObject *)
    bint PyErr_ExceptionMatches(object)
    void PyErr_WriteUnraisable(object)

    # numbers and text
    object PyNumber_Index(object)
    Py_ssize_t PyNumber_AsSsize_t(object, PyObject *) except? -1
    Py_ssize_t PyLong_AsSsize_t(object) except? -1
    Py_UCS4 PyUnicode_READ_CHAR(object, Py_ssize_t)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

    # dicts, lists and slices
    Py_ssize_t PyDict_Size(object) except -1
    int PyODict_SetItem(object, object, object) except -1
    int PyODict_DelItem(object, object) except -1
    PyObject *PyList_GET_ITEM(PyObject *, Py_ssize_t)
    object PyList_GetSlice(object, Py_ssize_t, Py_ssize_t)
    int PySlice_Unpack(object, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t, Py_ssize_t *, Py_ssize_t *, Py_ssize_t)
