# Owns: declarations of the C helpers in native/, one block per header.
# May touch: those headers.
# Invariant: holds external declarations only, so that importing from it costs nothing at run time.

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uint64_t

cdef extern from "native/compat.h":
    enum:
        PDT_IS_PUBLIC
    int pdt_dict_set_hashed(object, object, object, Py_hash_t) except -1
    PyObject *pdt_dict_get_hashed(object, object, Py_hash_t) except? NULL
    int pdt_dict_delete_hashed(object, object, Py_hash_t) except -1
    PyObject *pdt_generic_get(object, object) except? NULL
    PyObject *pdt_type_lookup(PyTypeObject *, object)        # borrowed
    object pdt_repr(object)
    int pdt_repr_kind(object)
    int pdt_enter_recursion(const char *) except -1
    bint pdt_same_items(PyObject **, PyObject **, Py_ssize_t)
    int pdt_pause_gc()
    void pdt_forked_gc()
    void pdt_resume_gc(int)
    bint pdt_dict_of_scalars(object)
    object pdt_set_as_tuple(object)
    bint pdt_set_is(object, PyObject **)
    PyObject *pdt_frame()                                   # new reference, or NULL
    PyObject *pdt_frame_back(PyObject *)                    # new reference, or NULL
    PyObject *pdt_frame_code(PyObject *)                    # new reference
    size_t pdt_frame_address()
    int pdt_frame_lasti(PyObject *)

cdef extern from "native/gate.h":
    enum:
        PDT_FREE_THREADED
    int pdt_enter()
    void pdt_leave(int)
    bint pdt_pin(PyObject *)
    void pdt_can_pin(PyObject *)
    void pdt_gate_hold()
    void pdt_gate_release()
    void pdt_gate_forked()
    int pdt_gate_all(object) except -1

cdef extern from "native/dict_order.h":
    ctypedef struct pdt_spot:
        pass
    enum:
        PDT_LAST, PDT_FIRST, PDT_AFTER, PDT_BEFORE
    void pdt_spot_find(object, Py_hash_t, pdt_spot *)
    int pdt_spot_gap(object, pdt_spot *, PyObject **)       # borrowed neighbour

cdef extern from "native/clock.h":
    int64_t pdt_now_ns() nogil
    void pdt_clock_setup(int)

cdef extern from "native/sha256.h":
    ctypedef struct pdt_sha256:
        pass
    bint pdt_has_sha256
    void pdt_sha256_setup()
    void pdt_sha256_begin(pdt_sha256 *)
    void pdt_sha256_add(pdt_sha256 *, const void *, size_t)
    void pdt_sha256_end(pdt_sha256 *, unsigned char *)

cdef extern from "native/scope.h":
    PyObject *pdt_scope() except NULL                       # borrowed
    PyObject *pdt_scope_or_null "pdt_scope"() noexcept       # the same; NULL with an error set
    int pdt_scope_set(object, object) except -1
    bint pdt_scope_is(object, object) except -1
    void pdt_scope_changed(PyObject *)
    void pdt_scope_unknown()
    void pdt_scopes_over()
    object pdt_context()
    int pdt_scope_init(object, PyObject *(*)(PyObject *) noexcept) except -1

cdef extern from "native/kinds.h":
    bint pdt_plain(object)
    bint pdt_quiet_key(object)
    bint pdt_watching
    bint pdt_following
    void pdt_set_watching(Py_ssize_t)
    void pdt_set_following()
    bint pdt_is_gc(object)
    bint pdt_has_weakref(object)
    bint pdt_heap_type_of(PyTypeObject *)
    bint pdt_heap_type(object)
    bint pdt_builtin_container(object)
    bint pdt_any_heap_in(object)                            # of a list or tuple
    bint pdt_all_quiet(object)                              # of a tuple
    bint pdt_data_descriptor(object)

cdef extern from "native/copies.h":
    object pdt_list_as_tuple(object)
    object pdt_steady(object)
    object pdt_copy_items(object, Py_ssize_t, int *)

cdef extern from "native/ring.h":
    int pdt_append_none(object, Py_ssize_t) noexcept
    int pdt_list_reserve(object, Py_ssize_t) except -1
    int pdt_put(PyObject **, PyObject *, PyObject *, PyObject *, PyObject *, PyObject *, PyObject *, PyObject **)

cdef extern from "native/twins.h":
    enum:
        PDT_NO_TWIN, PDT_ORDERED, PDT_DEFAULT, PDT_DEQUE
    ctypedef struct pdt_twin:
        PyObject *tracker
        int64_t *birth
    ctypedef struct PyType_Slot:
        int slot
        void *pfunc
    pdt_twin *pdt_twin_in(object, int)
    int pdt_twin_of_dict(object)
    bint pdt_is_deque(object)
    bint pdt_twin_stores(object, int)
    PyTypeObject *pdt_twin_base(int)
    PyTypeObject *pdt_twin_hook(int)
    object pdt_make_twin(int, object, const char *, PyType_Slot *, void (*)(PyObject *) noexcept)
    int pdt_twin_init(int, object, object, PyObject *) except -1
    object pdt_deque_item(object, Py_ssize_t)
    int pdt_deque_ass_item(object, Py_ssize_t, PyObject *) except -1
    Py_ssize_t pdt_deque_size(object)

cdef extern from "native/freeing.h":
    int pdt_bound_freeing(PyTypeObject *, Py_ssize_t) except -1
    void pdt_clear_as_base(PyTypeObject *)

cdef extern from "native/stored.h":
    bint pdt_only_str_keys(object)
    PyObject *pdt_stored_key(object, object, Py_hash_t, Py_ssize_t)         # borrowed, or NULL
    PyObject *pdt_stored_element(object, object, Py_hash_t, Py_ssize_t)     # borrowed, or NULL

