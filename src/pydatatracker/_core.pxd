# Owns: the data dictionary of the core: the structures that parts share, with the reason for each field.
# May touch: nothing; the design is described at the top of _core.pyx, the invariants at the top of each part.
# Invariant: a structure is declared here and implemented in one part. Structures that one part alone uses are in that
# part: Notifier (tell/notify.pyx), Seen (record/remember.pyx), Stop (write/guard.pyx).

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pydatatracker.native cimport pdt_out

# ---- record/ ---------------------------------------------------------------------------------------


cdef struct Stamp:          # the scalars of one record; the references are in Log.objects
    uint64_t seq            # order of changes in the whole process, which clocks do not give
    int64_t time_ns         # wall clock, since 1970
    Py_ssize_t index        # list: position, or start of the splice; reverse: the length; dict: I_...; else -1
    uint8_t action          # A_ADD ...: what happened to the location
    uint8_t method          # M_SETITEM ...: which call did it
    uint16_t shape          # S_SLOT ...: how to read key, old and new


cdef class Scope:           # who makes a change and why: one immutable object, shared by all records under it
    cdef readonly str actor             # "" if only a context or a transaction was set
    cdef readonly object context        # read-only mapping: reason=, request_id= ...
    cdef readonly object transaction    # the Transaction that the change belongs to, or None
    cdef readonly uint64_t undoes       # seq of the change that is undone; 0: none
    cdef Scope outer                    # while its block lasts: the scope around it
    cdef object home                    # while its block lasts: weak reference to the context that it began in
    cdef bint over                      # its block ended where it was not the current scope


cdef class Log:             # the ring: all records of one tree
    cdef Stamp *stamps                  # array of `capacity` stamps
    cdef list objects                   # SLOTS references per record, in a list because the collector has to see them
    cdef readonly Py_ssize_t capacity   # number of records that fit; grows on demand
    cdef readonly Py_ssize_t head       # slot of the next record
    cdef readonly Py_ssize_t count      # number of records held
    cdef readonly Py_ssize_t limit      # tracking_max_changes; NO_LIMIT: none
    cdef readonly uint64_t dropped      # number of records that were overwritten or cleared
    cdef readonly uint64_t last_dropped # seq of the newest of them
    cdef readonly uint64_t missed       # number of changes that could not be recorded (watch/event.pyx)
    cdef readonly uint64_t last_missed  # seq of the newest of them
    cdef readonly object ref            # weak reference to self, shared by all trackers that wrote here
    cdef readonly dict last             # tracking_remember_last: tracker -> last changes by key, or by position
    cdef readonly uint64_t noted        # newest seq that is in `last`; its record may still be in the ring
    cdef dict held                      # seq -> weak references to entries to settle before their record goes; or None
    cdef dict further                   # id -> log of a container in this tree that is in many, newest last; or None
    cdef object __weakref__             # for ref


cdef class Extra:           # what only some records have
    cdef readonly object stack          # ((code, ...), instruction offsets as bytes), innermost first, or None
    cdef readonly object old_text       # summary of the old value if that can change later, or None
    cdef readonly object new_text       # the same for the new value
    cdef readonly object places         # further places of the container (tuple of Place), or None
    cdef readonly Py_ssize_t left_out   # number of places beyond MAX_PLACES, which are not kept
    cdef readonly object beside         # dict: where a key was or came, see Change._beside; or None
    cdef readonly tuple between         # found by comparing: newest seq at the comparison before, and at this one
    cdef object rules                   # those of tracking_redact that the summaries obey (mark_of), or None


cdef class Words:           # replaces a value that is not kept (tracking_keep_values=False); pickles use this name
    cdef readonly str text              # summary of the value
    cdef readonly str type              # name of its class
    cdef object rules                   # those of tracking_redact that the summary obeys (mark_of), or None


cdef class Change:          # one record, taken out of the ring; base class of ChangeLogEntry
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
    cdef readonly Extra details         # stack, summaries and further places, or None
    cdef readonly Tracker viewer        # the container that was queried; paths are relative to it
    cdef readonly tuple others          # further containers that its line is about (`also`), or None
    cdef int audience                   # whom to notify: W_ALL, or only some while a transaction is open
    cdef public object settled          # answers kept when the record left the ring, or None
    cdef object __weakref__             # for Log.held


