# The data dictionary of the core: every structure, with the reason for every field.
# The design is told at the top of _core.pyx, the invariants at the top of each part.

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef struct Stamp:          # the scalars of one record; the references stand in Log.objects
    uint64_t seq            # order of changes over the whole process; clocks are not
    int64_t time_ns         # wall clock, since 1970
    Py_ssize_t index        # list: position or start of the splice; reverse: the length; else -1
    uint8_t action          # A_ADD ...: what happened to the place
    uint8_t method          # M_SETITEM ...: which call did it
    uint16_t shape          # S_SLOT ...: how key, old and new are to be read


cdef class Scope:           # who does it and why; one immutable object, shared by all records below it
    cdef readonly str actor             # "" where only a context or transaction was set
    cdef readonly object context        # read-only mapping: reason=, request_id= ...
    cdef readonly object transaction    # the Transaction it belongs to, or None
    cdef readonly uint64_t undoes       # seq of the change that is taken back; 0: none


cdef class Options:         # shared by all containers that were made with the same; never changed
    cdef readonly int auto_convert      # -1: not said, ask the parent
    cdef readonly int snapshots         # -1: not said
    cdef readonly int stack             # frames to capture; -1: not said
    cdef readonly Py_ssize_t max_changes    # NO_LIMIT: no bound; -1: not said
    cdef readonly int keep_values       # -1: not said
    cdef readonly int raise_errors      # observer errors: 1 raise, 0 log, -1: not said
    cdef readonly int remember_last     # the last change of every place is kept; -1: not said
    cdef readonly object redact         # compiled globs or a callable; None: not said


cdef class Log:             # the ring: all records of one tree
    cdef Stamp *stamps                  # capacity scalars
    cdef list objects                   # SLOTS references a record, where the cycle collector sees them
    cdef readonly Py_ssize_t capacity   # records there is memory for; taken lazily
    cdef readonly Py_ssize_t head       # where the next record goes
    cdef readonly Py_ssize_t count      # records held
    cdef readonly Py_ssize_t limit      # tracking_max_changes; NO_LIMIT: none
    cdef readonly uint64_t dropped      # records that fell out
    cdef readonly uint64_t last_dropped # seq of the newest record that fell out or was cleared
    cdef readonly object ref            # weak reference to self, shared by all trackers that wrote here
    cdef readonly dict last             # tracking_remember_last: tracker -> last changes by key, or by position
    cdef readonly uint64_t noted        # newest seq that is in `last`; the record may still be in the ring
    cdef dict held                      # seq -> weak entries that must be settled before they fall out; None: none
    cdef object __weakref__             # for ref


cdef class Place:           # where a container sits; immutable, so that a record's path stays true for good
    cdef readonly Place parent          # None: the container is a root
    cdef readonly object key            # key, index or attribute name below parent
    cdef readonly Tracker tracker       # the container that sits here


cdef class Link:            # child -> parent: counted, as one child may sit in a parent more than once
    cdef readonly Tracker parent        # the tracker, not the container: no reference cycle
    cdef readonly Link next             # a container may have several parents
    cdef readonly object key            # dict, attr: its key, or a list of keys; None: look for it
    cdef readonly Py_ssize_t hint       # list: where it was last seen
    cdef readonly Py_ssize_t count      # number of slots of the parent that hold the child
    cdef readonly bint back             # it closes a cycle and is not followed upwards


cdef class Observer:        # one registration
    cdef readonly object call           # the callable, or a weak reference to it
    cdef readonly int priority          # low runs first
    cdef readonly object path           # compiled glob (tuple of segments) or None
    cdef readonly unsigned int actions  # bit set of actions; 0: all
    cdef readonly bint weak             # call is a weak reference
    cdef readonly bint immediate        # told of a change in a transaction at once, not after the commit
    cdef readonly object feed           # an Intake that takes simple changes without a call; or None


cdef class Pending:         # a bulk call that is going on while user code runs
    cdef int method
    cdef Py_ssize_t start               # list: items from here on are not recorded yet
    cdef list rows                      # dict: key, before, after, key ... not recorded yet
    cdef list out                       # set: elements removed and added, not recorded yet
    cdef list into
    cdef object scope                   # who called: the record may be written by another thread


cdef class Transaction:     # a block whose changes are made or taken back as one; base of the package's class
    cdef readonly str id                # shared by a transaction and its savepoints
    cdef readonly Transaction parent    # the transaction that this is a savepoint of, or None
    cdef readonly tuple roots           # trackers below which it acts; None: everywhere
    cdef readonly bint is_open
    cdef readonly uint64_t last_seq     # newest change when it ended: what comes later is not part of it
    cdef readonly Py_ssize_t start      # where in the journal it began


