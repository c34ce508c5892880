/* Owns: the cache of plain tracked attributes, by class and name.
 * May touch: class version tags (compat.h).
 * Invariants:
 *  - an entry means that the name is public, that the value lives in the instance, and that the class has no
 *    attribute of that name; it is valid while the class keeps its version tag;
 *  - an entry keeps its name alive, so that no other name gets the same address;
 *  - free-threaded builds do not use the cache. */
#ifndef PYDATATRACKER_ATTRIBUTE_CACHE_H
#define PYDATATRACKER_ATTRIBUTE_CACHE_H

#include "compat.h"

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

#endif