# ---- tree/ -----------------------------------------------------------------------------------------


cdef enum:                  # index into Options.values; 0.2.0's seven come first, in this order, as its pickles have them
    O_AUTO_CONVERT
    O_SNAPSHOTS
    O_STACK
    O_MAX_CHANGES
    O_KEEP_VALUES
    O_RAISE_ERRORS
    O_REMEMBER_LAST
    O_FOLLOW
    O_UNTRACKED
    N_OPTIONS
    OPTIONS_OF_0_2_0 = 7    # pickles of 0.2.0 hold these, then tracking_redact; stays 7 whatever is added


cdef class Options:         # shared by all containers that were made with the same options; never changes
    cdef Py_ssize_t values[N_OPTIONS]   # by O_...; UNSAID: not given, so the parent's holds
    cdef readonly object redact         # compiled globs or a callable; None: nothing given


cdef class Place:           # where a container is; immutable, so that the path of a record stays true
    cdef readonly Place parent          # None: the container is a root
    cdef readonly object key            # key, index or attribute name below parent
    cdef readonly Tracker tracker       # the container that is here


cdef class Link:            # from a child to a parent; counted, because a parent can hold a child several times
    cdef readonly Tracker parent        # the tracker, not the container, which would make a reference cycle
    cdef readonly Link next             # a container can have several parents: those to follow, then back links
    cdef PyObject *prev                 # borrowed Link before it; of the first to follow: the last to follow
    cdef readonly object key            # dict, attr: the key, or a list of keys; missing: search for it
    cdef readonly Py_ssize_t hint       # list: the index where the child was last found
    cdef readonly Py_ssize_t count      # number of slots of the parent that hold the child
    cdef readonly bint back             # closes a cycle and is not followed upwards
    cdef bint lone                      # closed one that is gone, and leads to what is older: still back
    cdef PyObject *child                # borrowed tracker below it; valid while the link is in a list of the parent
    cdef PyObject *after                # borrowed next Link in the parent's `dependents`
    cdef PyObject **before              # what refers to this link in that list; NULL: it is not in it
    cdef PyObject *way_after            # the same for `ways`, or `unsure` of the child
    cdef PyObject **way_before


cdef class Rare:            # what few trackers need
    cdef bint has_cycles                # of a root: a cycle was made below it
    cdef public str name                # tracking_name
    cdef tuple observers                # of Observer, by priority; replaced, never modified
    cdef public set locked_names        # attributes that are locked one by one
    cdef public object monitored        # attributes: names added by tracking_add_attribute_to_monitor, or None
    cdef list past                      # (weak reference to an earlier log, newest seq then; 0: wrote nothing there)
    cdef uint32_t entered               # the tracker's version when it began to use its present log
    cdef Pending pending                # the bulk call that made the last step, or None
    cdef int bulk_calls                 # number of bulk calls in progress
    cdef list targets                   # (Log.ref, tuple of Places) of a container with several places
    cdef tuple places                   # all these places, the first one left out: what its records share
    cdef Py_ssize_t left_out            # number of places beyond MAX_PLACES, which are not in targets
    cdef PyObject *unsure               # borrowed back links to it to look at: their parent or their way has gone
    cdef bint stranded                  # only back links led to the container, when that was noted; counted in `strays`
    cdef dict by_parent                 # number of a parent -> link, of a container with many parents; or None
    cdef int sorts                      # number of list.sort calls in progress
    cdef unsigned long sorter           # thread of the newest of them
    cdef bint quiet_before              # whether recording was off before the first of them
    cdef tuple sort_before              # what the list held before the first of them
    cdef bint sort_mixed                # whether they overlapped or one failed
    cdef int32_t sort_net               # the tracker's net before the first of them
    cdef uint32_t sort_version          # and its version: another one now says that other code changed the list
    cdef tuple rules                    # tracking_redact of trees that the container was part of
    cdef tuple guards                   # what can refuse changes here and below
    cdef set reported                   # root: (path, class) of what tracking_untracked="warn" has named
    cdef list order                     # guarded dict: its keys before the change in progress
    cdef public object settings         # for the package: what its layers keep for a container
    cdef Watching home                  # what follows the objects that the container holds, or None


