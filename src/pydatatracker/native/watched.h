/* Owns: the table of watched objects, the dict of an object, and calling back at the next safe moment.
 * May touch: dict watchers (since CPython 3.12), an object's pointer to its dict, the queue of pending calls.
 * Invariants:
 *  - the table maps addresses to trackers, holds a reference to each tracker and none to what is watched;
 *  - nothing here runs Python code;
 *  - before CPython 3.12 PDT_CAN_WATCH is 0, and nothing here is called. */
#ifndef PYDATATRACKER_WATCHED_H
#define PYDATATRACKER_WATCHED_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "dict_table.h"
#include "kinds.h"

#if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED)
#define PDT_CAN_WATCH 1
#else
#define PDT_CAN_WATCH 0
#endif

enum { PDT_ADDED, PDT_MODIFIED, PDT_DELETED, PDT_CLONED, PDT_CLEARED, PDT_DEALLOCATED };

/* ---- the table: open addressing, a power of two, at most half full ------------------------------------- */
typedef struct { PyObject *object, *tracker; } pdt_watched_entry;
static struct { pdt_watched_entry *entries; size_t mask, used; } pdt_table_watched = {NULL, 0, 0};

static inline size_t pdt_watched_hash(PyObject *object) {
    uintptr_t x = (uintptr_t)object >> 4;
    return (size_t)((x * (uintptr_t)0x9E3779B97F4A7C15ull) >> 20);
}

/* The tracker of a watched object (borrowed), or NULL. O(1). */
static inline PyObject *pdt_watched_find(PyObject *object) {
    size_t i;
    if (pdt_table_watched.used == 0) return NULL;
    for (i = pdt_watched_hash(object) & pdt_table_watched.mask;; i = (i + 1) & pdt_table_watched.mask) {
        PyObject *held = pdt_table_watched.entries[i].object;
        if (held == object) return pdt_table_watched.entries[i].tracker;
        if (held == NULL) return NULL;
    }
}

static void pdt_watched_place(PyObject *object, PyObject *tracker) {
    size_t i = pdt_watched_hash(object) & pdt_table_watched.mask;
    while (pdt_table_watched.entries[i].object != NULL) i = (i + 1) & pdt_table_watched.mask;
    pdt_table_watched.entries[i].object = object;
    pdt_table_watched.entries[i].tracker = tracker;
}

static int pdt_watched_put(PyObject *object, PyObject *tracker) {
    if (pdt_table_watched.entries == NULL || pdt_table_watched.used * 2 > pdt_table_watched.mask) {
        pdt_watched_entry *old = pdt_table_watched.entries;
        size_t i, size = old == NULL ? 64 : (pdt_table_watched.mask + 1) * 2;
        pdt_watched_entry *entries = (pdt_watched_entry *)PyMem_Calloc(size, sizeof(pdt_watched_entry));
        if (entries == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        pdt_table_watched.entries = entries;
        if (old != NULL) {
            size_t mask = pdt_table_watched.mask;
            pdt_table_watched.mask = size - 1;
            for (i = 0; i <= mask; i++)
                if (old[i].object != NULL) pdt_watched_place(old[i].object, old[i].tracker);
            PyMem_Free(old);
        }
        pdt_table_watched.mask = size - 1;
    }
    Py_INCREF(tracker);
    pdt_watched_place(object, tracker);
    pdt_table_watched.used++;
    return 0;
}

/* Take an object out of the table and return its tracker (a new reference), or NULL. O(1). */
static PyObject *pdt_watched_take(PyObject *object) {
    size_t i, j, home, mask = pdt_table_watched.mask;
    PyObject *tracker;
    if (pdt_table_watched.used == 0) return NULL;
    for (i = pdt_watched_hash(object) & mask; pdt_table_watched.entries[i].object != object; i = (i + 1) & mask)
        if (pdt_table_watched.entries[i].object == NULL) return NULL;
    tracker = pdt_table_watched.entries[i].tracker;
    for (j = (i + 1) & mask; pdt_table_watched.entries[j].object != NULL; j = (j + 1) & mask) {
        home = pdt_watched_hash(pdt_table_watched.entries[j].object) & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) { /* it may move into the gap */
            pdt_table_watched.entries[i] = pdt_table_watched.entries[j];
            i = j;
        }
    }
    pdt_table_watched.entries[i].object = pdt_table_watched.entries[i].tracker = NULL;
    pdt_table_watched.used--;
    return tracker;
}

