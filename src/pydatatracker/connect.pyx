# Owns: the classes and functions of the package that the core calls.
# May touch: nothing else.
# Invariants:
#  - the package calls `connect` once, when it is imported; before that no container exists;
#  - the core calls upwards only through what is listed here.

from types import MemberDescriptorType as _MemberDescriptorType

cdef object entry_class = None          # ChangeLogEntry: class of the changes that are handed out
cdef object settle_entries = None       # (entries): keeps their answers before their records leave the ring
cdef object on_observer_error = None    # (change, observer, exception): logs the failure
cdef object dict_type = None            # TrackedDict: what a plain dict is converted to
cdef object list_type = None            # TrackedList
cdef object set_type = None             # TrackedSet
cdef object class_prepare = None        # (class of tracked objects), once per class, at its first instance
cdef object compile_redact = None       # (tracking_redact=...) -> globs as tuples, or a callable
cdef object redact_as_given = None      # the inverse of compile_redact
cdef object rebuild_options = None      # (format, {keyword: value}) -> Options: the function that pickles name
cdef object rebuild_format = None       # the format that this version writes
cdef object on_refused = None           # (change, guard, error or None): reverts the change quietly and raises
cdef object REDACTED = None             # stand-in for a redacted value
cdef object redacted_dict = None        # class of a dict with redacted values
cdef object redacted_list = None        # class of a list with redacted values
cdef object new_marks = None            # (length now, later changes, newest first) -> marks of a list before them
cdef object mark_list = None            # (marks, change): applies a change of several items to the marks
cdef object member_type = _MemberDescriptorType     # class of an entry of __slots__


def connect(*, change_class, settle, observer_failed, tracked_dict, tracked_list, tracked_set, prepare_class,
            compile_redaction, redaction_as_given, options_of_pickle, pickle_format, refuse_change, redacted_value,
            redacted_dict_class, redacted_list_class, list_marks, mark_change):
    """Give the core the classes and functions of the package that it calls; called once, at import."""
    global entry_class, settle_entries, on_observer_error, dict_type, list_type, set_type, class_prepare
    global compile_redact, redact_as_given, rebuild_options, rebuild_format, on_refused
    global REDACTED, redacted_dict, redacted_list, new_marks, mark_list
    entry_class, settle_entries, on_observer_error = change_class, settle, observer_failed
    dict_type, list_type, set_type = tracked_dict, tracked_list, tracked_set
    class_prepare = prepare_class
    compile_redact, redact_as_given = compile_redaction, redaction_as_given
    rebuild_options, rebuild_format = options_of_pickle, pickle_format
    on_refused = refuse_change
    REDACTED, redacted_dict, redacted_list = redacted_value, redacted_dict_class, redacted_list_class
    new_marks, mark_list = list_marks, mark_change
