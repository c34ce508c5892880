# Owns: options

cdef class Options:
    """Tracking options of containers; -1 where not said."""

    def __init__(self, auto_convert=UNSAID, snapshots=UNSAID, stack=UNSAID, max_changes=UNSAID, keep_values=UNSAID,
                 raise_errors=UNSAID, remember_last=UNSAID, redact=None):
        self.auto_convert = auto_convert
        self.snapshots = snapshots
        self.stack = stack
        self.max_changes = NO_LIMIT if max_changes is None else max_changes
        self.keep_values = keep_values
        self.raise_errors = raise_errors
        self.remember_last = remember_last
        self.redact = redact

    def __reduce__(self):
        # by name: a pickle outlives the order of the fields
        return rebuild_options, (rebuild_format, named_options(self))

    def __eq__(self, other):
        return isinstance(other, Options) and option_values(self) == option_values(<Options>other)

    def __hash__(self):
        return hash(option_values(self))


cdef tuple option_values(Options o):
    return (o.auto_convert, o.snapshots, o.stack, o.max_changes, o.keep_values, o.raise_errors, o.remember_last,
            o.redact)


cdef Options UNSAID_OPTIONS = Options()
cdef Options DEFAULT_OPTIONS = Options(0, 0, 0, DEFAULT_MAX_CHANGES, 1, 0, 0)
cdef Options ATTR_OPTIONS = Options(1)


cdef Options merged(Options own, Options above):
    # what own does not say is taken from above
    cdef Options both
    if own is None:
        return above
    both = Options.__new__(Options)
    both.auto_convert = above.auto_convert if own.auto_convert == UNSAID else own.auto_convert
    both.snapshots = above.snapshots if own.snapshots == UNSAID else own.snapshots
    both.stack = above.stack if own.stack == UNSAID else own.stack
    both.max_changes = above.max_changes if own.max_changes == UNSAID else own.max_changes
    both.keep_values = above.keep_values if own.keep_values == UNSAID else own.keep_values
    both.raise_errors = above.raise_errors if own.raise_errors == UNSAID else own.raise_errors
    both.remember_last = above.remember_last if own.remember_last == UNSAID else own.remember_last
    both.redact = own.redact
    return both


OPTION_NAMES = (
    "tracking_name", "tracking_auto_convert", "tracking_capture_snapshots", "tracking_capture_stack",
    "tracking_max_changes", "tracking_keep_values", "tracking_observer_errors", "tracking_remember_last",
    "tracking_redact",
)


cdef Py_ssize_t checked_number(str name, object value) except? -99:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{name} takes a whole number of 0 or more, not {value!r}")
    if value > 1 << 40:
        raise ValueError(f"{name}={value!r} is more than any memory holds")
    return value


cdef int checked_flag(str name, object value) except? -99:
    if value is not True and value is not False:
        raise TypeError(f"{name} takes True or False, not {value!r}")
    return value is True


cdef tuple split_options(dict kwargs):
    """((Options or None, name) or None, the other keyword arguments). Raises TypeError for an unknown option."""
    cdef dict rest = {}
    cdef bint any = False
    cdef Options options = None
    name = None
    for key, value in kwargs.items():
        if not (<str>key).startswith("tracking_"):
            rest[key] = value
            continue
        any = True
        if key == "tracking_name":
            if value is not None and not isinstance(value, str):
                raise TypeError(f"tracking_name takes a str, not {value!r}")
            name = value
            continue
        if options is None:
            options = Options()
        if key == "tracking_auto_convert":
            options.auto_convert = checked_flag(key, value)
        elif key == "tracking_capture_snapshots":
            options.snapshots = checked_flag(key, value)
        elif key == "tracking_capture_stack":
            options.stack = 25 if value is True else 0 if value is False else checked_number(key, value)
        elif key == "tracking_max_changes":
            options.max_changes = NO_LIMIT if value is None else checked_number(key, value)
        elif key == "tracking_keep_values":
            options.keep_values = checked_flag(key, value)
        elif key == "tracking_remember_last":
            options.remember_last = checked_flag(key, value)
        elif key == "tracking_redact":
            options.redact = None if value is None else compile_redact(value)
        elif key == "tracking_observer_errors":
            if value not in ("log", "raise"):
                raise TypeError(f"tracking_observer_errors takes 'log' or 'raise', not {value!r}")
            options.raise_errors = value == "raise"
        else:
            import difflib
            near = difflib.get_close_matches(key, OPTION_NAMES, 1, 0.0)
            raise TypeError(f"unknown tracking option {key!r}; did you mean {near[0]!r}?")
    return ((options, name) if any else None), rest


def options_from(dict kwargs):
    """(Options or None, name, other keyword arguments) of tracking_... keyword arguments."""
    given, rest = split_options(kwargs)
    if given is None:
        return None, None, rest
    return given[0], given[1], rest


cdef dict named_options(Options options):
    # what options say, as keyword arguments of a container
    cdef dict named = {}
    if options.auto_convert != UNSAID:
        named["tracking_auto_convert"] = bool(options.auto_convert)
    if options.snapshots != UNSAID:
        named["tracking_capture_snapshots"] = bool(options.snapshots)
    if options.stack != UNSAID:
        named["tracking_capture_stack"] = options.stack
    if options.max_changes != UNSAID:
        named["tracking_max_changes"] = None if options.max_changes == NO_LIMIT else options.max_changes
    if options.keep_values != UNSAID:
        named["tracking_keep_values"] = bool(options.keep_values)
    if options.raise_errors != UNSAID:
        named["tracking_observer_errors"] = "raise" if options.raise_errors else "log"
    if options.remember_last != UNSAID:
        named["tracking_remember_last"] = bool(options.remember_last)
    if options.redact is not None:
        named["tracking_redact"] = redact_as_given(options.redact)
    return named


def set_default_options(stack=None, snapshots=None):
    """Process-wide defaults for containers that do not say; None leaves one as it is (`pydatatracker run`)."""
    if stack is not None:
        DEFAULT_OPTIONS.stack = stack
    if snapshots is not None:
        DEFAULT_OPTIONS.snapshots = snapshots
    bump()


def own_options(container):
    """Options as given to this container, or None."""
    return tracker_of(container).options


def configure(container, Options options, name):
    """Set options and name of a new container."""
    cdef Tracker t
    if options is None and name is None:
        return
    t = tracker_of(container)
    if options is not None:
        t.options = merged(options, t.options) if t.options is not None else options
    if name is not None:
        rare_of(t).name = name
    t.epoch = 0
    if t.children:
        bump()
