# Owns: the text of a key, which pointers show and globs match: one function, so that both mean the same location.
# May touch: trackers, for the id of a tracked container that is a key.
# Invariants:
#  - text_of_key never raises an Exception, whatever the key is; an exact str is its own text;
#  - the text of anything but a str has at most KEY_CHARS characters;
#  - for a str, an int, a float, bytes, a bool and None no user code runs; for other keys their __str__ does.

cdef enum:
    KEY_CHARS = 10000           # of a key that is not a str; more are cut, and the text is then not exact


ANY_KEY = object()                      # in a path: a key whose text is not known, which every segment of a glob matches


cdef str text_of_key(object key, bint *exact):
    """Return a key as text; ``exact`` is False if it has none, or too much of it. O(text)."""
    cdef Tracker t
    cdef object made
    exact[0] = True
    if PyUnicode_CheckExact(key):
        return key
    try:
        if isinstance(key, str):
            return str.__str__(key)             # what it holds, whatever its class shows: Enum, numpy.str_ ...
        t = tracker_of(key)
        if t is not None:
            return t.uuid
        made = repr(key) if isinstance(key, bytes) else str(key)
        if not PyUnicode_CheckExact(made):
            made = str.__str__(made)
    except Exception as error:
        exact[0] = False
        return f"<{class_name(type(key))}: __str__ raised {class_name(type(error))}>"
    if PyUnicode_GET_LENGTH(made) > KEY_CHARS:
        exact[0] = False
        return made[:KEY_CHARS] + "..."
    return made


def key_text(key):
    """Return a key as text, whatever it is: what a pointer shows and a glob matches. O(text).

    A str is its own text, whatever its class shows; a tracked container has its id; anything else has its `str`. A
    ``__str__`` that raises gives the name of the error, and more than 10,000 characters are cut.
    """
    cdef bint exact
    return text_of_key(key, &exact)


cdef tuple texts_of(tuple path):
    """Return the texts of the keys, ANY_KEY where there is no exact one. O(path)."""
    cdef bint exact
    cdef list texts = []
    for key in path:
        if key is ANY_KEY:
            exact = False
        else:
            text = text_of_key(key, &exact)
        texts.append(text if exact else ANY_KEY)
    return tuple(texts)
