# Owns: the classes and functions of the package that the core calls.
# May touch: nothing else.
# Invariants:
#  - the package calls `connect` once, when pydatatracker.containers is imported; no container exists before;
#  - the core calls upwards only through what is listed here.

from types import MemberDescriptorType as _MemberDescriptorType

cdef object entry_class = None          # ChangeLogEntry: class of the changes that are handed out
cdef object settle_entries = None       # (entries): keeps their answers before their records leave the ring
cdef object log_observer_error = None   # (change, observer, exception)
cdef object dict_type = None            # TrackedDict: what a plain dict is converted to
cdef object list_type = None            # TrackedList
cdef object set_type = None             # TrackedSet
cdef dict twin_types = {}               # OrderedDict, defaultdict, Counter, deque -> the tracked twin of each
cdef object prepare_class = None        # (class of tracked objects), once per class, at its first instance
cdef object compile_redact = None       # (tracking_redact=...) -> globs as tuples, or a callable
cdef object redact_as_given = None      # the inverse of compile_redact
cdef object rebuild_options = None      # (format, {keyword: value}) -> Options: the function that pickles name
cdef object rebuild_format = None       # the format that this version writes
cdef object refuse_change = None        # (change, guard, error or None): reverts the change quietly and raises
cdef object report_untracked = None     # (rows, raises or not, change or None, capture or None): warns, or raises
cdef object REDACTED = None             # stand-in for a redacted value
cdef object redacted_dict = None        # class of a dict with redacted values
cdef object redacted_list = None        # class of a list with redacted values
cdef object marks_before = None         # (length now, later changes, newest first) -> marks of a list before them
cdef object mark_change = None          # (marks, change): applies a change of several items to the marks
cdef object encode_for_line = None      # (value, as a key or not, silently or not) -> JSON data
cdef object frame_for_line = None       # (code, offset) -> a call as a dict; None: it is of this library
cdef object culprit_for_line = None     # (files) -> position of the culprit among the calls, or None
cdef object value_at = None             # (value of a record, seq) -> as it was just after that change
cdef object first_state = None          # (value of an init) -> the state, which is computed when it is read
cdef object member_type = _MemberDescriptorType     # class of an entry of __slots__


def connect(**given):
    """Give the core the classes and functions of the package that it calls; called once, at import."""
    global entry_class, settle_entries, log_observer_error, dict_type, list_type, set_type, twin_types, prepare_class
    global compile_redact, redact_as_given, rebuild_options, rebuild_format, refuse_change
    global value_at, first_state, encode_for_line, frame_for_line, culprit_for_line
    global report_untracked, REDACTED, redacted_dict, redacted_list, marks_before, mark_change
    entry_class = given["entry_class"]
    settle_entries = given["settle_entries"]
    log_observer_error = given["log_observer_error"]
    dict_type = given["dict_type"]
    list_type = given["list_type"]
    set_type = given["set_type"]
    twin_types = given["twin_types"]
    prepare_class = given["prepare_class"]
    compile_redact = given["compile_redact"]
    redact_as_given = given["redact_as_given"]
    rebuild_options = given["rebuild_options"]
    rebuild_format = given["rebuild_format"]
    refuse_change = given["refuse_change"]
    report_untracked = given["report_untracked"]
    REDACTED = given["REDACTED"]
    redacted_dict = given["redacted_dict"]
    redacted_list = given["redacted_list"]
    marks_before = given["marks_before"]
    mark_change = given["mark_change"]
    value_at = given["value_at"]
    first_state = given["first_state"]
    encode_for_line = given["encode_for_line"]
    frame_for_line = given["frame_for_line"]
    culprit_for_line = given["culprit_for_line"]
    make_directly()