cdef class Tracker:         # what every tracked container carries; the container owns it
    cdef PyObject *owner                # borrowed; NULL once the container died
    cdef uint64_t epoch                 # place, active and state are valid while this equals the global epoch
    cdef Place place                    # cached place (the first of several)
    cdef PyObject *active               # borrowed Log that records go to; valid while epoch is
    cdef Log log                        # its own log: a root's, or the one it wrote while it was a root
    cdef object logref                  # Log.ref of active: safe to use while epoch is old
    cdef Link link                      # its parents
    cdef PyObject *dependents           # borrowed Links to children whose places were found from the present one
    cdef PyObject *ways                 # borrowed Links to children on the way down to a back link, and such links
    cdef Options options                # as given, or None
    cdef Options effective              # these, with what was not given taken from the parents and the defaults
    cdef Rare rare                      # None for most
    cdef object cls                     # type of the container, for records that outlive it
    cdef uint64_t number                # its uuid is derived from this
    cdef int64_t lowered                # what `level_of` it is less than by its number
    cdef uint32_t version               # counts its records: shows that another thread recorded meanwhile
    cdef int32_t net                    # sum of growth of its records, for the same purpose
    cdef int32_t children               # number of links from children to it
    cdef uint16_t state                 # T_LOCKED ...
    cdef uint8_t kind                   # K_DICT ...
    cdef uint8_t marks                  # X_...: what holds for good, or until the container is empty


# ---- hooks/ ----------------------------------------------------------------------------------------


cdef struct Birth:          # when the life of a container began
    int64_t time_ns         # 0: not initialised yet
    uint64_t seq            # newest seq at that time
    Py_ssize_t size         # number of items at that time


cdef struct Hook:           # what hook_of finds out about an object
    int kind                # K_DICT ...; K_NONE: it is not a tracked container
    PyObject *tracker       # borrowed; None: it has none yet
    Birth *birth
    int twin                # PDT_ORDERED ...: which of the hooks over types of `collections`, or PDT_NO_TWIN


cdef class Pending:         # a bulk call in progress while user code runs
    cdef int method
    cdef Py_ssize_t start               # list: items from here on are not recorded yet
    cdef list rows                      # dict: key, before, after, key ... not recorded yet
    cdef list out                       # set: elements removed and not recorded yet; deque: items that fell out
    cdef list into                      # set: elements added and not recorded yet; deque: items
    cdef bint left                      # deque: at its left end
    cdef object scope                   # of the caller: another thread may write the record
    cdef unsigned long thread           # of the caller: after a fork, it may not exist
    cdef Tracker tracker                # of the container that the call changes


cdef class DictHook(dict):
    cdef Tracker tracker                # None until there is something to remember
    cdef Birth birth
    cdef object __weakref__


cdef class ListHook(list):
    cdef Tracker tracker
    cdef Birth birth
    cdef object __weakref__


cdef class SetHook(set):
    cdef Tracker tracker
    cdef Birth birth
    # no __weakref__: set has its own


cdef class AttrHook:
    cdef Tracker tracker
    cdef Birth birth
    # no __weakref__: attrs and dataclasses look for the descriptor, so TrackedAttr has it as a slot


# ---- watch/ ----------------------------------------------------------------------------------------


