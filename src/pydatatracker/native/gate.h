/* Owns: the lock of the core on a free-threaded CPython (PEP 703). On any other one, every name here is empty.
 * May touch: the slots and methods of the core's own types and of its module, which are called through a gate; the macros
 * below stand for functions of the C API that may run a program's code.
 * Invariants:
 *  - whoever comes into the core from outside takes the lock, and has it until he leaves: the core is run by one thread
 *    at a time, as under the GIL. Reading one item of a dict, list or set does without (pdt_gate_type);
 *  - under the GIL another thread can come in between only where a program's code runs. It is the same here: a call of a
 *    Python function or of an object's __call__ or __del__ gives the lock up (pdt_open), and takes it again afterwards;
 *  - where a program's code may run inside a function of CPython (a key's __eq__ in the store of a dict), the lock is
 *    kept, or what the function changed and the record would not be one step. It is offered (pdt_offer): if the owner
 *    waits for something else all the while, PDT_PATIENCE polls long, a thread that needs the lock takes it over, and the
 *    owner asks for it anew when the function returns. So nobody waits for ever, whatever the code in between does;
 *  - the lock is never waited for by a thread that the collector's stop of the world has to wait for. */
#ifndef PYDATATRACKER_GATE_H
#define PYDATATRACKER_GATE_H

#include <Python.h>

#ifdef Py_GIL_DISABLED
enum { PDT_FREE_THREADED = 1 };
#else
enum { PDT_FREE_THREADED = 0 };
#endif

#ifndef Py_GIL_DISABLED

static inline int pdt_enter(void) { return 0; }
static inline void pdt_leave(int offered) { (void)offered; }
typedef int pdt_opening;
static inline pdt_opening pdt_open(void) { return 0; }
static inline void pdt_close(pdt_opening opened) { (void)opened; }
static inline int pdt_enter_freeing(PyObject *o, PyTypeObject *base, int *offers) { (void)o, (void)base, (void)offers; return 1; }
static inline void pdt_dealloc_as(PyTypeObject *type, PyObject *o) { type->tp_dealloc(o); }
static inline int pdt_offer(void) { return 0; }
static inline void pdt_withdraw(int offers) { (void)offers; }
static inline int pdt_pin(PyObject *o) { return Py_REFCNT(o) > 0; }
static inline void pdt_can_pin(PyObject *o) { (void)o; }
static inline void pdt_gate_hold(void) {}
static inline void pdt_gate_release(void) {}
static inline void pdt_gate_forked(void) {}
static inline int pdt_gate_all(PyObject *names) { (void)names; return 0; }
#define PDT_GATED(maker) (maker)

#else

/* ---- the lock ---------------------------------------------------------------------------------------- */
#define PDT_PATIENCE 200    /* polls of a millisecond */

#if defined(__GNUC__) && !defined(__APPLE__)
#define PDT_TLS __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define PDT_TLS _Py_thread_local
#endif

static PDT_TLS int pdt_depth = 0;       /* how often this thread is inside; 0: it does not have the lock */
static PDT_TLS int pdt_offering = 0;    /* it had it when it made its offer, and anybody may take it over */
static PDT_TLS uint64_t pdt_own_offer = 0;
static int pdt_held = 0;
static int pdt_sleeping = 0;            /* a thread waits that nobody has woken since it began */
static uint64_t pdt_offered = 0;        /* number of the offer that stands; 0: none */
static uint64_t pdt_offers = 0;         /* made so far; whoever has the lock counts */
static PyThreadState *pdt_offerer = NULL;
static PyThread_type_lock pdt_wake = NULL;

static inline int pdt_try(void) {
    int is_free = 0;
    return _Py_atomic_compare_exchange_int(&pdt_held, &is_free, 1);
}

/* True if an offer stands, and the thread that made it waits. */
static int pdt_is_detached(uint64_t offer) {
    PyThreadState *offerer = _Py_atomic_load_ptr(&pdt_offerer);
    return _Py_atomic_load_uint64(&pdt_offered) == offer && _Py_atomic_load_int_relaxed(&offerer->state) == 0;
}

/* The lock is another thread's: wait until it is ours. */
static void pdt_wait(void) {
    uint64_t seen = 0, stands;
    int polls = 0;
    for (;;) {
        stands = _Py_atomic_load_uint64(&pdt_offered);
        /* an owner that is only slow is no reason; one that waits for something is detached */
        polls = stands != 0 && stands == seen && pdt_is_detached(stands) ? polls + 1 : 0;
        seen = stands;
        if (polls >= PDT_PATIENCE && _Py_atomic_compare_exchange_uint64(&pdt_offered, &stands, 0)) break;
        _Py_atomic_store_int(&pdt_sleeping, 1);
        if (pdt_try()) break;
        Py_BEGIN_ALLOW_THREADS
        PyThread_acquire_lock_timed(pdt_wake, 1000, 0);
        Py_END_ALLOW_THREADS
        if (pdt_try()) break;
    }
}

static inline void pdt_take(void) {
    if (!pdt_try()) pdt_wait();
}
static inline void pdt_let_go(void) {
    _Py_atomic_store_int(&pdt_held, 0);
    /* once for each sleep: a thread that stores goes on meanwhile, which is much quicker than taking turns */
    if (_Py_atomic_load_int_relaxed(&pdt_sleeping) && _Py_atomic_exchange_int(&pdt_sleeping, 0)) PyThread_release_lock(pdt_wake);
}

