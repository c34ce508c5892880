/* Owns: the layout of a dict's hash table, and the walk along the entries that have one hash.
 * May touch: the keys object of a dict, to read it. Its layout is private, and the same in CPython 3.11 to 3.14;
 * elsewhere PDT_KNOWN_TABLES is not defined, and who uses this header does without.
 * Invariants: runs no Python code, raises nothing, allocates nothing. One step is O(1). */
#ifndef PYDATATRACKER_DICT_TABLE_H
#define PYDATATRACKER_DICT_TABLE_H

#include <Python.h>
#include <stdint.h>

#include "compat.h"

#if PY_VERSION_HEX < 0x030F0000 && !defined(Py_GIL_DISABLED) && !defined(PDT_PUBLIC_API_ONLY)
#define PDT_KNOWN_TABLES

typedef struct {
    Py_ssize_t refcnt;
    uint8_t log2_size;
    uint8_t log2_index_bytes;
    uint8_t kind; /* 0: entries are hash, key, value; 1: key, value, all keys exact str; 2: as 1, values elsewhere */
    uint32_t version;
    Py_ssize_t usable;
    Py_ssize_t entries;
    char indices[];
} pdt_table;

typedef struct {
    const pdt_table *table;
    Py_hash_t hash;
    size_t mask, perturb, i;
} pdt_walk;

static inline const pdt_table *pdt_table_of(PyObject *d) { return (const pdt_table *)((PyDictObject *)d)->ma_keys; }

static inline Py_ssize_t pdt_table_index(const pdt_table *t, size_t i) {
    if (t->log2_size < 8) return ((const int8_t *)t->indices)[i];
    if (t->log2_size < 16) return ((const int16_t *)t->indices)[i];
    if (t->log2_size < 32) return ((const int32_t *)t->indices)[i];
    return (Py_ssize_t)((const int64_t *)t->indices)[i];
}

/* The key of an entry (borrowed) and its hash; NULL if the entry was removed. */
static inline PyObject *pdt_table_key(const pdt_table *t, Py_ssize_t n, Py_hash_t *hash) {
    const char *entries = t->indices + ((size_t)1 << t->log2_index_bytes);
    PyObject *key;
    if (t->kind == 0) {
        *hash = ((const Py_hash_t *)entries)[3 * n];
        return ((PyObject *const *)entries)[3 * n + 1];
    }
    key = ((PyObject *const *)entries)[2 * n];
    if (key != NULL) *hash = ((PyASCIIObject *)key)->hash;
    return key;
}

static inline void pdt_walk_begin(pdt_walk *w, const pdt_table *t, Py_hash_t hash) {
    w->table = t;
    w->hash = hash;
    w->mask = ((size_t)1 << t->log2_size) - 1;
    w->perturb = (size_t)hash;
    w->i = (size_t)hash & w->mask;
}

/* The number of the next entry whose key has the hash, and the key (borrowed); -1 if there are no more. One entry can
 * be met several times. */
static inline Py_ssize_t pdt_walk_next(pdt_walk *w, PyObject **key) {
    for (;;) {
        Py_hash_t hash;
        Py_ssize_t n = pdt_table_index(w->table, w->i);
        if (n == -1) return -1; /* an empty slot ends the chain */
        w->perturb >>= 5;
        w->i = (w->i * 5 + w->perturb + 1) & w->mask;
        if (n >= 0 && (*key = pdt_table_key(w->table, n, &hash)) != NULL && hash == w->hash) return n;
    }
}
#endif

#endif