cdef class Watching:            # one call of watch(); base of the package's Watch. Or what a tracked container follows
    cdef readonly WatchedTracker node   # of the object that it was given; None: it belongs to a tracked container
    cdef Tracker top                    # of this container
    cdef set nodes                      # and the trackers of what it follows, which nothing else keeps; else None
    cdef set guests                     # Watchings of other containers that follow what this one holds, or None
    cdef object gone                    # deque of (seq, tracker) of compared objects that were taken out, or None
    cdef bint shared                    # something else holds what it follows
    cdef bint listed                    # it is in `groups`
    cdef Options options
    cdef tuple into                     # further classes, and names of modules or packages, that are entered
    cdef str package                    # the package of the object's class, whose instances are entered
    cdef Py_ssize_t depth               # levels below the object that are followed; -1: all
    cdef Py_ssize_t max_objects
    cdef Py_ssize_t count               # number of objects followed now
    cdef dict verdicts                  # address of a class -> (weak reference, Y_...)
    cdef set compared                   # WatchedTrackers of what is compared
    cdef object cls                     # the class that is watched, or None
    cdef dict roots                     # its instances: name -> WatchedTracker
    cdef readonly uint64_t born         # number of instances so far
    cdef readonly uint64_t left_out     # of these, more than max_objects, or without anything to follow
    cdef readonly bint open
    cdef bint reports                   # what is added and not followed is reported (tracking_untracked)
    cdef object __weakref__             # for open_watches


cdef class Weakly:              # stands in a record for an object that is not kept
    cdef object ref                     # weak reference, or None
    cdef Words words                    # what it looked like


cdef class WatchedTracker(Tracker):     # `owner` is the dict, the dict of the object, or what is compared
    cdef Watching home
    cdef Birth birth
    cdef PyObject **seen                # compared: addresses of its items when it was last compared
    cdef list kept                      # the same as what can be kept, see `kept_item`
    cdef tuple rows                     # of an object with slots whose stores are heard: `slots_of` its class; else None
    cdef Py_ssize_t count               # number of these
    cdef uint64_t compared              # newest seq when it was last compared
    cdef uint64_t asked                 # the look in which it was visited
    cdef uint64_t looked                # the look in which it was compared
    cdef Py_ssize_t patience            # changes near it to wait for before it is compared again
    cdef Py_ssize_t depth               # levels below the object of its watch
    cdef list nearby                    # compared children ("near" is a macro of windows.h)
    cdef Py_ssize_t turn                # the one of these to look at next
    cdef object held                    # the object, where nothing else is known to hold it; else None
    cdef PyObject *instance             # the object whose dict `owner` is; borrowed, see `living_instance`
    cdef object ref                     # weak reference to the object of a watch, or None
    cdef object born_as                 # an instance of a watched class: its name there; else None
    cdef list last                      # what it held when it ended, if a record means it; else None
    cdef Py_ssize_t turn_of_keys        # the entry of its dict that was last found by its very key
    cdef bint in_log                    # a record means this object
    cdef bint stale                     # something that it held has died, so it has changed
    cdef bint is_root                   # a watch was given it
    cdef bint is_module
    cdef bint has_attributes            # a dict of a class with attributes, which are followed below ATTRIBUTES
    cdef WatchedTracker last_attributes # of these attributes, once they have ended; they end before the dict does
    cdef uint8_t way                    # Y_...
    cdef object __weakref__             # the process log refers to roots weakly


cdef struct Entry           # watch/doubt.pyx


cdef class Doubt:           # a change of a watched dict of which the entry is still to be found
    cdef WatchedTracker tracker
    cdef Entry *entries                 # those that it may be
    cdef Py_ssize_t count               # number of these
    cdef list values                    # what a record keeps of what each of them held
    cdef list keys                      # of a removal: what it keeps of each key
    cdef object given                   # what it keeps of the key that was given
    cdef PyObject *value                # the new value; borrowed: the dict holds it until its next event. NULL: removed
    cdef object scope
    cdef Extra extra                    # with the stack, if there is to be one
    cdef uint64_t seq
    cdef int64_t time_ns
    cdef int event
    cdef int method


# ---- line/ -----------------------------------------------------------------------------------------


cdef enum:
    INSIDE = 8                          # levels of a value in which a line can name a container; deeper ones likewise
    WRITTEN = 8                         # containers of one line that are noted; one with more is encoded in Python


cdef struct Inside:         # a step down in a value
    PyObject *key                       # borrowed str; NULL: an index
    Py_ssize_t index
    int tag                             # IN_LIST ...: what is between the JSON of the container and the item


