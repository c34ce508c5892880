/* Owns: hearing of every store into a slot (an entry of __slots__) of some classes, without anything that Python code
 * could see.
 * May touch: the member descriptors of these classes, their tp_alloc, and what all member descriptors store with; each
 * gets back what it had.
 * Invariants:
 *  - a store is reported before it happens, whoever makes it: a statement, setattr, object.__setattr__, the __set__ of
 *    the descriptor. The interpreter's own shortcut needs a member that is not read-only, so the descriptor has a copy
 *    of its member that is, and stores go on with the original;
 *  - the array of members in the class stays as it is: CPython clears slots by it;
 *  - an object that gets the memory of one that is in the table of watched objects is reported when it is made;
 *  - nothing here runs Python code, but for the store itself. */
#ifndef PYDATATRACKER_MEMBERS_H
#define PYDATATRACKER_MEMBERS_H

#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#include "watched.h"

#if PDT_CAN_WATCH

enum { PDT_HEARD = 1 << 20, PDT_VERSIONS = 200 }; /* CPython uses the low bits of flags */

typedef struct {
    PyMemberDef copy; /* first: what d_member points to */
    PyMemberDef *plain;
    Py_ssize_t uses;
} pdt_heard_member;

static int (*pdt_on_slot)(PyObject *o, PyObject *member, PyObject *value) = NULL;
static void (*pdt_on_reuse)(PyObject *o) = NULL;
static descrsetfunc pdt_plain_member_set = NULL;
static Py_ssize_t pdt_heard_members = 0;

static inline int pdt_is_heard(PyObject *member) { return ((PyMemberDescrObject *)member)->d_member->flags & PDT_HEARD; }

static int pdt_member_set(PyObject *member, PyObject *o, PyObject *value) {
    PyMemberDef *plain;
    PyObject *raised = NULL;
    if (!pdt_is_heard(member)) return pdt_plain_member_set(member, o, value);
    plain = ((pdt_heard_member *)((PyMemberDescrObject *)member)->d_member)->plain;
    if (!PyObject_TypeCheck(o, PyDescr_TYPE(member))) return pdt_plain_member_set(member, o, value); /* which raises */
    if (pdt_on_slot != NULL && pdt_table_watched.used) {
        if (PyErr_Occurred()) raised = PyErr_GetRaisedException();
        pdt_on_slot(o, member, value);
        if (raised != NULL) PyErr_SetRaisedException(raised);
    }
    return PyMember_SetOne((char *)o, plain, value);
}

/* Have all member descriptors of the process store with a function. The wrappers are what X.a.__set__ calls. */
static int pdt_store_members_with(descrsetfunc f) {
    static const char *names[] = {"__set__", "__delete__"};
    PyObject *wrappers[2] = {NULL, NULL};
    int i, done = 0;
    for (i = 0; i < 2; i++) wrappers[i] = PyObject_GetAttrString((PyObject *)&PyMemberDescr_Type, names[i]);
    if (wrappers[0] != NULL && wrappers[1] != NULL && Py_TYPE(wrappers[0]) == &PyWrapperDescr_Type &&
        Py_TYPE(wrappers[1]) == &PyWrapperDescr_Type) {
        for (i = 0; i < 2; i++) ((PyWrapperDescrObject *)wrappers[i])->d_wrapped = (void *)f;
        PyMemberDescr_Type.tp_descr_set = f;
        done = 1;
    }
    PyErr_Clear();
    for (i = 0; i < 2; i++) Py_XDECREF(wrappers[i]);
    return done;
}

static allocfunc pdt_watched_alloc = NULL; /* that of births.h, which looks for reuse as well */

static PyObject *pdt_heard_alloc(PyTypeObject *type, Py_ssize_t items) {
    PyObject *o = PyType_GenericAlloc(type, items);
    if (o != NULL && pdt_on_reuse != NULL && pdt_watched_find(o) != NULL) pdt_on_reuse(o);
    return o;
}

