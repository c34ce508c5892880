/* Owns: finding the neighbours of a key that is removed from a dict, which CPython has no function for.
 * May touch: the hash table of a dict (dict_table.h), to read it. Where its layout is unknown nothing is found, and a
 * key that comes back goes to the end.
 * Invariant: runs no user code. O(1), but for the keys removed next to it: O(log n) amortized, because each search ends
 * at the nearer end of the gap. */
#ifndef PYDATATRACKER_DICT_ORDER_H
#define PYDATATRACKER_DICT_ORDER_H

#include "dict_table.h"

enum { PDT_LAST = -1, PDT_FIRST = -2, PDT_AFTER = -3, PDT_BEFORE = -4 };

typedef struct {
    const void *table;  /* of the dict when it was looked at; NULL: unknown */
    Py_hash_t hash;
    size_t n;           /* entries whose key has the hash; probing can meet one several times */
    size_t sum;         /* of where they are: what is missing afterwards tells which is gone */
} pdt_spot;

#ifdef PDT_KNOWN_TABLES
/* Remember where the keys with a hash are; call it just before one of them is removed. */
static inline void pdt_spot_find(PyObject *d, Py_hash_t hash, pdt_spot *spot) {
    const pdt_table *table = pdt_table_of(d);
    PyObject *key;
    Py_ssize_t at;
    pdt_walk walk;
    spot->table = NULL;
    spot->hash = hash;
    spot->n = spot->sum = 0;
    if (((PyDictObject *)d)->ma_values != NULL || table->kind > 1) return;
    spot->table = table;
    pdt_walk_begin(&walk, table, hash);
    while ((at = pdt_walk_next(&walk, &key)) >= 0) {
        spot->n++;
        spot->sum += (size_t)at;
    }
}

/* Say where the key was that is gone since pdt_spot_find; *beside: its neighbour (borrowed), if the answer names one. */
static inline int pdt_spot_gap(PyObject *d, pdt_spot *spot, PyObject **beside) {
    const pdt_table *table = pdt_table_of(d);
    Py_hash_t hash;
    Py_ssize_t low, high;
    pdt_spot now;
    if (spot->table == NULL || spot->table != table) return PDT_LAST;
    pdt_spot_find(d, spot->hash, &now);
    /* false if others changed the dict while the __eq__ of a key ran */
    if (now.n >= spot->n || now.sum > spot->sum || (spot->sum - now.sum) % (spot->n - now.n)) return PDT_LAST;
    low = (Py_ssize_t)((spot->sum - now.sum) / (spot->n - now.n));
    if (low >= table->entries || pdt_table_key(table, low, &hash) != NULL) return PDT_LAST;
    for (high = low + 1, low--;; high++, low--) {
        if (high >= table->entries) return PDT_LAST;
        if (low < 0) return PDT_FIRST;
        if ((*beside = pdt_table_key(table, high, &hash)) != NULL) return PDT_BEFORE;
        if ((*beside = pdt_table_key(table, low, &hash)) != NULL) return PDT_AFTER;
    }
}
#else
static inline void pdt_spot_find(PyObject *d, Py_hash_t hash, pdt_spot *spot) { spot->table = NULL; }
static inline int pdt_spot_gap(PyObject *d, pdt_spot *spot, PyObject **beside) { return PDT_LAST; }
#endif

#endif