cdef struct Draft:          # a line that is being written
    pdt_out out                         # its text so far
    PyObject *change                    # borrowed: the change as its reader sees it
    PyObject *viewer                    # borrowed: the tracker from which its paths start
    PyObject *roots                     # borrowed: set of the numbers of what is or was a root of its log; or NULL
    bint compact                        # without tree, extra and what is empty
    bint silent                         # runs no code of the program: the change is of a watched object
    bint withholds                      # names of secrets are looked for in the text afterwards
    bint is_init                        # its value is a copy
    bint is_old                         # what is being written was there before the change
    bint loose                          # and is in a container that is not tracked
    uint64_t written[WRITTEN]           # numbers of the containers that it has in whole and could refer to
    int count                           # of these
    pdt_out ids                         # those of containers in it, each after the pointer to it
    Py_ssize_t spot                     # the new item or row that is being written
    Inside inside[INSIDE]               # where in it: the containers around what is being written
    int level                           # of these; there may be more
    bint in_graph                       # there are cycles below a root of it, so each container is written once
    bint newest                         # nothing changed since, so containers hold what they held then
    bint unfit                          # it has something that the Python encoder has to write
    bint refers                         # it has a path to what is elsewhere
    bint has_also                       # it is about several roots
    bint has_odd_keys                   # it has a key that is not plain text or a number
    bint ran_code                       # a `__repr__` of the program may have run


# ---- write/ and tell/ --------------------------------------------------------------------------------


cdef class ActorBlock:      # base of the package's tracking_actor
    cdef public object _actor
    cdef public object _context         # dict of the keyword arguments
    cdef size_t frame                   # number of the frame that entered it first
    cdef tuple token                    # what reset_scope needs then; None: it is not entered, or left
    cdef list entries                   # [frame number, token] for each time it was entered meanwhile, or None
    cdef int enter(self, size_t frame) except -1
    cdef int leave(self, size_t frame) except -1


cdef class ScopeBlock:
    cdef object scope
    cdef tuple token                    # what reset_scope needs


cdef class Transaction:     # a block whose changes are kept or rolled back together; base of the package's class
    cdef str text                       # its id, once it was asked for
    cdef str part                       # of the process in which it was made, see `process_part`
    cdef uint64_t number                # the id is derived from these two, which its savepoints share
    cdef readonly Transaction parent    # the transaction that this is a savepoint of, or None
    cdef readonly tuple roots           # trackers below which it acts; None: everywhere
    cdef readonly bint is_open
    cdef readonly uint64_t last_seq     # newest change when it ended: later ones are not part of it
    cdef readonly Py_ssize_t start      # index in the journal where it began
    cdef dict observed                  # number -> observed container to notify at the commit, or None
    cdef unsigned long thread           # that began it: after a fork, others do not exist
    cdef public object message          # is the context's "message", or None
    cdef tuple token                    # what reset_scope needs; None: not entered, or left
    cdef readonly bint ended
    cdef readonly list _kept            # once it ended: tracker, seq, tracker, seq ... of its first changes


cdef class Looking:         # one look into a value for what has to be redacted
    cdef Py_ssize_t left                # number of containers that it may still look into
    cdef set above                      # ids of the containers around the present one
    cdef list rules                     # those that it began with
    cdef set clean                      # ids of the containers inside which these match nothing, nor rules of their own
    cdef set holding                    # ids of the containers around the present one that hold some with such rules
    cdef dict nodes                     # id of plain data -> tracker of the container that it is the state of; or None
    cdef Tracker holder                 # the container whose item the present value is, or None
    cdef bint is_state                  # whether plain data may hold tracked containers, which have rules of their own


cdef class Observer:        # one registration of an observer
    cdef readonly object call           # the callable, or a weak reference to it
    cdef readonly int priority          # lower runs first
    cdef readonly object path           # compiled glob (tuple of segments) or None
    cdef readonly unsigned int actions  # bit set of actions; 0: all
    cdef readonly bint weak             # whether call is a weak reference
    cdef readonly bint immediate        # notify of changes in a transaction at once, not after the commit
    cdef readonly Feed feed             # takes changes without a call, or None
    cdef bint in_graph                  # its log has the state of the container since there are cycles
    cdef readonly object log            # what tells the log that it writes from others, if it takes a change once; or None


