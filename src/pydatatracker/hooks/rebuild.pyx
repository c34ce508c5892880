# Owns: rebuild

def begin_rebuild(container, Options options, name):
    """A container made by copy or pickle: quiet until end_rebuild."""
    cdef Tracker t
    if isinstance(container, DictHook):
        (<DictHook>container).born_ns = pdt_now_ns()
    elif isinstance(container, ListHook):
        (<ListHook>container).born_ns = pdt_now_ns()
    elif isinstance(container, SetHook):
        (<SetHook>container).born_ns = pdt_now_ns()
    t = tracker_of(container)
    if options is not None:
        t.options = options
    if name is not None:
        rare_of(t).name = name
    t.state |= T_QUIET
    t.epoch = 0


def end_rebuild(container):
    """The container is whole: its life begins here."""
    cdef Tracker t = tracker_of(container)
    if isinstance(container, DictHook):
        (<DictHook>container).born_ns = pdt_now_ns()
        (<DictHook>container).born_seq = last_seq
        (<DictHook>container).born_len = PyDict_Size(container)
    elif isinstance(container, ListHook):
        (<ListHook>container).born_ns = pdt_now_ns()
        (<ListHook>container).born_seq = last_seq
        (<ListHook>container).born_len = PyList_GET_SIZE(container)
    elif isinstance(container, SetHook):
        (<SetHook>container).born_ns = pdt_now_ns()
        (<SetHook>container).born_seq = last_seq
        (<SetHook>container).born_len = PySet_GET_SIZE(container)
    else:
        (<AttrHook>container).born_ns = pdt_now_ns()
        (<AttrHook>container).born_seq = last_seq
    t.net = 0
    t.state &= ~T_QUIET
    t.epoch = 0


def relink(container):
    """Link what a container got without its hooks; what was linked stays. O(items)."""
    cdef Tracker t = tracker_of(container)
    if t.children == 0:
        if t.kind == K_ATTR:
            link_attributes(container)
        else:
            link_all(t)
