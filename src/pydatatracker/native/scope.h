/* Owns: the cached current scope (actor, context, transaction) of the running thread.
 * May touch: the context variable of record/scope.pyx and the running context.
 * Invariant: the cache is valid while thread id and context version are the ones it was filled for.
 *
 * PyContextVar_Get costs 4 ns on 3.11 and 14 to 22 ns on 3.13. The variable is private to this library, so its
 * value changes only with our own set and reset (they call pdt_scope_changed) or with a switch of thread or
 * context, and both of these show in (thread id, context version). */
#ifndef PYDATATRACKER_SCOPE_H
#define PYDATATRACKER_SCOPE_H

#include "compat.h"

static PyObject *pdt_scope_var = NULL;
static PyObject *(*pdt_lasting)(PyObject *) = NULL; /* borrowed -> borrowed: skips scopes whose block is over */
static int pdt_some_over = 0;                       /* whether a block ever ended where it was not the current one */

static void pdt_scopes_over(void) { pdt_some_over = 1; }

/* Set the variable, which is `before` now. PyContextVar_Set is not safe without memory: CPython 3.11 to 3.13 release a
 * token that was not made, which crashes, or set the variable and report that they did not. */
static int pdt_scope_set(PyObject *before, PyObject *scope) {
    PyObject *token;
    void *room = PyMem_Malloc(512); /* more than what it allocates */
    if (room == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyMem_Free(room);
    token = PyContextVar_Set(pdt_scope_var, scope);
    if (token == NULL) {
        PyObject *type, *error, *traceback;
        PyErr_Fetch(&type, &error, &traceback);
        token = PyContextVar_Set(pdt_scope_var, before);
        if (token == NULL) PyErr_Clear();
        PyErr_Restore(type, error, traceback);
        Py_XDECREF(token);
        return -1;
    }
    Py_DECREF(token);
    return 0;
}

#ifndef PDT_PUBLIC_API_ONLY
/* What identifies the running context while anybody keeps the result: its weak reference; None if it has none yet. */
static PyObject *pdt_context(void) {
    PyObject *context = pdt_thread()->context;
    if (context == NULL) Py_RETURN_NONE;
#ifdef Py_GIL_DISABLED
    return PyWeakref_NewRef(context, NULL);
#else
    static PyObject *last = NULL; /* owned, so that it is not made for each block */
    if (last == NULL || ((PyWeakReference *)last)->wr_object != context) {
        PyObject *ref = PyWeakref_NewRef(context, NULL), *before = last;
        if (ref == NULL) return NULL;
        last = ref;
        Py_XDECREF(before);
    }
    Py_INCREF(last);
    return last;
#endif
}
/* Whether the running context is the one that pdt_context gave. */
static inline int pdt_context_is(PyObject *home) {
    PyObject *context = pdt_thread()->context;
    return home == Py_None ? context == NULL : context != NULL && ((PyWeakReference *)home)->wr_object == context;
}
#else
/* There is no function for that, but a token can only be used in the context that it was made in. So what identifies a
 * context is a list with a token, in a variable of the context; one that is copied from it has the list, and cannot use
 * the token. A token is used once, so each look takes another one. */
static PyObject *pdt_mark_var = NULL, *pdt_token_var = NULL;
static int pdt_context_is(PyObject *mark) {
    PyObject *token;
    int used;
    if (mark == Py_None || PyList_GET_SIZE(mark) == 0) return 0;
    Py_INCREF(mark);
    used = PyContextVar_Reset(pdt_token_var, PyList_GET_ITEM(mark, 0)) == 0;
    if (!used) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) used = -1;
        else PyErr_Clear(); /* it was made in another context */
    } else if ((token = PyContextVar_Set(pdt_token_var, Py_None)) == NULL || PyList_SetItem(mark, 0, token) < 0) {
        used = -1;
    }
    Py_DECREF(mark);
    return used;
}
static PyObject *pdt_context(void) {
    PyObject *mark, *token, *set;
    int is;
    if (PyContextVar_Get(pdt_mark_var, Py_None, &mark) < 0) return NULL;
    is = pdt_context_is(mark);
    if (is > 0) return mark;
    Py_DECREF(mark);
    if (is < 0) return NULL;
    if ((token = PyContextVar_Set(pdt_token_var, Py_None)) == NULL) return NULL;
    mark = PyList_New(1);
    if (mark == NULL) {
        Py_DECREF(token);
        return NULL;
    }
    PyList_SET_ITEM(mark, 0, token);
    if ((set = PyContextVar_Set(pdt_mark_var, mark)) == NULL) Py_CLEAR(mark);
    Py_XDECREF(set);
    return mark;
}
#endif

