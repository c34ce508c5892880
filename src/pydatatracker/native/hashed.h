/* Owns: changing a set by an element whose hash is known. A hash is the program's code, and the builtin calls it once for
 * an element that comes alone, and not at all for one that comes from a set or a dict, which have stored it.
 * May touch: the tables of sets and dicts, to read the hashes; the bodies of two sets, to exchange them.
 * Invariants:
 *  - nothing here calls __hash__; __eq__ is called as often as the builtin calls it;
 *  - a function that fails has changed nothing. */
#ifndef PYDATATRACKER_HASHED_H
#define PYDATATRACKER_HASHED_H

#include "stored.h"
#include "watched.h"

/* The hashes of the elements of a set, or the keys of a dict, given as a tuple, as bytes; -1 for one that is unknown. */
static PyObject *pdt_hashes(PyObject *other, PyObject *elements) {
    Py_ssize_t i, n = PyTuple_GET_SIZE(elements);
    PyObject *made = PyBytes_FromStringAndSize(NULL, n * (Py_ssize_t)sizeof(Py_hash_t));
    Py_hash_t *hashes;
    if (made == NULL) return NULL;
    hashes = (Py_hash_t *)PyBytes_AS_STRING(made);
    for (i = 0; i < n; i++) hashes[i] = -1;
    i = 0;
    if (PyDict_Check(other)) {
        PyObject *key, *value;
        Py_ssize_t at = 0;
#ifdef Py_GIL_DISABLED
        Py_BEGIN_CRITICAL_SECTION(other);
#endif
        while (i < n && PyDict_Next(other, &at, &key, &value)) {
            if (key == PyTuple_GET_ITEM(elements, i)) hashes[i] = pdt_hash_at(other, key, at);
            i++;
        }
#ifdef Py_GIL_DISABLED
        Py_END_CRITICAL_SECTION();
#endif
    }
#ifdef PDT_KNOWN_TABLES
    else if (PyAnySet_Check(other)) {
        setentry *entry = ((PySetObject *)other)->table, *end = entry + ((PySetObject *)other)->mask + 1;
        for (; i < n && entry < end; entry++) {
            if (entry->key == NULL || entry->hash == -1) continue; /* free, or removed */
            if (entry->key == PyTuple_GET_ITEM(elements, i)) hashes[i] = entry->hash;
            i++;
        }
    }
#endif
    return made;
}

/* A set of one element, for the moment: from a set, the builtin takes hashes too. */
#ifdef PDT_KNOWN_TABLES
static PyObject *pdt_spare = NULL; /* an empty set that the collector does not know */
static PyObject *pdt_one_begin(PyObject *element, Py_hash_t hash) {
    PyObject *one = pdt_spare;
    setentry *entry;
    pdt_spare = NULL; /* __eq__ can come here again */
    if (one == NULL) {
        one = PySet_New(NULL);
        if (one == NULL) return NULL;
        PyObject_GC_UnTrack(one);
    }
    entry = &((PySetObject *)one)->table[(size_t)hash & (size_t)((PySetObject *)one)->mask];
    Py_INCREF(element);
    entry->key = element;
    entry->hash = hash;
    ((PySetObject *)one)->fill = ((PySetObject *)one)->used = 1;
    return one;
}
static void pdt_one_end(PyObject *one, Py_hash_t hash) {
    setentry *entry = &((PySetObject *)one)->table[(size_t)hash & (size_t)((PySetObject *)one)->mask];
    PyObject *element = entry->key;
    entry->key = NULL;
    entry->hash = 0;
    ((PySetObject *)one)->fill = ((PySetObject *)one)->used = 0;
    if (pdt_spare == NULL) pdt_spare = one;
    else Py_DECREF(one);
    Py_DECREF(element);
}
#else
static PyObject *pdt_one_begin(PyObject *element, Py_hash_t hash) {
    PyObject *one = NULL, *carrier = PyDict_New();
    if (carrier != NULL && pdt_dict_set_hashed(carrier, element, Py_None, hash) == 0) one = PySet_New(carrier);
    Py_XDECREF(carrier);
    return one;
}
static void pdt_one_end(PyObject *one, Py_hash_t hash) { (void)hash; Py_DECREF(one); }
#endif

/* set.add */
static int pdt_set_add_hashed(PyObject *set, PyObject *element, Py_hash_t hash) {
    PyObject *same, *one = pdt_one_begin(element, hash);
    if (one == NULL) return -1;
    same = PySet_Type.tp_as_number->nb_inplace_or(set, one); /* makes room first */
    pdt_one_end(one, hash);
    Py_XDECREF(same);
    return same == NULL ? -1 : 0;
}

/* set.discard */
static int pdt_set_discard_hashed(PyObject *set, PyObject *element, Py_hash_t hash) {
    PyObject *same, *one = pdt_one_begin(element, hash);
    Py_ssize_t size = PySet_GET_SIZE(set);
    if (one == NULL) return -1;
    same = PySet_Type.tp_as_number->nb_inplace_subtract(set, one);
    pdt_one_end(one, hash);
    Py_XDECREF(same);
    if (same != NULL) return 0;
    /* it was removed, and there was no memory to make the table smaller */
    if (PySet_GET_SIZE(set) == size || !PyErr_ExceptionMatches(PyExc_MemoryError)) return -1;
    PyErr_Clear();
    return 0;
}

/* Exchange the contents of two sets; 0 if that is not possible here. No code runs, and it takes no memory. */
static int pdt_set_swap(PyObject *one, PyObject *other) {
#ifdef PDT_KNOWN_TABLES
    PySetObject *a = (PySetObject *)one, *b = (PySetObject *)other, was = *a;
    int a_is_small = a->table == a->smalltable, b_is_small = b->table == b->smalltable;
    a->fill = b->fill;
    a->used = b->used;
    a->mask = b->mask;
    a->table = b_is_small ? a->smalltable : b->table;
    memcpy(a->smalltable, b->smalltable, sizeof(was.smalltable));
    b->fill = was.fill;
    b->used = was.used;
    b->mask = was.mask;
    b->table = a_is_small ? b->smalltable : was.table;
    memcpy(b->smalltable, was.smalltable, sizeof(was.smalltable));
    a->finger = b->finger = 0;
    return 1;
#else
    (void)one, (void)other;
    return 0;
#endif
}

#endif