/* True if stores into the slots of a class can be heard: not if its versions would be used up, of which it has 1000. */
static int pdt_can_hear(PyTypeObject *type) {
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) return 0;
    if (type->tp_alloc != PyType_GenericAlloc && type->tp_alloc != pdt_heard_alloc &&
        type->tp_alloc != pdt_watched_alloc) return 0;
#if PY_VERSION_HEX >= 0x030D0000
    if (type->tp_versions_used > PDT_VERSIONS) return 0;
#endif
    return 1;
}

/* Report the stores through a member descriptor. It is called as often as pdt_unhear_member. 0: no memory, or it cannot be. */
static int pdt_hear_member(PyObject *member, int (*on_slot)(PyObject *, PyObject *, PyObject *)) {
    PyMemberDescrObject *descr = (PyMemberDescrObject *)member;
    pdt_heard_member *made;
    if (pdt_is_heard(member)) {
        ((pdt_heard_member *)descr->d_member)->uses++;
        return 1;
    }
    if (descr->d_member->flags != 0 || descr->d_member->type != T_OBJECT_EX) return 0;
    if ((made = (pdt_heard_member *)PyMem_Malloc(sizeof(pdt_heard_member))) == NULL) return 0;
    if (pdt_heard_members == 0) {
        if (pdt_plain_member_set == NULL) pdt_plain_member_set = PyMemberDescr_Type.tp_descr_set;
        if (!pdt_store_members_with(pdt_member_set)) {
            PyMem_Free(made);
            return 0;
        }
    }
    pdt_on_slot = on_slot;
    pdt_heard_members++;
    made->copy = *descr->d_member;
    made->copy.flags |= READONLY | PDT_HEARD;
    made->plain = descr->d_member;
    made->uses = 1;
    descr->d_member = &made->copy;
    PyType_Modified(PyDescr_TYPE(member)); /* stores that were specialized write by themselves */
    return 1;
}

static void pdt_unhear_member(PyObject *member) {
    PyMemberDescrObject *descr = (PyMemberDescrObject *)member;
    pdt_heard_member *made = (pdt_heard_member *)descr->d_member;
    if (!pdt_is_heard(member) || --made->uses) return;
    descr->d_member = made->plain;
    PyMem_Free(made);
    if (--pdt_heard_members == 0) pdt_store_members_with(pdt_plain_member_set);
}

static void pdt_hear_reuse(PyTypeObject *type, void (*on_reuse)(PyObject *)) {
    pdt_on_reuse = on_reuse;
    if (type->tp_alloc == PyType_GenericAlloc) type->tp_alloc = pdt_heard_alloc;
}

static void pdt_unhear_reuse(PyTypeObject *type) {
    if (type->tp_alloc == pdt_heard_alloc) type->tp_alloc = PyType_GenericAlloc;
}

/* True if a class would have to be left as it is: it would use up its versions if it were changed again and again. */
static int pdt_stays_heard(PyTypeObject *type) {
#if PY_VERSION_HEX >= 0x030D0000
    return type->tp_versions_used > PDT_VERSIONS / 2;
#else
    (void)type;
    return 0;
#endif
}

#else

static allocfunc pdt_watched_alloc = NULL;
static Py_ssize_t pdt_heard_members = 0;
static PyObject *pdt_heard_alloc(PyTypeObject *type, Py_ssize_t items) { return PyType_GenericAlloc(type, items); }
static int pdt_can_hear(PyTypeObject *type) { (void)type; return 0; }
static int pdt_hear_member(PyObject *member, int (*on_slot)(PyObject *, PyObject *, PyObject *)) { (void)member, (void)on_slot; return 0; }
static void pdt_unhear_member(PyObject *member) { (void)member; }
static void pdt_hear_reuse(PyTypeObject *type, void (*on_reuse)(PyObject *)) { (void)type, (void)on_reuse; }
static void pdt_unhear_reuse(PyTypeObject *type) { (void)type; }
static int pdt_stays_heard(PyTypeObject *type) { (void)type; return 0; }

#endif

#endif
