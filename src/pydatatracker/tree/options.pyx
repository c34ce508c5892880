# Owns: tracking options: the table of all options, checking what is given, and inheriting from parents.
# May touch: trackers, to attach options to a new container.
# Invariants:
#  - an Options object never changes once containers use it, apart from DEFAULT_OPTIONS (set_default_options);
#  - an option that was not given is UNSAID; `merged` takes it from the parent, and a root from DEFAULT_OPTIONS;
#  - `redact` and the name are not inherited.
#
# docs/where-to-change.md has the steps for a new option; tests/core/test_options.py names what is missing.

cdef enum:                      # kinds of values, see checked()
    V_FLAG                      # True or False
    V_DEPTH                     # a number of frames, True (25) or False (0)
    V_LIMIT                     # a number, or None for no limit
    V_ERRORS                    # "log" or "raise"
    V_UNTRACKED                 # "ignore", "warn" or "raise"

# keyword, attribute of Options, kind of value, default; in the order of O_...
OPTIONS = (
    ("tracking_auto_convert", "auto_convert", V_FLAG, 0),
    ("tracking_capture_snapshots", "snapshots", V_FLAG, 0),
    ("tracking_capture_stack", "stack", V_DEPTH, 0),
    ("tracking_max_changes", "max_changes", V_LIMIT, DEFAULT_MAX_CHANGES),
    ("tracking_keep_values", "keep_values", V_FLAG, 1),
    ("tracking_observer_errors", "raise_errors", V_ERRORS, 0),
    ("tracking_remember_last", "remember_last", V_FLAG, 0),
    ("tracking_follow", "follow", V_FLAG, 0),
    ("tracking_untracked", "untracked", V_UNTRACKED, 0),
)
UNTRACKED = ("ignore", "warn", "raise")
OPTION_NAMES = ("tracking_name", *[_row[0] for _row in OPTIONS], "tracking_redact")

cdef dict option_rows = {row[0]: (i, row[2]) for i, row in enumerate(OPTIONS)}    # keyword -> (O_..., V_...)
cdef dict option_fields = {row[1]: i for i, row in enumerate(OPTIONS)}            # attribute -> O_...


cdef class Options:
    """Tracking options of containers. An attribute is -1 if nothing was given.

    Pickles of 0.2.0 call it with eight values: those of OPTIONS_OF_0_2_0, then the redaction.
    """

    def __cinit__(self):
        cdef int i
        for i in range(N_OPTIONS):
            self.values[i] = UNSAID

    def __init__(self, *values):
        cdef int i
        for i in range(min(OPTIONS_OF_0_2_0, len(values))):
            self.values[i] = NO_LIMIT if values[i] is None else values[i]
        if len(values) > OPTIONS_OF_0_2_0:
            self.redact = values[OPTIONS_OF_0_2_0]

    def __getattr__(self, str name):
        i = option_fields.get(name)
        if i is None:
            raise AttributeError(f"Options has no attribute {name!r}")
        return self.values[<int>i]

    def __reduce__(self):
        return rebuild_options, (rebuild_format, named_options(self))

    def __eq__(self, other):
        return isinstance(other, Options) and option_values(self) == option_values(<Options>other)

    def __hash__(self):
        return hash(option_values(self))


cdef tuple option_values(Options options):
    return (*[options.values[i] for i in range(N_OPTIONS)], options.redact)


cdef dict named_options(Options options):
    """Return {keyword: value} of what was given: what a pickle holds, as it outlives the order of the table."""
    cdef int i
    cdef dict named = {}
    for i, row in enumerate(OPTIONS):
        if options.values[i] != UNSAID:
            named[row[0]] = shown(row[2], options.values[i])
    if options.redact is not None:
        named["tracking_redact"] = redact_as_given(options.redact)
    return named


cdef Options default_options():
    cdef Options options = Options.__new__(Options)
    for i, row in enumerate(OPTIONS):
        options.values[<int>i] = row[3]
    return options


cdef Options DEFAULT_OPTIONS = default_options()
cdef Options ATTR_OPTIONS = Options(1)      # tracked objects convert what is assigned


cdef Options merged(Options own, Options above):
    """Return own, with what it does not say taken from above."""
    cdef Options both
    cdef int i
    if own is None:
        return above
    both = Options.__new__(Options)
    for i in range(N_OPTIONS):
        both.values[i] = above.values[i] if own.values[i] == UNSAID else own.values[i]
    both.redact = own.redact
    return both


cdef Options options_of_class(object cls):
    """Return the options that a class or one of its bases was defined with, or None. O(1)."""
    cdef PyObject *held = pdt_type_lookup(<PyTypeObject *>cls, "_tracking_class_options")
    return None if held == NULL or type(<object>held) is not Options else <Options>held