cdef extern from "native/hashed.h":
    object pdt_hashes(object, object)
    int pdt_set_add_hashed(object, object, Py_hash_t) except -1
    int pdt_set_discard_hashed(object, object, Py_hash_t) except -1
    bint pdt_set_swap(object, object)

cdef extern from "native/attribute_cache.h":
    bint pdt_known_plain(object, object)
    void pdt_remember_plain(object, object)
    PyObject *pdt_attribute_in(PyObject *, object) noexcept     # borrowed, or NULL

cdef extern from "native/making.h":
    ctypedef PyObject **pdt_arguments
    ctypedef object (*pdt_maker)(PyObject *, pdt_arguments, size_t, PyObject *)
    Py_ssize_t PyVectorcall_NARGS(size_t)
    bint pdt_makes_as(PyObject *, PyTypeObject *)
    object pdt_call_type(PyObject *, pdt_arguments, size_t, PyObject *)
    void pdt_make_with(PyObject *, pdt_maker)
    bint pdt_is_unshared(PyObject *, PyObject *) noexcept

cdef extern from "native/slots.h":
    object pdt_new(object)
    int pdt_init(PyTypeObject *, object, object, PyObject *) except -1
    bint pdt_same_new(object, PyTypeObject *)
    object pdt_dict_subscript(object, object)
    bint pdt_dict_iter(object)
    object pdt_list_subscript(object, object)
    int pdt_list_contains(object, object) except -1
    int pdt_list_ass_subscript(object, object, PyObject *) except -1
    int pdt_set_contains(object, object) except -1
    int pdt_set_add(object, object) except -1
    bint pdt_no_memory()
    object pdt_take_error()
    object pdt_dict_setdefault(object, object, object)

cdef extern from "native/json.h":
    ctypedef struct pdt_out:
        char *data
        Py_ssize_t size
    void pdt_out_begin(pdt_out *)
    void pdt_out_end(pdt_out *)
    int pdt_out_literal(pdt_out *, const char *) except -1
    int pdt_out_bytes "pdt_out_put"(pdt_out *, const char *, Py_ssize_t) except -1
    int pdt_out_str(pdt_out *, object, bint) except -1
    int pdt_out_int(pdt_out *, int64_t) except -1
    int pdt_out_hex(pdt_out *, uint64_t) except -1
    int pdt_out_scalar(pdt_out *, object) except -1
    int pdt_out_time(pdt_out *, int64_t) except -1
    bint pdt_json_is_deeper(const char *, Py_ssize_t, Py_ssize_t)
    Py_ssize_t pdt_json_lines(const char *, Py_ssize_t, Py_ssize_t)

cdef extern from "native/append.h":
    Py_ssize_t pdt_append(int, uint64_t, uint64_t, const char *, Py_ssize_t)
    bint pdt_is_due(double)

cdef extern from "native/names.h":
    bint pdt_may_name_secret(const char *, Py_ssize_t) noexcept

cdef extern from "native/watched.h":
    enum:
        PDT_CAN_WATCH
    enum:
        PDT_ADDED, PDT_MODIFIED, PDT_DELETED, PDT_CLONED, PDT_CLEARED, PDT_DEALLOCATED
    PyObject *pdt_watched_find(PyObject *) noexcept         # borrowed
    int pdt_watched_put(object, object) except -1
    PyObject *pdt_watched_take(object) noexcept             # new reference, or NULL
    Py_ssize_t pdt_watched_count() noexcept
    list pdt_watched_all()
    int pdt_begin_watching(int (*)(int, PyObject *, PyObject *, PyObject *) noexcept) noexcept
    void pdt_end_watching() noexcept
    int pdt_watch_dict(object) except -1
    void pdt_unwatch_dict(object) noexcept
    PyObject *pdt_dict_of(object) noexcept                  # borrowed, or NULL
    bint pdt_has_dict(object) noexcept
    object pdt_own_dict(object)
    int pdt_call_soon(int (*)(void *) noexcept) noexcept
    PyObject *pdt_slot(object, object) noexcept             # borrowed, or NULL
    int pdt_spot_of(object, object, Py_hash_t, PyObject **) noexcept    # borrowed neighbour
    int pdt_spot_at(object, Py_ssize_t, PyObject **) noexcept           # borrowed neighbour
    bint pdt_hash_is_quiet(object) noexcept
    bint pdt_eq_is_quiet(object) noexcept
    Py_hash_t pdt_hash_at(object, object, Py_ssize_t) noexcept
    Py_ssize_t pdt_position_of_same(object, object, Py_ssize_t) noexcept
    PyObject *pdt_value_of_same(PyObject *, PyObject *) noexcept     # borrowed
    PyObject *pdt_entry(object, object, Py_hash_t, PyObject **) noexcept    # borrowed value and key

cdef extern from "native/members.h":
    bint pdt_can_hear(PyTypeObject *) noexcept
    bint pdt_hear_member(object, int (*)(PyObject *, PyObject *, PyObject *) noexcept) noexcept
    void pdt_unhear_member(object) noexcept
    void pdt_hear_reuse(PyTypeObject *, void (*)(PyObject *) noexcept) noexcept
    void pdt_unhear_reuse(PyTypeObject *) noexcept
    bint pdt_stays_heard(PyTypeObject *) noexcept

cdef extern from "native/births.h":
    void pdt_births_begin(void (*)(PyObject *) noexcept, void (*)(PyObject *) noexcept) noexcept
    bint pdt_is_simple(PyTypeObject *) noexcept
    bint pdt_complete_at_birth(PyTypeObject *) noexcept
    int pdt_report_births(PyTypeObject *) except -1
    void pdt_end_births(PyTypeObject *) noexcept