/* Whether a scope is what the variable holds in this context, which `home` identifies; -1 with an error set. */
static int pdt_scope_is(PyObject *scope, PyObject *home) {
    PyObject *value;
    int is = pdt_context_is(home);
    if (is <= 0) return is;
    if (PyContextVar_Get(pdt_scope_var, Py_None, &value) < 0) return -1;
    is = value == scope;
    Py_DECREF(value);
    return is;
}

/* The scope of the running context, as a new reference. A scope that is skipped is also replaced, or a context that is
 * copied from this one would begin with it. */
static PyObject *pdt_scope_held(void) {
    PyObject *value = NULL, *left;
    if (PyContextVar_Get(pdt_scope_var, Py_None, &value) < 0) return NULL;
    if (pdt_some_over && (left = pdt_lasting(value)) != value) {
        Py_INCREF(left);
        if (pdt_scope_set(value, left) < 0) PyErr_Clear(); /* no memory: the next time */
        Py_SETREF(value, left);
    }
    return value;
}

#ifdef PDT_CONTEXT_VERSION
static PyObject *pdt_scope_value = NULL; /* owned */
static uint64_t pdt_scope_thread = 0;
static uint64_t pdt_scope_version = 0;

static PyObject *pdt_scope_miss(PyThreadState *ts) {
    PyObject *value = pdt_scope_held();
    if (value == NULL) return NULL;
    PyObject *before = pdt_scope_value;
    pdt_scope_value = value;
    pdt_scope_thread = ts->id;
    pdt_scope_version = ts->context_ver;
    Py_XDECREF(before);
    return value;
}

/* Borrowed: valid until user code can run. */
static inline PyObject *pdt_scope(void) {
    PyThreadState *ts = pdt_thread();
    if (pdt_scope_value != NULL && ts->id == pdt_scope_thread && ts->context_ver == pdt_scope_version)
        return pdt_scope_value;
    return pdt_scope_miss(ts);
}

/* The variable of this context is `scope` now. */
static inline void pdt_scope_changed(PyObject *scope) {
    PyThreadState *ts = pdt_thread();
    PyObject *before = pdt_scope_value;
    Py_INCREF(scope);
    pdt_scope_value = scope;
    pdt_scope_thread = ts->id;
    pdt_scope_version = ts->context_ver;
    Py_XDECREF(before);
}
static inline void pdt_scope_unknown(void) { Py_CLEAR(pdt_scope_value); }
#else
static inline PyObject *pdt_scope(void) {
    PyObject *value = pdt_scope_held();
    if (value == NULL) return NULL;
    Py_DECREF(value); /* the context keeps it, directly or as an outer scope */
    return value;
}
static inline void pdt_scope_changed(PyObject *scope) { (void)scope; }
static inline void pdt_scope_unknown(void) {}
#endif

static int pdt_scope_init(PyObject *var, PyObject *(*skip)(PyObject *)) {
    Py_INCREF(var);
    pdt_scope_var = var;
    pdt_lasting = skip;
#ifdef PDT_PUBLIC_API_ONLY
    if ((pdt_mark_var = PyContextVar_New("pydatatracker_context", NULL)) == NULL) return -1;
    if ((pdt_token_var = PyContextVar_New("pydatatracker_token", NULL)) == NULL) return -1;
#endif
    return 0;
}

#endif