/* Begin a piece of code of the program in a function of CPython that must be one step with what follows. */
static inline int pdt_offer(void) {
    if (pdt_depth == 0 || pdt_offering) return 0;
    pdt_offering = 1;
    _Py_atomic_store_ptr(&pdt_offerer, PyThreadState_GetUnchecked());
    pdt_own_offer = ++pdt_offers;
    _Py_atomic_store_uint64(&pdt_offered, pdt_own_offer);
    return 1;
}
static inline void pdt_withdraw(int offers) {
    uint64_t mine = pdt_own_offer;
    if (!offers) return;
    pdt_offering = 0;
    if (!_Py_atomic_compare_exchange_uint64(&pdt_offered, &mine, 0)) pdt_take();
}

/* ---- references that are taken while the lock is held --------------------------------------------------- */
/* The last reference to a container can go in another thread, which then waits for the lock to free it. Who uses a
 * container that its tracker knows takes a reference first, and gives it back on his way out. */
#define PDT_FEW_PINS 32
static PDT_TLS PyObject *pdt_few[PDT_FEW_PINS], **pdt_pinned = NULL; /* NULL: few */
static PDT_TLS Py_ssize_t pdt_pins = 0, pdt_pins_room = PDT_FEW_PINS, pdt_first_pin = 0; /* the first one since we came in */

/* A new reference unless the object is being freed; its class has to allow that: pdt_can_pin. */
static inline int pdt_try_incref(PyObject *o) {
#if PY_VERSION_HEX >= 0x030E0000
    return PyUnstable_TryIncRef(o);
#else
    Py_ssize_t shared;
    uint32_t local = _Py_atomic_load_uint32_relaxed(&o->ob_ref_local);
    if (local == _Py_IMMORTAL_REFCNT_LOCAL) return 1;
    if (_Py_IsOwnedByCurrentThread(o)) {
        if (local == 0) return 0;
        _Py_atomic_store_uint32_relaxed(&o->ob_ref_local, local + 1);
        return 1;
    }
    shared = _Py_atomic_load_ssize_relaxed(&o->ob_ref_shared);
    do {
        if (shared == 0 || shared == _Py_REF_MERGED) return 0;
    } while (!_Py_atomic_compare_exchange_ssize(&o->ob_ref_shared, &shared, shared + (1 << _Py_REF_SHARED_SHIFT)));
    return 1;
#endif
}
static inline void pdt_can_pin(PyObject *o) {
#if PY_VERSION_HEX >= 0x030E0000
    PyUnstable_EnableTryIncRef(o);
#else
    Py_ssize_t shared = _Py_atomic_load_ssize_relaxed(&o->ob_ref_shared);
    do {
        if (shared & _Py_REF_SHARED_FLAG_MASK) return;
    } while (!_Py_atomic_compare_exchange_ssize(&o->ob_ref_shared, &shared, shared | _Py_REF_MAYBE_WEAKREF));
#endif
}
static int pdt_pin(PyObject *o) {
    PyObject **pinned = pdt_pinned == NULL ? pdt_few : pdt_pinned;
    if (pdt_pins > pdt_first_pin && pinned[pdt_pins - 1] == o) return 1;
    if (pdt_pins == pdt_pins_room) {
        PyObject **more = (PyObject **)PyMem_RawMalloc((size_t)(2 * pdt_pins) * sizeof(PyObject *));
        if (more == NULL) return Py_REFCNT(o) > 0; /* nearly always right, and there is no memory */
        memcpy(more, pinned, (size_t)pdt_pins * sizeof(PyObject *));
        PyMem_RawFree(pdt_pinned);
        pinned = pdt_pinned = more;
        pdt_pins_room = 2 * pdt_pins;
    }
    if (!pdt_try_incref(o)) return 0;
    pinned[pdt_pins++] = o;
    return 1;
}
static void pdt_unpin(void) {
    while (pdt_pins > pdt_first_pin) { /* what is dropped can come here again */
        pdt_pins--;
        Py_DECREF((pdt_pinned == NULL ? pdt_few : pdt_pinned)[pdt_pins]);
    }
    if (pdt_pins == 0 && pdt_pinned != NULL) {
        PyMem_RawFree(pdt_pinned);
        pdt_pinned = NULL;
        pdt_pins_room = PDT_FEW_PINS;
    }
}

/* Come in, from wherever; what it returns is for pdt_leave. */
static inline int pdt_enter(void) {
    int offers = pdt_offering;
    if (pdt_depth++ == 0) pdt_take();
    else if (offers) pdt_withdraw(1);
    return offers;
}
static inline void pdt_leave(int offers) {
    if (offers) {
        pdt_depth--;
        pdt_offer();
    } else if (--pdt_depth == 0) {
        pdt_let_go();
        if (pdt_pins > pdt_first_pin) pdt_unpin();
    }
}
/* The same round a fork: no other thread is in the middle of something then. Between the two calls the program goes on. */
static inline void pdt_gate_hold(void) {
    pdt_enter();
    pdt_offer();
}
static inline void pdt_gate_release(void) {
    pdt_withdraw(pdt_offering);
    pdt_leave(0);
}

