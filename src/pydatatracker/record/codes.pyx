# Owns: the numbers for what happened, by which call, and how to read the references of a record.
# May touch: nothing.
# Invariants:
#  - ACTIONS, SHAPES, KINDS and METHODS name the numbers of the enum above them, in the same order;
#  - numbers are never written to a log or a pickle: only the names are, so numbers may be reassigned.

cdef enum:
    SLOTS = 6                   # references per record: place, key, old, new, scope, extra


cdef enum:
    A_INIT = 0
    A_ADD = 1
    A_UPDATE = 2
    A_REMOVE = 3
    A_LOCK = 4
    A_UNLOCK = 5


ACTIONS = ("init", "add", "update", "remove", "lock", "unlock")


cdef enum:
    S_SLOT = 0      # key (dict, set, attr) or index (list); old; new
    S_SPLICE = 1    # list: index = start; old = removed items; new = inserted items (list or tuple)
    S_SORT = 2      # list: old = items before; new = items after (tuples of the same objects)
    S_ORDER = 3     # list: new = tuple, new position -> old position
    S_REVERSE = 4   # list: index = length
    S_ROWS = 5      # bulk call: new = flat tuple key, before, after, key, before, after ... Of a list: all update, or some
                    # remove (ascending, valid before) and then some insert (ascending, each valid at its turn)
    S_ELEMENTS = 6  # set: old = tuple of removed elements; new = tuple of added elements
    S_WHOLE = 7     # init, lock, unlock: the container itself; key = attribute name or missing
    S_FILL = 8      # dict: an empty dict was filled; new = plain dict of all items
    S_ROTATE = 9    # deque: index = length; new = how many items came from the right end to the left one


cdef enum:                      # Stamp.index of a dict's record: where a key was that is gone, or came that was not there
    I_LAST = -1                 # at the end, in the order of the rows
    I_FIRST = -2                # removed from the beginning
    I_AFTER = -3                # removed from behind the key Extra.beside
    I_BEFORE = -4               # removed from before the key Extra.beside
    I_BESIDE = -5               # undo and the like: Extra.beside has a position for each row


SHAPES = ("slot", "splice", "sort", "order", "reverse", "rows", "elements", "whole", "fill", "rotate")


cdef enum:
    K_NONE = -1     # not a tracked container
    K_DICT = 0
    K_LIST = 1
    K_SET = 2
    K_ATTR = 3
    K_TUPLE = 4     # watched, because something below it can change
    K_DEQUE = 5     # the package knows it as a list: the records of the two are alike


KINDS = ("dict", "list", "set", "attr", "tuple", "list")


cdef enum:
    M_INIT = 0
    M_SETITEM
    M_DELITEM
    M_SETDEFAULT
    M_POP
    M_POPITEM
    M_CLEAR
    M_UPDATE
    M_IOR
    M_APPEND
    M_INSERT
    M_EXTEND
    M_IADD
    M_IMUL
    M_REMOVE
    M_SORT
    M_REVERSE
    M_ADD
    M_DISCARD
    M_DIFFERENCE_UPDATE
    M_INTERSECTION_UPDATE
    M_SYMMETRIC_DIFFERENCE_UPDATE
    M_IAND
    M_ISUB
    M_IXOR
    M_SETATTR
    M_DELATTR
    M_MISSING
    M_MOVE_TO_END
    M_SUBTRACT
    M_APPENDLEFT
    M_EXTENDLEFT
    M_POPLEFT
    M_ROTATE
    M_LOCK
    M_UNLOCK
    M_UNDO
    M_REDO
    M_REVERT
    M_REVERT_TO
    M_ROLLBACK
    M_NEW                       # an instance of a watched class was made
    M_DEL                       # and ended
    M_FOUND                     # found by comparing: watch/compare.pyx
    M_AGAIN                     # the state that a log has already, with each container once: `write_graph`


METHODS = (
    "__init__", "__setitem__", "__delitem__", "setdefault", "pop", "popitem", "clear", "update", "__ior__",
    "append", "insert", "extend", "__iadd__", "__imul__", "remove", "sort", "reverse", "add", "discard",
    "difference_update", "intersection_update", "symmetric_difference_update", "__iand__", "__isub__", "__ixor__",
    "__setattr__", "__delattr__", "__missing__", "move_to_end", "subtract", "appendleft", "extendleft", "popleft",
    "rotate", "lock", "unlock",
    "tracking_undo", "tracking_redo", "tracking_revert", "tracking_revert_to", "rollback",
    "__new__", "__del__", "found", "again",
)


cdef enum:                      # Change.audience: which observers to notify
    W_ALL = 0
    W_IMMEDIATE = 1             # a transaction is open: only observers with when="immediate"
    W_DEFERRED = 2              # it was committed: all others


cdef enum:                      # Tracker.state
    T_LOCK_SELF = 1             # lock() was called on this container
    T_LOCKED = 2                # this container, or one above it, is locked
    T_NOTIFY = 4                # an observer listens here or above
    T_STACK = 8                 # stacks are captured
    T_NOVALUES = 16             # records keep summaries instead of values
    T_SEVERAL = 32              # the container has several places, which are in Rare.targets
    T_NORING = 64               # tracking_max_changes=0
    T_QUIET = 128               # recording is off, for instance while the container is unpickled or sorted
    T_CONVERT = 256             # plain containers that are stored become tracked children
    T_LOCKED_NAMES = 512        # some attributes are locked one by one
    T_NAMES = 1024              # the class or object names its tracked attributes
    T_SORTING = 2048            # list.sort holds the items; it discards what is stored meanwhile
    T_PENDING = 4096            # a bulk call made changes that are not recorded yet
    T_JOURNAL = 8192            # a transaction is open somewhere: changes also go into the journal
    T_GUARD = 16384             # a guard here or above can refuse changes
    T_REDACT = 32768            # some values here may have to be redacted
    # what commit_special handles
    T_SPECIAL = (T_GUARD | T_REDACT | T_NOTIFY | T_STACK | T_NOVALUES | T_SEVERAL | T_NORING | T_QUIET | T_PENDING |
                 T_JOURNAL)
    # what enter_slowly handles
    T_SLOW = T_LOCKED | T_PENDING | T_GUARD
    # what belongs to the container itself: refresh keeps these bits and derives the others
    T_OWN = T_LOCK_SELF | T_QUIET | T_LOCKED_NAMES | T_NAMES | T_SORTING | T_PENDING


cdef enum:                      # Tracker.marks
    X_REDACTS = 1               # this container, or one that is or was below it, has rules of tracking_redact
    X_KEYS_KNOWN = 2            # dict: every key is an exact str or int unless X_OTHER_KEYS
    X_OTHER_KEYS = 4            # dict: some keys are, or were, of other types
    X_WITHHELD = 8              # its rules found no memory, so all that it holds is withheld
    X_WATCHED = 16              # not written for this library; its tracker is a WatchedTracker
    X_COMPARED = 32             # and reports no changes: watch/compare.pyx finds them
    X_LOOPED = 128              # once, a link that closes a cycle led to it
    X_ORDERED = 64              # dict: an OrderedDict, which keeps a list of its keys beside the table


cdef enum:
    UNSAID = -1                 # an option that was not given
    NO_LIMIT = -2               # tracking_max_changes=None
    DEFAULT_MAX_CHANGES = 4096
    MAX_PLACES = 256            # places per container; a diamond of n levels would have 2**n
    MAX_LOGS = 8                # logs that have the records of one container; in more trees it has a log of its own
    MAX_FURTHER = 1024           # logs of such containers that the log of a tree refers to