static inline Py_ssize_t pdt_watched_count(void) { return (Py_ssize_t)pdt_table_watched.used; }

/* All trackers of the table, as a list. O(objects). */
static PyObject *pdt_watched_all(void) {
    size_t i;
    PyObject *all = PyList_New(0);
    if (all == NULL || pdt_table_watched.used == 0) return all;
    for (i = 0; i <= pdt_table_watched.mask; i++)
        if (pdt_table_watched.entries[i].object != NULL &&
            PyList_Append(all, pdt_table_watched.entries[i].tracker) < 0) {
            Py_DECREF(all);
            return NULL;
        }
    return all;
}

#if PDT_CAN_WATCH

/* ---- dict watchers ------------------------------------------------------------------------------------- */
typedef int (*pdt_dict_event)(int event, PyObject *dict, PyObject *key, PyObject *value);
static pdt_dict_event pdt_on_event = NULL;
static int pdt_watcher = -1;

static int pdt_dict_callback(PyDict_WatchEvent event, PyObject *dict, PyObject *key, PyObject *value) {
    PyObject *raised = NULL;
    if (pdt_on_event == NULL) return 0;
    if (PyErr_Occurred()) raised = PyErr_GetRaisedException(); /* an event may come while an exception is on its way */
    pdt_on_event((int)event, dict, key, value);
    if (raised != NULL) PyErr_SetRaisedException(raised);
    return 0;
}

/* Take a watcher slot. 0; 1: all are taken. */
static int pdt_begin_watching(pdt_dict_event on_event) {
    pdt_on_event = on_event;
    if (pdt_watcher >= 0) return 0;
    pdt_watcher = PyDict_AddWatcher(pdt_dict_callback);
    if (pdt_watcher >= 0) return 0;
    PyErr_Clear();
    return 1;
}

static void pdt_end_watching(void) {
    if (pdt_watcher >= 0 && PyDict_ClearWatcher(pdt_watcher) < 0) PyErr_Clear();
    pdt_watcher = -1;
    pdt_on_event = NULL;
}

static int pdt_watch_dict(PyObject *dict) { return PyDict_Watch(pdt_watcher, dict); }
static void pdt_unwatch_dict(PyObject *dict) {
    if (pdt_watcher >= 0 && PyDict_Unwatch(pdt_watcher, dict) < 0) PyErr_Clear();
}

/* ---- the dict of an object ----------------------------------------------------------------------------- */
#ifdef PDT_PUBLIC_API_ONLY
/* The dict of an object (borrowed); NULL if it has none. One that is not there yet is made. */
static PyObject *pdt_dict_of(PyObject *o) {
    PyObject *d;
    if (PyType_Check(o) || !((Py_TYPE(o)->tp_flags & Py_TPFLAGS_MANAGED_DICT) || Py_TYPE(o)->tp_dictoffset != 0)) return NULL;
    d = PyObject_GenericGetDict(o, NULL);
    if (d == NULL) PyErr_Clear();
    Py_XDECREF(d); /* the object has it */
    return d;
}
#else
PyAPI_FUNC(PyObject **) _PyObject_GetDictPtr(PyObject *);

/* The dict of an object (borrowed) if it has one already; NULL otherwise. Makes none. */
static inline PyObject *pdt_dict_of(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        PyObject *held = ((PyObject **)o)[-3];
#if PY_VERSION_HEX < 0x030D0000
        if ((uintptr_t)held & 1) return NULL; /* the values are still beside the object */
#endif
        return held;
    }
    if (type->tp_dictoffset == 0 || PyType_Check(o)) return NULL;
    return *_PyObject_GetDictPtr(o);
}
#endif

static inline int pdt_has_dict(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    return !PyType_Check(o) && ((type->tp_flags & Py_TPFLAGS_MANAGED_DICT) || type->tp_dictoffset != 0);
}

#if PY_VERSION_HEX >= 0x030D0000 && !defined(PDT_PUBLIC_API_ONLY)
#define PDT_CAN_SET_DICT
PyAPI_FUNC(int) _PyObject_SetManagedDict(PyObject *, PyObject *); /* PyObject_GenericSetDict leaves 3.13.0's values in use */
#endif

