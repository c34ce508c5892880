/* Owns: finding the neighbours of a key that is removed from a dict, which CPython has no function for.
 * May touch: the keys object of a dict, to read it. Its layout is the same in CPython 3.11 to 3.14; elsewhere nothing
 * is found, and a key that comes back goes to the end.
 * Invariant: runs no user code. O(1), but for the keys removed next to it: O(log n) amortized, because each search ends
 * at the nearer end of the gap. */
#ifndef PYDATATRACKER_DICT_ORDER_H
#define PYDATATRACKER_DICT_ORDER_H

#include "compat.h"

enum { PDT_LAST = -1, PDT_FIRST = -2, PDT_AFTER = -3, PDT_BEFORE = -4 };

typedef struct {
    void *keys;         /* of the dict when it was looked at; NULL: unknown */
    Py_hash_t hash;
    size_t n;           /* entries whose key has the hash; probing can meet one several times */
    size_t sum;         /* of where they are: what is missing afterwards tells which is gone */
} pdt_spot;

#if PY_VERSION_HEX < 0x030F0000 && !defined(Py_GIL_DISABLED)
typedef struct {
    Py_ssize_t refcnt;
    uint8_t log2_size;
    uint8_t log2_index_bytes;
    uint8_t kind; /* 0: entries are hash, key, value; 1: key, value; 2: values are elsewhere */
    uint32_t version;
    Py_ssize_t usable;
    Py_ssize_t nentries;
    char indices[];
} pdt_keys;

static inline PyObject *pdt_entry(pdt_keys *k, Py_ssize_t i, Py_hash_t *hash) {
    char *entries = k->indices + ((size_t)1 << k->log2_index_bytes);
    if (k->kind == 0) {
        struct { Py_hash_t hash; PyObject *key; PyObject *value; } *e = (void *)entries;
        *hash = e[i].hash;
        return e[i].value == NULL ? NULL : e[i].key;
    }
    struct { PyObject *key; PyObject *value; } *e = (void *)entries;
    if (e[i].value == NULL) return NULL;
    *hash = ((PyASCIIObject *)e[i].key)->hash;
    return e[i].key;
}

static inline Py_ssize_t pdt_index(pdt_keys *k, size_t i) {
    if (k->log2_size < 8) return ((int8_t *)k->indices)[i];
    if (k->log2_size < 16) return ((int16_t *)k->indices)[i];
#if SIZEOF_VOID_P > 4
    if (k->log2_size >= 32) return (Py_ssize_t)((int64_t *)k->indices)[i];
#endif
    return ((int32_t *)k->indices)[i];
}

/* Remember where the keys with a hash are; call it just before one of them is removed. */
static inline void pdt_spot_find(PyObject *d, Py_hash_t hash, pdt_spot *spot) {
    pdt_keys *k = (pdt_keys *)((PyDictObject *)d)->ma_keys;
    size_t mask = ((size_t)1 << k->log2_size) - 1, perturb = (size_t)hash, i = (size_t)hash & mask;
    Py_hash_t held;
    spot->keys = NULL;
    spot->hash = hash;
    spot->n = spot->sum = 0;
    if (((PyDictObject *)d)->ma_values != NULL || k->kind > 1) return;
    spot->keys = k;
    for (;;) {
        Py_ssize_t at = pdt_index(k, i);
        if (at == -1) return;
        if (at >= 0 && pdt_entry(k, at, &held) != NULL && held == hash) {
            spot->n++;
            spot->sum += (size_t)at;
        }
        perturb >>= 5;
        i = (i * 5 + perturb + 1) & mask;
    }
}

/* Say where the key was that is gone since pdt_spot_find; *beside: its neighbour (borrowed), if the answer names one. */
static inline int pdt_spot_gap(PyObject *d, pdt_spot *spot, PyObject **beside) {
    pdt_keys *k = (pdt_keys *)((PyDictObject *)d)->ma_keys;
    Py_hash_t held;
    Py_ssize_t low, high;
    pdt_spot now;
    if (spot->keys == NULL || spot->keys != (void *)k) return PDT_LAST;
    pdt_spot_find(d, spot->hash, &now);
    /* false if others changed the dict while the __eq__ of a key ran */
    if (now.n >= spot->n || now.sum > spot->sum || (spot->sum - now.sum) % (spot->n - now.n)) return PDT_LAST;
    low = (Py_ssize_t)((spot->sum - now.sum) / (spot->n - now.n));
    if (low >= k->nentries || pdt_entry(k, low, &held) != NULL) return PDT_LAST;
    for (high = low + 1, low--;; high++, low--) {
        if (high >= k->nentries) return PDT_LAST;
        if (low < 0) return PDT_FIRST;
        if ((*beside = pdt_entry(k, high, &held)) != NULL) return PDT_BEFORE;
        if ((*beside = pdt_entry(k, low, &held)) != NULL) return PDT_AFTER;
    }
}
#else
static inline void pdt_spot_find(PyObject *d, Py_hash_t hash, pdt_spot *spot) { spot->keys = NULL; }
static inline int pdt_spot_gap(PyObject *d, pdt_spot *spot, PyObject **beside) { return PDT_LAST; }
#endif

#endif