/* Let others in while a program's code runs, which may come in again. */
typedef struct { int depth; Py_ssize_t first_pin; } pdt_opening;
static inline pdt_opening pdt_open(void) {
    pdt_opening opened = {pdt_offering ? 0 : pdt_depth, pdt_first_pin};
    if (opened.depth) {
        pdt_first_pin = pdt_pins;
        pdt_depth = 0;
        pdt_let_go();
    }
    return opened;
}
static inline void pdt_close(pdt_opening opened) {
    if (opened.depth) {
        pdt_take();
        pdt_depth = opened.depth;
        pdt_first_pin = opened.first_pin;
    }
}

/* As pdt_enter, for an object whose last reference went outside; base: the type of the core that frees it. Others can still
 * come to it by way of the core while we wait, so it has a reference meanwhile. False: it is done, by whoever had the last
 * one. */
static int pdt_enter_freeing(PyObject *o, PyTypeObject *base, int *offers) {
    Py_ssize_t shared;
    *offers = pdt_offering;
    if (pdt_depth == 0 ? pdt_try() : !pdt_offering || _Py_atomic_load_uint64(&pdt_offered) == pdt_own_offer) {
        if (pdt_depth++ > 0 && *offers) pdt_withdraw(1);
        return 1;
    }
    /* the deallocator of a derived class drops its reference each time; that of a heap type does it by itself, once */
    if (Py_TYPE(o) != base && !(base->tp_flags & Py_TPFLAGS_HEAPTYPE)) (Py_INCREF)((PyObject *)Py_TYPE(o));
    _Py_atomic_store_uint32_relaxed(&o->ob_ref_local, 0);
    _Py_atomic_store_uintptr_relaxed(&o->ob_tid, 0);
    shared = _Py_atomic_load_ssize_relaxed(&o->ob_ref_shared);
    while (!_Py_atomic_compare_exchange_ssize(
        &o->ob_ref_shared, &shared, (shared | _Py_REF_MERGED) + (1 << _Py_REF_SHARED_SHIFT))) {}
    *offers = pdt_enter();
    (Py_DECREF)(o);
    pdt_leave(*offers);
    return 0;
}

/* After a fork only this thread is there; it came in before (`pdt_gate_hold`). */
static void pdt_gate_forked(void) {
    pdt_sleeping = 0;
    pdt_offered = 0;
    pdt_offering = 0;
    pdt_held = pdt_depth > 0;
    pdt_wake = PyThread_allocate_lock(); /* the old one may be in any state; it is lost */
}

/* Free what a builtin holds: items have a __del__. */
static void pdt_dealloc_as(PyTypeObject *type, PyObject *o) {
    int offers = pdt_offer();
    type->tp_dealloc(o);
    pdt_withdraw(offers);
}

/* ---- functions of CPython that may run a program's code ------------------------------------------------ */
/* Calling a function of Python, or an object with a __call__ of its own, is the program's code and nothing else. */
static inline int pdt_is_program(PyObject *f) {
    PyTypeObject *type = Py_TYPE(f);
    return type == &PyFunction_Type || (type == &PyMethod_Type && PyFunction_Check(PyMethod_GET_FUNCTION(f))) ||
        ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) && !PyType_Check(f));
}
#define PDT_CALL(f, call)                                                                                              \
    PyObject *result;                                                                                                  \
    pdt_opening opens = {0, 0};                                                                                        \
    int offers = 0;                                                                                                    \
    if (pdt_depth) {                                                                                                   \
        if (pdt_is_program(f)) opens = pdt_open();                                                                     \
        else offers = pdt_offer();                                                                                     \
    }                                                                                                                  \
    result = call;                                                                                                     \
    pdt_withdraw(offers);                                                                                              \
    pdt_close(opens);                                                                                                  \
    return result;
static PyObject *pdt_Call(PyObject *f, PyObject *a, PyObject *k) { PDT_CALL(f, PyObject_Call(f, a, k)) }
static PyObject *pdt_CallObject(PyObject *f, PyObject *a) { PDT_CALL(f, PyObject_CallObject(f, a)) }
static PyObject *pdt_CallOneArg(PyObject *f, PyObject *a) { PDT_CALL(f, PyObject_CallOneArg(f, a)) }
static PyObject *pdt_CallNoArgs(PyObject *f) { PDT_CALL(f, PyObject_CallNoArgs(f)) }
static PyObject *pdt_Vectorcall(PyObject *f, PyObject *const *a, size_t n, PyObject *k) {
    PDT_CALL(f, PyObject_Vectorcall(f, a, n, k))
}
static PyObject *pdt_VectorcallDict(PyObject *f, PyObject *const *a, size_t n, PyObject *k) {
    PDT_CALL(f, PyObject_VectorcallDict(f, a, n, k))
}
/* A method is looked for first, so that we know what is called. */
static PyObject *pdt_VectorcallMethod(PyObject *name, PyObject *const *a, size_t n, PyObject *k) {
    PyObject *result, *method;
    int offers;
    if (!pdt_depth) return PyObject_VectorcallMethod(name, a, n, k);
    offers = pdt_offer();
    method = PyObject_GetAttr(a[0], name);
    pdt_withdraw(offers);
    if (method == NULL) return NULL;
    result = pdt_Vectorcall(method, a + 1, (size_t)(PyVectorcall_NARGS(n) - 1), k);
    Py_DECREF(method);
    return result;
}
#define PyObject_Call(f, a, k) pdt_Call((PyObject *)(f), a, k)
#define PyObject_CallObject(f, a) pdt_CallObject((PyObject *)(f), a)
#define PyObject_CallOneArg(f, a) pdt_CallOneArg((PyObject *)(f), a)
#define PyObject_CallNoArgs(f) pdt_CallNoArgs((PyObject *)(f))
#define PyObject_Vectorcall(f, a, n, k) pdt_Vectorcall((PyObject *)(f), a, n, k)
#define PyObject_VectorcallDict(f, a, n, k) pdt_VectorcallDict((PyObject *)(f), a, n, k)
#define PyObject_VectorcallMethod(name, a, n, k) pdt_VectorcallMethod(name, a, n, k)