/* Return the dict of an object, made if needed, in which every store is an event. New reference.
 *
 * Until CPython 3.13.1 a store into values that lie inside the object (3.13) is no event; see python/cpython#125608. So
 * the values move into the dict: a dict that only the object refers to is replaced by a copy, which nobody can notice;
 * any other one is made to leave the object by a key that such values cannot have. */
static PyObject *pdt_own_dict(PyObject *o) {
    PyObject *d = PyObject_GenericGetDict(o, NULL);
#if PY_VERSION_HEX >= 0x030D0000
    if (d != NULL && PyDict_CheckExact(d) && (Py_TYPE(o)->tp_flags & Py_TPFLAGS_INLINE_VALUES) &&
        ((PyDictObject *)d)->ma_values != NULL) {
#ifdef PDT_CAN_SET_DICT
        if (Py_REFCNT(d) == 2) { /* the object's and ours */
            PyObject *copy = PyDict_New(); /* PyDict_Copy would share the layout of the class */
            if (copy == NULL || PyDict_Update(copy, d) < 0 || _PyObject_SetManagedDict(o, copy) < 0) {
                Py_XDECREF(copy);
                Py_DECREF(d);
                return NULL;
            }
            Py_DECREF(d);
            return copy;
        }
#endif
        {
            PyObject *key = PyLong_FromLong(0);
            int failed = key == NULL || PyDict_SetItem(d, key, Py_None) < 0 || PyDict_DelItem(d, key) < 0;
            Py_XDECREF(key);
            if (failed) Py_CLEAR(d);
        }
    }
#endif
    return d;
}

/* ---- the next safe moment ------------------------------------------------------------------------------ */
#ifdef PDT_PUBLIC_API_ONLY
/* Call f at the next moment at which the main thread may run Python code. */
static int pdt_call_soon(int (*f)(void *)) { return Py_AddPendingCall(f, NULL); }
#else
PyAPI_FUNC(int) _PyEval_AddPendingCall(PyInterpreterState *, int (*)(void *), void *, int);

/* Call f at the next moment at which the interpreter may run Python code, in whichever thread runs. */
static int pdt_call_soon(int (*f)(void *)) {
    return _PyEval_AddPendingCall(PyInterpreterState_Get(), f, NULL, 0);
}
#endif

/* ---- slots --------------------------------------------------------------------------------------------- */
/* What a slot of an object holds (borrowed), or NULL; member: an entry of __slots__ in its class. */
static inline PyObject *pdt_slot(PyObject *o, PyObject *member) {
    return *(PyObject **)((char *)o + ((PyMemberDescrObject *)member)->d_member->offset);
}

#else

typedef int (*pdt_dict_event)(int event, PyObject *dict, PyObject *key, PyObject *value);
static int pdt_begin_watching(pdt_dict_event on_event) { (void)on_event; return 2; }
static void pdt_end_watching(void) {}
static int pdt_watch_dict(PyObject *dict) { (void)dict; return 0; }
static void pdt_unwatch_dict(PyObject *dict) { (void)dict; }
static inline PyObject *pdt_dict_of(PyObject *o) { (void)o; return NULL; }
static inline int pdt_has_dict(PyObject *o) { return !PyType_Check(o) && Py_TYPE(o)->tp_dictoffset != 0; }
static PyObject *pdt_own_dict(PyObject *o) { return PyObject_GenericGetDict(o, NULL); }
static int pdt_call_soon(int (*f)(void *)) { (void)f; return -1; }
static inline PyObject *pdt_slot(PyObject *o, PyObject *member) { (void)o, (void)member; return NULL; }

#endif

/* True if a class is one of the interpreter's: Python code can make none like it. */
static inline int pdt_is_builtin_class(PyTypeObject *type) {
    const char *name = type->tp_name;
    if ((type->tp_flags & (Py_TPFLAGS_HEAPTYPE | Py_TPFLAGS_IMMUTABLETYPE)) == Py_TPFLAGS_HEAPTYPE) return 0;
    return strncmp(name, "datetime.", 9) == 0 || strchr(name, '.') == NULL || strcmp(name, "decimal.Decimal") == 0;
}

