# Owns: what the package gives the core once, when it is imported.

cdef object entry_class = None      # ChangeLogEntry, set by the package
cdef object settle_entries = None   # called with a list of entries whose record is about to leave the ring
cdef object dict_type = None        # what plain containers become when they are converted
cdef object list_type = None
cdef object set_type = None
cdef object class_prepare = None    # called once for every class, by the package
cdef object on_observer_error = None    # called with (change, observer, exception)
cdef object compile_redact = None       # set by the package: globs or a callable -> what write/redact.pyx understands
cdef object rebuild_options = None      # (format, options by name) -> Options: what pickles name
cdef object rebuild_format = None       # the version of that format
cdef object redact_as_given = None      # the opposite of compile_redact
cdef object on_refused = None           # (change, guard): takes the change back quietly and raises
cdef object REDACTED = None             # the stand-ins, set by the package
cdef object redacted_dict = None
cdef object redacted_list = None
cdef object new_marks = None            # (length now, changes newest first) -> marks before them
cdef object mark_list = None            # (marks, change): what a change of several items does to them


def setup(entry, settle, errors, dict_class, list_class, set_class):
    """Called once by the package: the classes and functions of the layers above."""
    global entry_class, settle_entries, on_observer_error, dict_type, list_type, set_type
    entry_class = entry
    settle_entries = settle
    on_observer_error = errors
    dict_type, list_type, set_type = dict_class, list_class, set_class


def attr_setup(member_descriptor_type, prepare):
    """Called once by the package."""
    global member_type, class_prepare
    member_type = member_descriptor_type
    class_prepare = prepare


def history_setup(marks, mark, redact):
    """Called once by the package: functions of the layers above."""
    global new_marks, mark_list, compile_redact
    new_marks, mark_list, compile_redact = marks, mark, redact


def guard_setup(refused):
    """Called once by the package."""
    global on_refused
    on_refused = refused


def redact_setup(stand_in, of_dict, of_list):
    """Called once by the package."""
    global REDACTED, redacted_dict, redacted_list
    REDACTED, redacted_dict, redacted_list = stand_in, of_dict, of_list


def rebuild_setup(options, version, as_given):
    """Called once by the package."""
    global rebuild_options, rebuild_format, redact_as_given
    rebuild_options, rebuild_format, redact_as_given = options, version, as_given