def class_options(type cls, Options given):
    """Return the options of a class that is defined with some, which come before those of its bases. O(1)."""
    above = options_of_class(cls)
    return given if above is None else merged(given, above)


cdef Py_ssize_t checked(int kind, str name, object value) except? -99:
    """Return the number that represents a value. Raises TypeError or ValueError for a wrong one."""
    if kind == V_ERRORS:
        if value not in ("log", "raise"):
            raise TypeError(f"{name} takes 'log' or 'raise', not {value!r}")
        return value == "raise"
    if kind == V_UNTRACKED:
        if not isinstance(value, str) or value not in UNTRACKED:
            raise TypeError(f"{name} takes 'ignore', 'warn' or 'raise', not {value!r}")
        return UNTRACKED.index(value)
    if kind == V_FLAG:
        if value is not True and value is not False:
            raise TypeError(f"{name} takes True or False, not {value!r}")
        return value is True
    if kind == V_DEPTH and isinstance(value, bool):
        return 25 if value else 0
    if kind == V_LIMIT and value is None:
        return NO_LIMIT
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{name} takes a whole number of 0 or more, not {value!r}")
    if value > 1 << 40:
        raise ValueError(f"{name}={value!r} is more than any memory holds")
    return value


cdef object shown(int kind, Py_ssize_t value):
    """Return the value that a number represents; the inverse of checked()."""
    if kind == V_ERRORS:
        return "raise" if value else "log"
    if kind == V_UNTRACKED:
        return UNTRACKED[value]
    if kind == V_FLAG:
        return value == 1
    return None if value == NO_LIMIT else value


cdef bint any_option(dict kwargs):
    """True if one of the names begins as those of options do. O(names)."""
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    while PyDict_Next(kwargs, &position, &key, NULL):
        if begins_as_option(<object>key):
            return True
    return False


cdef bint names_option(tuple names):
    """The same for names in a tuple. O(names)."""
    cdef Py_ssize_t i
    for i in range(PyTuple_GET_SIZE(names)):
        if begins_as_option(names[i]):
            return True
    return False


cdef inline bint begins_as_option(object name):
    return PyUnicode_GET_LENGTH(name) > 9 and PyUnicode_READ_CHAR(name, 0) == c't' and (
        (<str>name).startswith("tracking_"))


cdef tuple split_options(dict kwargs):
    """Return ((Options or None, name) or None, the other keyword arguments). TypeError for an unknown option."""
    cdef dict rest
    cdef bint any = False
    cdef Options options = None
    name = None
    if not any_option(kwargs):
        return None, kwargs
    rest = {}
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
            options = Options.__new__(Options)
        row = option_rows.get(key)
        if row is not None:
            options.values[<int>row[0]] = checked(row[1], key, value)
            if <int>row[0] == O_FOLLOW and options.values[O_FOLLOW] == 1:
                begin_following()
        elif key == "tracking_redact":
            options.redact = None if value is None else compile_redact(value)
        else:
            import difflib
            near = difflib.get_close_matches(key, OPTION_NAMES, 1, 0.0)
            raise TypeError(f"unknown tracking option {key!r}; did you mean {near[0]!r}?")
    return ((options, name) if any else None), rest


cdef object following_hook = None       # called once, when an option asks for following: the process has to end that


def set_following_hook(call):
    """Set what is called when an option asks for following for the first time."""
    global following_hook
    following_hook = call


cdef int begin_following() except -1:
    """Have what is put into tracked containers looked at, whatever its class. O(1)."""
    global following_hook
    if PDT_CAN_WATCH and not pdt_following:
        pdt_set_following()
        if following_hook is not None:
            following_hook()
    return 0


def options_from(dict kwargs):
    """Split keyword arguments into (Options or None, name, the other keyword arguments)."""
    given, rest = split_options(kwargs)
    if given is None:
        return None, None, rest
    return given[0], given[1], rest


def set_default_options(stack=None, snapshots=None):
    """Set defaults of the process for containers that say nothing; None keeps one (`pydatatracker run`)."""
    if stack is not None:
        DEFAULT_OPTIONS.values[O_STACK] = stack
    if snapshots is not None:
        DEFAULT_OPTIONS.values[O_SNAPSHOTS] = snapshots
    bump()


def own_options(container):
    """Return the options that were given to this container, or None. O(1)."""
    return tracker_of(container).options


def configure(container, Options options, name):
    """Set options and name of a new container. O(1)."""
    cdef Tracker t
    if options is None and name is None:
        return
    t = tracker_of(container)
    if options is not None:
        t.options = merged(options, t.options) if t.options is not None else options
        note_redact(t)
    if name is not None:
        rare_of(t).name = name
    t.epoch = 0
    if t.children:
        bump()
