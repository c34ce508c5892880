/* Owns: the cache of plain tracked attributes, by class and name, and finding one in the dict of its object.
 * May touch: class version tags (compat.h), the tables of dicts (dict_table.h) to read.
 * Invariants:
 *  - an entry means that the name is public, that the value lives in the instance, and that the class has no
 *    attribute of that name; it is valid while the class keeps its version tag;
 *  - an entry keeps its name alive, so that no other name gets the same address;
 *  - free-threaded builds do not use the cache. */
#ifndef PYDATATRACKER_ATTRIBUTE_CACHE_H
#define PYDATATRACKER_ATTRIBUTE_CACHE_H

#include "compat.h"
#include "dict_table.h"

#define PDT_PLAIN_NAMES 512
static struct { unsigned int version; PyObject *name; } pdt_plain_names[PDT_PLAIN_NAMES];

static inline int pdt_plain_slot(unsigned int version, PyObject *name) {
    return (int)((version * 31u + (unsigned int)((uintptr_t)name >> 4)) % PDT_PLAIN_NAMES);
}

static inline int pdt_known_plain(PyObject *self, PyObject *name) {
#ifdef Py_GIL_DISABLED
    return 0;
#else
    unsigned int version = pdt_class_version(Py_TYPE(self));
    int i = pdt_plain_slot(version, name);
    return version != 0 && pdt_plain_names[i].version == version && pdt_plain_names[i].name == name;
#endif
}

static inline void pdt_remember_plain(PyObject *self, PyObject *name) {
#ifndef Py_GIL_DISABLED
    unsigned int version = pdt_class_version(Py_TYPE(self));
    if (version == 0) return;
    int i = pdt_plain_slot(version, name);
    PyObject *gone = pdt_plain_names[i].name;
    Py_INCREF(name);
    pdt_plain_names[i].version = version;
    pdt_plain_names[i].name = name;
    Py_XDECREF(gone); /* an exact str: runs no code */
#endif
}

/* What the dict of an object holds under this very name (borrowed), NULL if that is not found so. O(1). */
static inline PyObject *pdt_attribute_in(PyObject *d, PyObject *name) {
#if defined(PDT_KNOWN_TABLES) && PY_VERSION_HEX >= 0x030D0000
    const pdt_table *table = pdt_table_of(d);
    PyObject *const *values = (PyObject *const *)((const char *)((PyDictObject *)d)->ma_values + 8); /* behind four bytes */
    PyObject *held;
    pdt_walk walk;
    Py_ssize_t at;
    if (table->kind == 0 || (table->kind == 2) != (((PyDictObject *)d)->ma_values != NULL)) return NULL;
    pdt_walk_begin(&walk, table, ((PyASCIIObject *)name)->hash);
    while ((at = pdt_walk_next(&walk, &held)) >= 0) {
        if (held != name) continue;
        if (table->kind == 1) return ((PyObject *const *)(table->indices + ((size_t)1 << table->log2_index_bytes)))[2 * at + 1];
        return values[at];
    }
#else
    (void)d, (void)name;
#endif
    return NULL;
}

#endif