/* All others are offered. The name in parentheses is CPython's own function. */
#define PDT_OFFERED(type, call)                                                                                        \
    int offers = pdt_offer();                                                                                          \
    type result = call;                                                                                                \
    pdt_withdraw(offers);                                                                                              \
    return result;
#define PDT_OFFERED_1(type, name, A)                                                                                   \
    static type pdt_1_##name(A a) { PDT_OFFERED(type, (name)(a)) }
#define PDT_OFFERED_2(type, name, A, B)                                                                                \
    static type pdt_2_##name(A a, B b) { PDT_OFFERED(type, (name)(a, b)) }
#define PDT_OFFERED_3(type, name, A, B, C)                                                                             \
    static type pdt_3_##name(A a, B b, C c) { PDT_OFFERED(type, (name)(a, b, c)) }
typedef PyObject *pdt_o;
PDT_OFFERED_2(pdt_o, PyObject_GetAttr, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyObject_GetAttrString, pdt_o, const char *)
PDT_OFFERED_3(int, PyObject_GetOptionalAttr, pdt_o, pdt_o, pdt_o *)
PDT_OFFERED_2(int, PyObject_HasAttrWithError, pdt_o, pdt_o)
PDT_OFFERED_3(int, PyObject_SetAttr, pdt_o, pdt_o, pdt_o)
PDT_OFFERED_3(int, PyObject_SetAttrString, pdt_o, const char *, pdt_o)
PDT_OFFERED_2(pdt_o, PyObject_GenericGetAttr, pdt_o, pdt_o)
PDT_OFFERED_3(int, PyObject_GenericSetAttr, pdt_o, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyObject_GetItem, pdt_o, pdt_o)
PDT_OFFERED_3(int, PyObject_SetItem, pdt_o, pdt_o, pdt_o)
PDT_OFFERED_2(int, PyObject_DelItem, pdt_o, pdt_o)
PDT_OFFERED_1(pdt_o, PyObject_GetIter, pdt_o)
PDT_OFFERED_1(pdt_o, PyIter_Next, pdt_o)
PDT_OFFERED_1(Py_ssize_t, PyObject_Size, pdt_o)
PDT_OFFERED_1(int, PyObject_IsTrue, pdt_o)
PDT_OFFERED_1(pdt_o, PyObject_Repr, pdt_o)
PDT_OFFERED_1(pdt_o, PyObject_Str, pdt_o)
PDT_OFFERED_2(pdt_o, PyObject_Format, pdt_o, pdt_o)
PDT_OFFERED_1(Py_hash_t, PyObject_Hash, pdt_o)
PDT_OFFERED_3(pdt_o, PyObject_RichCompare, pdt_o, pdt_o, int)
PDT_OFFERED_3(int, PyObject_RichCompareBool, pdt_o, pdt_o, int)
PDT_OFFERED_2(int, PyObject_IsInstance, pdt_o, pdt_o)
PDT_OFFERED_2(int, PyObject_IsSubclass, pdt_o, pdt_o)
PDT_OFFERED_1(pdt_o, PySequence_List, pdt_o)
PDT_OFFERED_1(pdt_o, PySequence_Tuple, pdt_o)
PDT_OFFERED_2(int, PySequence_Contains, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyNumber_Add, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyNumber_InPlaceAdd, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyNumber_InPlaceOr, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyNumber_Or, pdt_o, pdt_o)
PDT_OFFERED_2(pdt_o, PyNumber_And, pdt_o, pdt_o)
PDT_OFFERED_1(pdt_o, PyNumber_Index, pdt_o)
PDT_OFFERED_2(Py_ssize_t, PyNumber_AsSsize_t, pdt_o, pdt_o)
PDT_OFFERED_1(pdt_o, PySet_New, pdt_o)
PDT_OFFERED_1(pdt_o, PyFrozenSet_New, pdt_o)
PDT_OFFERED_1(pdt_o, PyImport_ImportModule, const char *)
PDT_OFFERED_3(int, PyErr_WarnEx, pdt_o, const char *, Py_ssize_t)
PDT_OFFERED_1(int, PyList_Sort, pdt_o)
PDT_OFFERED_2(int, PyList_Extend, pdt_o, pdt_o)
#define PyObject_GetAttr pdt_2_PyObject_GetAttr
#define PyObject_GetAttrString pdt_2_PyObject_GetAttrString
#define PyObject_GetOptionalAttr pdt_3_PyObject_GetOptionalAttr
#define PyObject_HasAttrWithError pdt_2_PyObject_HasAttrWithError
#define PyObject_SetAttr pdt_3_PyObject_SetAttr
#define PyObject_SetAttrString pdt_3_PyObject_SetAttrString
#define PyObject_GenericGetAttr pdt_2_PyObject_GenericGetAttr
#define PyObject_GenericSetAttr pdt_3_PyObject_GenericSetAttr
#define PyObject_GetItem pdt_2_PyObject_GetItem
#define PyObject_SetItem pdt_3_PyObject_SetItem
#define PyObject_DelItem pdt_2_PyObject_DelItem
#define PyObject_GetIter pdt_1_PyObject_GetIter
#define PyIter_Next pdt_1_PyIter_Next
#define PyObject_Size pdt_1_PyObject_Size
#define PyObject_IsTrue pdt_1_PyObject_IsTrue
#define PyObject_Repr pdt_1_PyObject_Repr
#define PyObject_Str pdt_1_PyObject_Str
#define PyObject_Format pdt_2_PyObject_Format
#define PyObject_Hash pdt_1_PyObject_Hash
#define PyObject_RichCompare pdt_3_PyObject_RichCompare
#define PyObject_RichCompareBool pdt_3_PyObject_RichCompareBool
#define PyObject_IsInstance pdt_2_PyObject_IsInstance
#define PyObject_IsSubclass pdt_2_PyObject_IsSubclass
#define PySequence_List pdt_1_PySequence_List
#define PySequence_Tuple pdt_1_PySequence_Tuple
#define PySequence_Contains pdt_2_PySequence_Contains
#define PyNumber_Add pdt_2_PyNumber_Add
#define PyNumber_InPlaceAdd pdt_2_PyNumber_InPlaceAdd
#define PyNumber_InPlaceOr pdt_2_PyNumber_InPlaceOr
#define PyNumber_Or pdt_2_PyNumber_Or
#define PyNumber_And pdt_2_PyNumber_And
#define PyNumber_Index pdt_1_PyNumber_Index
#define PyNumber_AsSsize_t pdt_2_PyNumber_AsSsize_t
#define PySet_New pdt_1_PySet_New
#define PyFrozenSet_New pdt_1_PyFrozenSet_New
#define PyImport_ImportModule pdt_1_PyImport_ImportModule
#define PyErr_WarnEx pdt_3_PyErr_WarnEx
#define PyList_Sort pdt_1_PyList_Sort
#define PyList_Extend pdt_2_PyList_Extend

