/* Owns: finding the key object that a dict or set holds, given an equal one. CPython has no function for that: 1, 1.0
 * and True are one key, and a container goes on holding the one that came first.
 * May touch: the hash tables of dict (dict_table.h) and set (a public layout), to read.
 * Invariants:
 *  - nothing here runs Python code, raises or allocates: keys are compared by identity and hash only;
 *  - one look-up costs what the builtin's own costs, O(1). */
#ifndef PYDATATRACKER_STORED_H
#define PYDATATRACKER_STORED_H

#include "dict_table.h"

/* True if every key of a dict is surely an exact str. */
static inline int pdt_only_str_keys(PyObject *d) {
#ifdef PDT_KNOWN_TABLES
    return pdt_table_of(d)->kind != 0;
#else
    (void)d;
    return 0;
#endif
}

/* Return key itself if the dict holds it, else the number skip of the keys with this hash; NULL if there are no more.
 * Borrowed. */
static PyObject *pdt_stored_key(PyObject *d, PyObject *key, Py_hash_t hash, Py_ssize_t skip) {
#ifdef PDT_KNOWN_TABLES
    pdt_walk walk;
    PyObject *held, *found = NULL;
    pdt_walk_begin(&walk, pdt_table_of(d), hash);
    while (pdt_walk_next(&walk, &held) >= 0) {
        if (held == key) return key;
        if (skip-- == 0) found = held;
    }
    return found;
#else
    PyObject *held, *value, *found = NULL;
    Py_ssize_t at = 0;
    while (PyDict_Next(d, &at, &held, &value)) {
        if (held == key) return key;
        if (found != NULL || (PyUnicode_CheckExact(held) && PyObject_Hash(held) != hash)) continue;
        if (skip-- == 0) found = held;
    }
    return found;
#endif
}

/* The same for the elements of a set. */
static PyObject *pdt_stored_element(PyObject *set, PyObject *key, Py_hash_t hash, Py_ssize_t skip) {
#ifdef PDT_KNOWN_TABLES
    PySetObject *so = (PySetObject *)set;
    size_t mask = (size_t)so->mask, perturb = (size_t)hash, i = (size_t)hash & mask;
    PyObject *found = NULL;
    for (;;) {
        setentry *entry = &so->table[i];
        int probes = i + 9 <= mask ? 9 : 0;
        do {
            if (entry->hash == 0 && entry->key == NULL) return found;
            if (entry->key == key) return key;
            if (entry->hash == hash && skip-- == 0) found = entry->key;
            entry++;
        } while (probes--);
        perturb >>= 5;
        i = (i * 5 + 1 + perturb) & mask;
    }
#else
    (void)set, (void)hash, (void)skip;
    return skip == 0 ? key : NULL;
#endif
}

#endif
