/* Owns: finding the key object that a dict or set holds, given an equal one. CPython has no function for that: 1, 1.0
 * and True are one key, and a container goes on holding the one that came first.
 * May touch: the hash tables of dict (a private layout, the same from 3.11 to 3.14) and set (a public one), to read.
 * Invariants:
 *  - nothing here runs Python code, raises or allocates: keys are compared by identity and hash only;
 *  - one look-up costs what the builtin's own costs, O(1). */
#ifndef PYDATATRACKER_STORED_H
#define PYDATATRACKER_STORED_H

#include <Python.h>
#include <stdint.h>

#if PY_VERSION_HEX < 0x030F0000 && !defined(Py_GIL_DISABLED)
#define PDT_KNOWN_TABLES

typedef struct {
    Py_ssize_t refcnt;
    uint8_t log2_size, log2_index_bytes, kind;
    uint32_t version;
    Py_ssize_t usable, entries;
    char indices[];
} pdt_key_table;

static inline Py_ssize_t pdt_key_index(const pdt_key_table *keys, size_t i) {
    if (keys->log2_size < 8) return ((const int8_t *)keys->indices)[i];
    if (keys->log2_size < 16) return ((const int16_t *)keys->indices)[i];
    if (keys->log2_size < 32) return ((const int32_t *)keys->indices)[i];
    return (Py_ssize_t)((const int64_t *)keys->indices)[i];
}
#endif

/* True if every key of a dict is surely an exact str. */
static inline int pdt_only_str_keys(PyObject *d) {
#ifdef PDT_KNOWN_TABLES
    return ((const pdt_key_table *)((PyDictObject *)d)->ma_keys)->kind != 0;
#else
    (void)d;
    return 0;
#endif
}

/* Return key itself if the dict holds it, else the number skip of the keys with this hash; NULL if there are no more.
 * Borrowed. */
static PyObject *pdt_stored_key(PyObject *d, PyObject *key, Py_hash_t hash, Py_ssize_t skip) {
#ifdef PDT_KNOWN_TABLES
    const pdt_key_table *keys = (const pdt_key_table *)((PyDictObject *)d)->ma_keys;
    const char *entries = keys->indices + ((size_t)1 << keys->log2_index_bytes);
    size_t mask = ((size_t)1 << keys->log2_size) - 1, perturb = (size_t)hash, i = (size_t)hash & mask;
    PyObject *found = NULL;
    for (;;) {
        Py_ssize_t n = pdt_key_index(keys, i);
        if (n == -1) return found; /* an empty slot ends the chain */
        if (n >= 0) {
            PyObject *held;
            Py_hash_t its;
            if (keys->kind) {
                held = ((PyObject *const *)entries)[2 * n];
                its = held == NULL ? -1 : ((PyASCIIObject *)held)->hash;
            } else {
                held = ((PyObject *const *)entries)[3 * n + 1];
                its = ((const Py_hash_t *)entries)[3 * n];
            }
            if (held == key) return key;
            if (held != NULL && its == hash && skip-- == 0) found = held;
        }
        perturb >>= 5;
        i = (i * 5 + perturb + 1) & mask;
    }
#else
    PyObject *held, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(d, &at, &held, &value)) {
        if (held == key) return key;
        if (PyUnicode_CheckExact(held) && PyObject_Hash(held) != hash) continue;
        if (skip-- == 0) return held;
    }
    return NULL;
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