cdef class Rare:            # what few trackers have
    cdef public str name                # tracking_name
    cdef tuple observers                # of Observer, by priority; replaced, never changed
    cdef public set locked_names        # attributes locked one by one
    cdef public object monitored        # attributes: names added by hand (set) or None
    cdef list past                      # (weak reference to a log of before, newest seq then; 0: did not write there)
    cdef uint32_t entered               # version of the tracker when it came to its present log
    cdef Pending pending                # the bulk call that made the last step, or None
    cdef int bulk_calls                 # how many are going on
    cdef list targets                   # (Log.ref, tuple of Places) of a container with several places
    cdef int sorts                      # calls of list.sort that are going on
    cdef bint quiet_before              # was nothing recorded before the first of them began?
    cdef tuple sort_before              # what the list held before the first of them
    cdef bint sort_mixed                # did they overlap, or one of them fail?
    cdef int32_t sort_net               # and the tracker's net
    cdef tuple guards                   # what refuses changes here and below
    cdef list order                     # a guarded dict's keys before the change that is going on
    cdef public object settings         # for the package: what later layers keep with a container


cdef class Tracker:         # what one tracked container carries; the container owns it
    cdef PyObject *owner                # borrowed; NULL once the container died
    cdef uint64_t epoch                 # place, active and state are right while this equals the global epoch
    cdef Place place                    # cached place (the first of several)
    cdef PyObject *active               # borrowed Log that records go to; good while epoch is
    cdef Log log                        # its own log: a root's, or what it wrote while it was one
    cdef object logref                  # Log.ref of active: safe to look at when epoch is not good
    cdef Link link                      # parents
    cdef Options options                # as given, or None
    cdef Options settled                # with what the parents say filled in
    cdef Rare rare                      # None for most
    cdef object cls                     # type of the container, for records that outlive it
    cdef uint64_t number                # from which its uuid is made when asked
    cdef uint32_t version               # counts its records: tells that somebody else got in between
    cdef int32_t net                    # sum of growth by its records, for the same purpose
    cdef int32_t children               # links from children to here
    cdef uint16_t state                 # T_LOCKED ...
    cdef uint8_t kind                   # K_DICT ...


cdef class Extra:           # the optional slot of a record
    cdef readonly object stack          # (code, instruction, code, instruction ...) innermost first, or None
    cdef readonly object old_text       # words for a value that could change afterwards, or None
    cdef readonly object new_text
    cdef readonly object places         # further places (tuple of Place) or None


cdef class Words:           # stands for a value that is not kept (tracking_keep_values=False)
    cdef readonly str text
    cdef readonly str type


cdef class Change:          # one record, taken out of the ring; base of ChangeLogEntry
    cdef readonly uint64_t seq
    cdef readonly int64_t time_ns
    cdef readonly Py_ssize_t index
    cdef readonly int action_code
    cdef readonly int method_code
    cdef readonly int shape
    cdef readonly Place place
    cdef readonly object key
    cdef readonly object old
    cdef readonly object new
    cdef readonly Scope scope
    cdef readonly Extra rare
    cdef readonly Tracker viewer        # the container that was asked; path is relative to it
    cdef int told                       # who is still to be told: W_ALL, or a part while a transaction is open
    cdef public object settled          # answers kept when the record left the ring, or None
    cdef object __weakref__


@cython.final
cdef class Intake:          # the way into the queue of a delivery
    cdef object append
    cdef readonly object queue
    cdef readonly Py_ssize_t bytes          # of the lines in the queue
    cdef readonly Py_ssize_t accepted
    cdef public bint open
    cdef public unsigned long sender        # thread that sends: what changes there is not sent
    cdef Py_ssize_t max_items
    cdef Py_ssize_t max_bytes
    cdef Py_ssize_t batch_items
    cdef Py_ssize_t batch_bytes
    cdef object wake                        # weak: called when the first item is there, or a batch is full
    cdef bint accept(self, Change change, Tracker viewer) except -1


cdef class DictHook(dict):
    cdef Tracker tracker                # None until something is to be remembered
    cdef int64_t born_ns                # time of init; 0: not initialised yet
    cdef uint64_t born_seq              # newest seq at that time
    cdef Py_ssize_t born_len            # items at that time
    cdef object __weakref__


cdef class ListHook(list):
    cdef Tracker tracker
    cdef int64_t born_ns
    cdef uint64_t born_seq
    cdef Py_ssize_t born_len            # items at that time
    cdef object __weakref__


cdef class SetHook(set):
    cdef Tracker tracker
    cdef int64_t born_ns
    cdef uint64_t born_seq
    cdef Py_ssize_t born_len            # items at that time
    # no __weakref__: set has its own


cdef class AttrHook:
    cdef Tracker tracker
    cdef int64_t born_ns
    cdef uint64_t born_seq
    # no __weakref__: attrs and dataclasses look for the descriptor, so TrackedAttr has it as a slot