static pdt_o pdt_ImportLevel(pdt_o name, pdt_o globals, pdt_o locals, pdt_o names, int level) {
    PDT_OFFERED(pdt_o, PyImport_ImportModuleLevelObject(name, globals, locals, names, level))
}
#define PyImport_ImportModuleLevelObject pdt_ImportLevel

#undef __Pyx_PyObject_GetIterNextFunc /* of Cython's loops */
#define __Pyx_PyObject_GetIterNextFunc(iterator) ((void)(iterator), pdt_1_PyIter_Next)

/* What takes a key: a str, a number or bytes runs nothing. */
static inline int pdt_offer_key(PyObject *key) {
    return PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyBytes_CheckExact(key) ? 0 : pdt_offer();
}
#define PDT_KEYED(type, call)                                                                                          \
    int offers = pdt_offer_key(key);                                                                                   \
    type result = call;                                                                                                \
    pdt_withdraw(offers);                                                                                              \
    return result;
static inline int pdt_DictSetItem(pdt_o d, pdt_o key, pdt_o value) { PDT_KEYED(int, PyDict_SetItem(d, key, value)) }
static inline int pdt_DictDelItem(pdt_o d, pdt_o key) { PDT_KEYED(int, PyDict_DelItem(d, key)) }
static inline pdt_o pdt_DictGetItem(pdt_o d, pdt_o key) { PDT_KEYED(pdt_o, PyDict_GetItemWithError(d, key)) }
static inline int pdt_DictGetItemRef(pdt_o d, pdt_o key, pdt_o *to) { PDT_KEYED(int, PyDict_GetItemRef(d, key, to)) }
static inline int pdt_DictContains(pdt_o d, pdt_o key) { PDT_KEYED(int, PyDict_Contains(d, key)) }
static inline int pdt_DictPop(pdt_o d, pdt_o key, pdt_o *to) { PDT_KEYED(int, PyDict_Pop(d, key, to)) }
static inline pdt_o pdt_DictSetDefault(pdt_o d, pdt_o key, pdt_o v) { PDT_KEYED(pdt_o, PyDict_SetDefault(d, key, v)) }
static inline int pdt_SetAdd(pdt_o s, pdt_o key) { PDT_KEYED(int, PySet_Add(s, key)) }
static inline int pdt_SetContains(pdt_o s, pdt_o key) { PDT_KEYED(int, PySet_Contains(s, key)) }
static inline int pdt_SetDiscard(pdt_o s, pdt_o key) { PDT_KEYED(int, PySet_Discard(s, key)) }
static inline int pdt_DictUpdate(pdt_o a, pdt_o b) { PDT_OFFERED(int, PyDict_Update(a, b)) }
static inline int pdt_DictMerge(pdt_o a, pdt_o b, int over) { PDT_OFFERED(int, PyDict_Merge(a, b, over)) }
#define PyDict_SetItem pdt_DictSetItem
#define PyDict_DelItem pdt_DictDelItem
#define PyDict_GetItemWithError pdt_DictGetItem
#define PyDict_GetItemRef pdt_DictGetItemRef
#define PyDict_Contains pdt_DictContains
#define PyDict_Pop pdt_DictPop
#define PyDict_SetDefault pdt_DictSetDefault
#define PySet_Add pdt_SetAdd
#define PySet_Contains pdt_SetContains
#define PySet_Discard pdt_SetDiscard
#define PyDict_Update pdt_DictUpdate
#define PyDict_Merge pdt_DictMerge