enum { PDT_QUIET_DEPTH = 20 }; /* of nested tuples; deeper ones may run Python code, for all that is known */

/* True if hashing a key runs no Python code: a class that is written in Python has the slot of one that is not. */
static int pdt_hashes_quietly(PyObject *key, int depth) {
    hashfunc hash = Py_TYPE(key)->tp_hash;
    const char *name = Py_TYPE(key)->tp_name;
    if (hash == PyBaseObject_Type.tp_hash || hash == PyUnicode_Type.tp_hash ||
        hash == PyLong_Type.tp_hash || hash == PyFloat_Type.tp_hash || hash == PyBytes_Type.tp_hash ||
        hash == PyComplex_Type.tp_hash || hash == PyFrozenSet_Type.tp_hash)
        return 1;
    if (hash == PyTuple_Type.tp_hash) {
        if (depth == PDT_QUIET_DEPTH) return 0;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++)
            if (!pdt_hashes_quietly(PyTuple_GET_ITEM(key, i), depth + 1)) return 0;
        return 1;
    }
    if (hash == _PyWeakref_RefType.tp_hash) return ((PyWeakReference *)key)->hash != -1; /* it asks its object once */
    if (PyMethod_Check(key)) return PyFunction_Check(PyMethod_GET_FUNCTION(key));
    if (!pdt_is_builtin_class(Py_TYPE(key))) return 0;
    /* four ask what they hold */
    return name[0] == 'd' || (strcmp(name, "slice") != 0 && strcmp(name, "mappingproxy") != 0 &&
                              strcmp(name, "memoryview") != 0 && strcmp(name, "code") != 0);
}

static inline int pdt_hash_is_quiet(PyObject *key) { return pdt_quiet_key(key) || pdt_hashes_quietly(key, 0); }

/* True if comparing a key with another one for which this is true runs no Python code. */
static int pdt_compares_quietly(PyObject *key, int depth) {
    richcmpfunc compare = Py_TYPE(key)->tp_richcompare;
    if (compare == PyBaseObject_Type.tp_richcompare || compare == PyUnicode_Type.tp_richcompare ||
        compare == PyLong_Type.tp_richcompare || compare == PyFloat_Type.tp_richcompare ||
        compare == PyBytes_Type.tp_richcompare || compare == PyComplex_Type.tp_richcompare)
        return 1;
    if (compare != PyTuple_Type.tp_richcompare || depth == PDT_QUIET_DEPTH) return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++)
        if (!pdt_compares_quietly(PyTuple_GET_ITEM(key, i), depth + 1)) return 0;
    return 1;
}

static int pdt_eq_is_quiet(PyObject *key) { return pdt_compares_quietly(key, 0); }

/* The hash under which a dict holds a key that PyDict_Next has just given, with its position afterwards; -1: not known. */
static inline Py_hash_t pdt_hash_at(PyObject *d, PyObject *held, Py_ssize_t after) {
    Py_hash_t hash = -1;
    if (PyUnicode_CheckExact(held)) return ((PyASCIIObject *)held)->hash;
#ifdef PDT_KNOWN_TABLES
    if (((PyDictObject *)d)->ma_values == NULL && pdt_table_of(d)->kind == 0) pdt_table_key(pdt_table_of(d), after - 1, &hash);
#else
    (void)d, (void)after;
#endif
    return hash;
}

/* The position that gives PyDict_Next the entry with this very key, searched around another one; -1: there is none. */
static Py_ssize_t pdt_position_of_same(PyObject *d, PyObject *key, Py_ssize_t around) {
#ifdef PDT_KNOWN_TABLES
    const pdt_table *table = pdt_table_of(d);
    Py_hash_t hash;
    Py_ssize_t i, n = table->entries;
    if (((PyDictObject *)d)->ma_values != NULL || table->kind > 1) return -1;
    if (around < 0 || around >= n) around = n - 1;
    for (i = 0; around + i < n || around - i >= 0; i++) {
        if (around + i < n && pdt_table_key(table, around + i, &hash) == key) return around + i;
        if (around - i >= 0 && pdt_table_key(table, around - i, &hash) == key) return around - i;
    }
#else
    (void)d, (void)key, (void)around;
#endif
    return -1;
}