cdef class ChangeItem:      # a change and its line, as exporters deliver them
    cdef readonly bytes line
    cdef Change change                  # the id is derived from it on demand
    cdef Tracker viewer                 # and the root from this one: that of the line


cdef class Feed:            # what takes changes without a call of their observer
    cdef bint accept(self, Change change, Tracker viewer) except -1
    cdef bint accept_encoded(self, Change change) except -1


@cython.final
cdef class Collection(Feed):    # appends them to what a ChangeCollector keeps
    cdef object append                  # bound method of its deque
    cdef bint inits                     # also those that say how a container began


cdef class OpenLog:         # a file that lines are appended to; base of the package's LogFile
    cdef public int fd                  # -1: it has to be opened again
    cdef public bint torn               # it ends inside a line
    cdef public bint regular            # no pipe or device, on which a write may have to wait
    cdef public double look_at          # when to look whether it was renamed or deleted, by the monotonic clock
    cdef public object _first           # first and last change that was written to this file, or None
    cdef public object _last
    cdef object identity                # device and inode, to know the descriptor again
    cdef uint64_t device                # the same, as far as they fit
    cdef uint64_t inode


cdef class SealChain:       # the seals of the lines of one writer; base of the package's Chain
    cdef unsigned char last[32]         # hash of the last line, or what the chain begins with
    cdef readonly Py_ssize_t count      # number of lines
    cdef public Py_ssize_t left         # lines until a root is due
    cdef public bint open               # False: the writer has to begin a chain, or is writing
    cdef public bytearray digests       # hashes of the lines since the last root
    cdef bytes head                     # what stands between a line and the number in its seal
    cdef object sha256                  # of hashlib; None: the instructions of the processor
    cdef int draw(self, pdt_out *out, unsigned char *digest) except -1
    cdef int advance(self, const unsigned char *digest) except -1


@cython.final
cdef class Appender(Feed):  # writes lines through
    cdef OpenLog log
    cdef public SealChain chain         # seals each line; None: no line is sealed
    cdef object lock                    # of the writer, which does what is not the ordinary case
    cdef object acquire                 # its bound methods
    cdef object release
    cdef bint compact
    cdef bint withholds                 # lines that may name a secret are the writer's
    cdef public bint ready              # False: the writer has to be called
    cdef readonly Py_ssize_t taken      # number of changes that came without a call of the writer
    cdef Py_ssize_t written             # number of lines
    cdef uint64_t recent[64]            # the changes of the last ones; one per thread that writes is enough
    cdef public set begun               # numbers of the roots whose state the log has; None: that is not its concern
    cdef public set graphs              # numbers of those that were begun when there were cycles below them
    cdef public set known               # of these, and of roots whose state is being written; None with begun
    cdef public set roots               # of these, and of those that were roots and are in other trees now
    cdef bint is_begun(self, Place place) except -1
    cdef bint is_ordinary(self) except -1
    cdef bint put(self, Change change, Tracker viewer) except -1


@cython.final
cdef class Intake(Feed):    # the entrance to the queue of a delivery
    cdef object append                  # bound method of queue
    cdef readonly object queue
    cdef readonly Py_ssize_t bytes      # total length of the lines in the queue
    cdef readonly Py_ssize_t accepted   # number of items taken so far
    cdef public bint open               # False: everything takes the slow path
    cdef public unsigned long sender    # thread that sends: its own changes are not sent
    cdef Py_ssize_t max_items
    cdef Py_ssize_t max_bytes
    cdef Py_ssize_t batch_items
    cdef Py_ssize_t batch_bytes
    cdef object wake                    # weak: called when the first item arrives or a batch is full
    cdef public bint compact            # whether lines are compact
    cdef public object encode           # change -> bytes, for changes that are not simple; None: those are not taken
    cdef bint take(self, Change change, bytes line, Tracker viewer) except -1