/* The last reference to something: its __del__ is the program's code; what else it holds may have one. */
static void pdt_drop(PyObject *o) {
    PyTypeObject *type = Py_TYPE(o);
    pdt_opening opens = {0, 0};
    int offers = 0;
    if (pdt_depth && Py_REFCNT(o) == 1) {
        if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) && (type->tp_finalize != NULL || type->tp_del != NULL)) opens = pdt_open();
        else offers = pdt_offer();
    }
    (Py_DECREF)(o);
    pdt_withdraw(offers);
    pdt_close(opens);
}
static inline void pdt_decref(PyObject *o) {
    if (Py_TYPE(o)->tp_flags & (Py_TPFLAGS_HEAPTYPE | Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS |
                                Py_TPFLAGS_DICT_SUBCLASS))
        pdt_drop(o);
    else (Py_DECREF)(o);
}
#undef Py_DECREF
#undef Py_XDECREF
#define Py_DECREF(o) pdt_decref(_PyObject_CAST(o))
#define Py_XDECREF(o) do { PyObject *pdt_dropped = _PyObject_CAST(o); if (pdt_dropped != NULL) pdt_decref(pdt_dropped); } while (0)

static void pdt_freeing_dealloc(PyObject *);

/* ---- gates ------------------------------------------------------------------------------------------- */
/* A function of the core that others can call is replaced by a gate, which comes in, calls it and leaves. A gate has no
 * room for the function it stands for, so there are PDT_GATES of each shape, each with a place in a table. */