/* The value and the key of the entry of a dict that an event names, found by the hash of a key that runs no Python code:
 * the one key that has it, or this very key before any other. NULL: nothing says which it is. Both are borrowed. */
static PyObject *pdt_entry(PyObject *d, PyObject *key, Py_hash_t hash, PyObject **stored) {
    PyObject *held, *value, *found = NULL, *found_key = NULL;
    Py_ssize_t at = 0;
    Py_hash_t each;
    int n = 0;
#ifdef PDT_KNOWN_TABLES
    const pdt_table *table = pdt_table_of(d);
    if (table->kind == 0) {
        pdt_walk walk;
        const char *entries = table->indices + ((size_t)1 << table->log2_index_bytes);
        Py_ssize_t before = -1;
        pdt_walk_begin(&walk, table, hash);
        while ((at = pdt_walk_next(&walk, &held)) >= 0) {
            value = ((PyObject *const *)entries)[3 * at + 2];
            if (held == key && n == 0) {
                *stored = held;
                return value;
            }
            if (at != before) n++;
            before = at;
            found = value;
            found_key = held;
        }
        if (n != 1) return NULL;
        *stored = found_key;
        return found;
    }
#endif
    while (PyDict_Next(d, &at, &held, &value)) {
        each = pdt_hash_at(d, held, at);
        if (each == hash) n++, found = value, found_key = held;
        else if (each == -1) return NULL;
    }
    if (n != 1) return NULL;
    *stored = found_key;
    return found;
}

/* The value that a dict holds under this very str (borrowed); NULL if it is not found so: then the dict has to be asked. O(1). */
static inline PyObject *pdt_value_of_same(PyObject *d, PyObject *key) {
#ifdef PDT_KNOWN_TABLES
    const pdt_table *table = pdt_table_of(d);
    Py_hash_t hash = ((PyASCIIObject *)key)->hash;
    PyObject *held;
    pdt_walk walk;
    Py_ssize_t at;
    if (table->kind != 1 || ((PyDictObject *)d)->ma_values != NULL || hash == -1) return NULL;
    pdt_walk_begin(&walk, table, hash);
    while ((at = pdt_walk_next(&walk, &held)) >= 0)
        if (held == key) return ((PyObject *const *)(table->indices + ((size_t)1 << table->log2_index_bytes)))[2 * at + 1];
#else
    (void)d, (void)key;
#endif
    return NULL;
}

/* Where the entry is, or was, that has a number in the table: PDT_FIRST, PDT_BEFORE or PDT_AFTER *beside, PDT_LAST. See
 * dict_order.h. */
static int pdt_spot_at(PyObject *d, Py_ssize_t at, PyObject **beside) {
#ifdef PDT_KNOWN_TABLES
    const pdt_table *table = pdt_table_of(d);
    Py_ssize_t low, high;
    if (((PyDictObject *)d)->ma_values != NULL || table->kind > 1) return PDT_LAST;
    for (high = at + 1, low = at - 1;; high++, low--) {
        Py_hash_t other;
        if (high >= table->entries) return PDT_LAST;
        if (low < 0) return PDT_FIRST;
        if ((*beside = pdt_table_key(table, high, &other)) != NULL) return PDT_BEFORE;
        if ((*beside = pdt_table_key(table, low, &other)) != NULL) return PDT_AFTER;
    }
#else
    (void)d, (void)at, (void)beside;
    return PDT_LAST;
#endif
}

/* The same for a key that is about to be removed. */
static int pdt_spot_of(PyObject *d, PyObject *key, Py_hash_t hash, PyObject **beside) {
#ifdef PDT_KNOWN_TABLES
    const pdt_table *table = pdt_table_of(d);
    PyObject *held;
    Py_ssize_t at;
    pdt_walk walk;
    if (((PyDictObject *)d)->ma_values != NULL || table->kind > 1) return PDT_LAST;
    pdt_walk_begin(&walk, table, hash);
    while ((at = pdt_walk_next(&walk, &held)) >= 0 && held != key) {}
    return at < 0 ? PDT_LAST : pdt_spot_at(d, at, beside);
#else
    (void)d, (void)key, (void)hash, (void)beside;
    return PDT_LAST;
#endif
}

#endif