#define PDT_GATES 512
#define PDT_16(m, s, n) m(s, n##0) m(s, n##1) m(s, n##2) m(s, n##3) m(s, n##4) m(s, n##5) m(s, n##6) m(s, n##7) m(s, n##8) \
    m(s, n##9) m(s, n##A) m(s, n##B) m(s, n##C) m(s, n##D) m(s, n##E) m(s, n##F)
#define PDT_256(m, s, n) PDT_16(m, s, n##0) PDT_16(m, s, n##1) PDT_16(m, s, n##2) PDT_16(m, s, n##3) PDT_16(m, s, n##4) \
    PDT_16(m, s, n##5) PDT_16(m, s, n##6) PDT_16(m, s, n##7) PDT_16(m, s, n##8) PDT_16(m, s, n##9) PDT_16(m, s, n##A) \
    PDT_16(m, s, n##B) PDT_16(m, s, n##C) PDT_16(m, s, n##D) PDT_16(m, s, n##E) PDT_16(m, s, n##F)

typedef void (*pdt_function)(void);
typedef struct { pdt_function inside[PDT_GATES]; int used; } pdt_gates;

#define PDT_SHAPE(shape, result, parameters, arguments)                                                                \
    typedef result (*pdt_f_##shape) parameters;                                                                        \
    static pdt_gates pdt_gates_##shape;                                                                                \
    PDT_256(PDT_GATE_##shape, shape, 0x0)                                                                              \
    PDT_256(PDT_GATE_##shape, shape, 0x1)                                                                              \
    static const pdt_function pdt_list_##shape[PDT_GATES] = {PDT_256(PDT_NAME, shape, 0x0) PDT_256(PDT_NAME, shape, 0x1)};
#define PDT_NAME(shape, n) (pdt_function)pdt_gate_##shape##_##n,
#define PDT_GATE(shape, n, result, parameters, arguments)                                                              \
    static result pdt_gate_##shape##_##n parameters {                                                                  \
        int offers = pdt_enter();                                                                                      \
        result got = ((pdt_f_##shape)pdt_gates_##shape.inside[n]) arguments;                                           \
        pdt_leave(offers);                                                                                             \
        return got;                                                                                                    \
    }
#define PDT_GATE_o1(s, n) PDT_GATE(o1, n, pdt_o, (pdt_o a), (a))
#define PDT_GATE_o2(s, n) PDT_GATE(o2, n, pdt_o, (pdt_o a, pdt_o b), (a, b))
#define PDT_GATE_o3(s, n) PDT_GATE(o3, n, pdt_o, (pdt_o a, pdt_o b, pdt_o c), (a, b, c))
#define PDT_GATE_o4(s, n) PDT_GATE(o4, n, pdt_o, (pdt_o a, pdt_o const *b, Py_ssize_t c, pdt_o d), (a, b, c, d))
#define PDT_GATE_oi(s, n) PDT_GATE(oi, n, pdt_o, (pdt_o a, pdt_o b, int c), (a, b, c))
#define PDT_GATE_on(s, n) PDT_GATE(on, n, pdt_o, (pdt_o a, Py_ssize_t b), (a, b))
#define PDT_GATE_i1(s, n) PDT_GATE(i1, n, int, (pdt_o a), (a))
#define PDT_GATE_i2(s, n) PDT_GATE(i2, n, int, (pdt_o a, pdt_o b), (a, b))
#define PDT_GATE_i3(s, n) PDT_GATE(i3, n, int, (pdt_o a, pdt_o b, pdt_o c), (a, b, c))
#define PDT_GATE_in(s, n) PDT_GATE(in, n, int, (pdt_o a, Py_ssize_t b, pdt_o c), (a, b, c))
#define PDT_GATE_n1(s, n) PDT_GATE(n1, n, Py_ssize_t, (pdt_o a), (a))
static inline PyTypeObject *pdt_freed_by(PyObject *o, destructor gate) {
    PyTypeObject *type = Py_TYPE(o);
    while (type->tp_dealloc != gate) type = type->tp_base;
    return type;
}
#define PDT_GATE_v1(s, n)                                                                                              \
    static void pdt_gate_v1_##n(pdt_o a) {                                                                             \
        int offers;                                                                                                    \
        if (!pdt_enter_freeing(a, pdt_freed_by(a, pdt_gate_v1_##n), &offers)) return;                                  \
        ((pdt_f_v1)pdt_gates_v1.inside[n])(a);                                                                         \
        pdt_leave(offers);                                                                                             \
    }
PDT_SHAPE(o1, pdt_o, (pdt_o), )
PDT_SHAPE(o2, pdt_o, (pdt_o, pdt_o), )
PDT_SHAPE(o3, pdt_o, (pdt_o, pdt_o, pdt_o), )
PDT_SHAPE(o4, pdt_o, (pdt_o, pdt_o const *, Py_ssize_t, pdt_o), )
PDT_SHAPE(oi, pdt_o, (pdt_o, pdt_o, int), )
PDT_SHAPE(on, pdt_o, (pdt_o, Py_ssize_t), )
PDT_SHAPE(i1, int, (pdt_o), )
PDT_SHAPE(i2, int, (pdt_o, pdt_o), )
PDT_SHAPE(i3, int, (pdt_o, pdt_o, pdt_o), )
PDT_SHAPE(in, int, (pdt_o, Py_ssize_t, pdt_o), )
PDT_SHAPE(n1, Py_ssize_t, (pdt_o), )
PDT_SHAPE(v1, void, (pdt_o), )

/* The gate of a function: the one it has, or a new one; the function itself if it is a gate. */
static pdt_function pdt_gate_of(pdt_gates *all, const pdt_function *list, pdt_function f) {
    int i;
    if (f == NULL) return NULL;
    for (i = 0; i < all->used; i++)
        if (all->inside[i] == f || list[i] == f) return list[i];
    if (all->used == PDT_GATES) Py_FatalError("pydatatracker: more functions than gates; raise PDT_GATES");
    all->inside[all->used] = f;
    return list[all->used++];
}
#define PDT_GATE_FOR(shape, f) pdt_gate_of(&pdt_gates_##shape, pdt_list_##shape, (pdt_function)(f))
#define PDT_GATED(maker) ((vectorcallfunc)PDT_GATE_FOR(o4, maker))

static void pdt_gate_method(PyMethodDef *def) {
    int how = def->ml_flags & (METH_VARARGS | METH_KEYWORDS | METH_FASTCALL | METH_NOARGS | METH_O | METH_METHOD);
    if (how & METH_METHOD) Py_FatalError("pydatatracker: a METH_METHOD function has no gate");
    if (how == (METH_FASTCALL | METH_KEYWORDS)) def->ml_meth = (PyCFunction)PDT_GATE_FOR(o4, def->ml_meth);
    else if (how == METH_FASTCALL) def->ml_meth = (PyCFunction)PDT_GATE_FOR(o3, def->ml_meth); /* (self, items, n) */
    else if (how == (METH_VARARGS | METH_KEYWORDS)) def->ml_meth = (PyCFunction)PDT_GATE_FOR(o3, def->ml_meth);
    else def->ml_meth = (PyCFunction)PDT_GATE_FOR(o2, def->ml_meth);
}

/* A slot that a type has from a base outside the core is not ours. `wrapper`: the method by which Python calls the slot. */
#define PDT_SLOT(shape, type_, field)                                                                                  \
    if (type->field != NULL && (base == NULL || type->field != base->field)) {                                        \
        pdt_function before = (pdt_function)type->field;                                                              \
        type->field = (type_)PDT_GATE_FOR(shape, before);                                                             \
        pdt_gate_wrappers(type, before, (pdt_function)type->field);                                                   \
    }
#define PDT_SUITE_SLOT(shape, type_, suite, field)                                                                     \
    if (type->suite != NULL && type->suite->field != NULL &&                                                          \
        (base == NULL || base->suite == NULL || type->suite->field != base->suite->field)) {                          \
        pdt_function before = (pdt_function)type->suite->field;                                                       \
        type->suite->field = (type_)PDT_GATE_FOR(shape, before);                                                      \
        pdt_gate_wrappers(type, before, (pdt_function)type->suite->field);                                            \
    }

static void pdt_gate_wrappers(PyTypeObject *type, pdt_function before, pdt_function gate) {
    PyObject *dict = PyType_GetDict(type), *name, *value;
    Py_ssize_t at = 0;
    while (dict != NULL && PyDict_Next(dict, &at, &name, &value))
        if (Py_IS_TYPE(value, &PyWrapperDescr_Type) && ((PyWrapperDescrObject *)value)->d_wrapped == (void *)before)
            ((PyWrapperDescrObject *)value)->d_wrapped = (void *)gate;
    Py_XDECREF(dict);
}

static void pdt_gate_type(PyTypeObject *type) {
    PyTypeObject *base = type->tp_base;
    PyMethodDef *def;
    PyGetSetDef *get;
    for (def = type->tp_methods; def != NULL && def->ml_name != NULL; def++) pdt_gate_method(def);
    for (get = type->tp_getset; get != NULL && get->name != NULL; get++) {
        if (get->get != NULL) get->get = (getter)PDT_GATE_FOR(o2, get->get);
        if (get->set != NULL) get->set = (setter)PDT_GATE_FOR(i3, get->set);
    }
    if (type->tp_dealloc != pdt_freeing_dealloc) { /* which comes in by itself */
        PDT_SLOT(v1, destructor, tp_dealloc)
    }
    if (type->tp_clear != NULL) type->tp_clear = (inquiry)PDT_GATE_FOR(i1, type->tp_clear); /* the builtin's, too */
    PDT_SLOT(o3, newfunc, tp_new)
    PDT_SLOT(i3, initproc, tp_init)
    PDT_SLOT(o3, ternaryfunc, tp_call)
    PDT_SLOT(o1, reprfunc, tp_repr)
    PDT_SLOT(o1, reprfunc, tp_str)
    PDT_SLOT(n1, hashfunc, tp_hash)
    PDT_SLOT(oi, richcmpfunc, tp_richcompare)
    PDT_SLOT(o2, getattrofunc, tp_getattro)
    PDT_SLOT(i3, setattrofunc, tp_setattro)
    PDT_SLOT(o1, getiterfunc, tp_iter)
    PDT_SLOT(o1, iternextfunc, tp_iternext)
    PDT_SLOT(o3, descrgetfunc, tp_descr_get)
    PDT_SLOT(i3, descrsetfunc, tp_descr_set)
    /* reading one item of a builtin is CPython's own code, which needs no lock */
    if (!(type->tp_flags & (Py_TPFLAGS_DICT_SUBCLASS | Py_TPFLAGS_LIST_SUBCLASS)) && !PyType_IsSubtype(type, &PySet_Type)) {
        PDT_SUITE_SLOT(o2, binaryfunc, tp_as_mapping, mp_subscript)
        PDT_SUITE_SLOT(on, ssizeargfunc, tp_as_sequence, sq_item)
        PDT_SUITE_SLOT(i2, objobjproc, tp_as_sequence, sq_contains)
    }
    PDT_SUITE_SLOT(n1, lenfunc, tp_as_mapping, mp_length)
    PDT_SUITE_SLOT(i3, objobjargproc, tp_as_mapping, mp_ass_subscript)
    PDT_SUITE_SLOT(n1, lenfunc, tp_as_sequence, sq_length)
    PDT_SUITE_SLOT(in, ssizeobjargproc, tp_as_sequence, sq_ass_item)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_sequence, sq_concat)
    PDT_SUITE_SLOT(on, ssizeargfunc, tp_as_sequence, sq_repeat)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_sequence, sq_inplace_concat)
    PDT_SUITE_SLOT(on, ssizeargfunc, tp_as_sequence, sq_inplace_repeat)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_or)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_and)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_xor)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_add)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_subtract)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_inplace_or)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_inplace_and)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_inplace_xor)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_inplace_add)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_inplace_subtract)
    PDT_SUITE_SLOT(o2, binaryfunc, tp_as_number, nb_inplace_multiply)
    PyType_Modified(type);
}

/* Put gates before everything that the names of a module stand for. Functions named _gate_... have none. */
static int pdt_gate_all(PyObject *names) {
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if ((pdt_wake = PyThread_allocate_lock()) == NULL || PyThread_acquire_lock(pdt_wake, 0) == PY_LOCK_FAILURE) {
        PyErr_NoMemory();
        return -1;
    }
    while (PyDict_Next(names, &at, &name, &value)) {
        if (PyCFunction_CheckExact(value) && strncmp(PyUnicode_AsUTF8(name), "_gate_", 6) != 0)
            pdt_gate_method(((PyCFunctionObject *)value)->m_ml);
        else if (PyType_Check(value) && strncmp(((PyTypeObject *)value)->tp_name, "pydatatracker._core.", 20) == 0)
            pdt_gate_type((PyTypeObject *)value);
    }
    return 0;
}

#endif
#endif
