# Owns: `extra` as JSON: a change as text for people, as `change.text.extra_of` has it.
# May touch: record/summary.pyx, for values whose code must not run.
# Invariant: the texts of values that can change later were made when the change was recorded (Extra.old_text).

cdef enum:
    LONGEST_TEXT = 100000       # characters of one value; longer texts are cut by the Python encoder


cdef str text_of(Draft *d, object value):
    """Return a str as it is, anything else as its repr; of watched objects, a summary that runs no code."""
    cdef str made
    if PyUnicode_CheckExact(value):
        made = value
    elif d.silent:
        made = summary_of(value)
    else:
        d.ran_code = True
        try:
            made = repr(value)
        except Exception as error:
            made = f"<{class_name(type(value))}: repr raised {class_name(type(error))}>"
    if PyUnicode_GET_LENGTH(made) > LONGEST_TEXT:
        d.unfit = True
    return made


cdef str inner_text(Draft *d, object value):
    """Return a value as it looks inside a list."""
    if d.silent:
        return summary_of([value])[1:-1]
    return text_of(d, pdt_repr(value) if PyUnicode_CheckExact(value) else value)


cdef int put_word(Draft *d, object value, str kept) except -1:
    """Put the text of a value; kept: the one that was made when it was recorded, or None."""
    cdef Py_ssize_t start
    if kept is not None:
        return put_text(d, kept)
    if value is None or value is True or value is False:
        pdt_out_literal(&d.out, b'"None"' if value is None else b'"True"' if value else b'"False"')
        return 0
    if PyLong_CheckExact(value) or type(value) is float:
        start = d.out.size
        pdt_out_literal(&d.out, b'"')
        if pdt_out_scalar(&d.out, value) == 0:
            pdt_out_literal(&d.out, b'"')
            return 0
        d.out.size = start
    return put_text(d, text_of(d, value))


cdef int put_words(Draft *d, Change change, object last) except -1:
    """Put `extra`."""
    cdef Extra details = change.details
    cdef str old_text = None if details is None else details.old_text
    cdef str new_text = None if details is None else details.new_text
    cdef bint removes = change.action_code == A_REMOVE
    pdt_out_literal(&d.out, b',"extra":{"action":')
    put_text(d, ACTIONS[change.action_code])
    put_location(d, change, last)
    if change.shape == S_SLOT:
        pdt_out_literal(&d.out, b',"value":')
        put_word(d, change.old if removes else change.new, old_text if removes else new_text)
        if removes or (change.index >= 0 and change.old is not missing):
            pdt_out_literal(&d.out, b',"removed_items":')
            put_text(d, f"[{inner_text(d, change.old) if old_text is None else old_text}]")
        if change.index >= 0 and change.key is not missing:
            pdt_out_literal(&d.out, b',"passed_index":')
            put_word(d, change.key, None)
        if change.method_code == M_SETDEFAULT:
            pdt_out_literal(&d.out, b',"default":')
            put_word(d, change.new, new_text)
            pdt_out_literal(&d.out, b',"return_value":')
            put_word(d, change.new, new_text)
        elif change.method_code == M_POP or change.method_code == M_POPITEM:
            pdt_out_literal(&d.out, b',"return_value":')
            put_word(d, change.old, old_text)
    elif change.shape == S_SPLICE or change.shape == S_ELEMENTS:
        pdt_out_literal(&d.out, b',"value":')
        removed = text_of(d, list(change.old)) if old_text is None else old_text
        put_text(d, removed if not change.new else text_of(d, list(change.new)) if new_text is None else new_text)
        if change.old:
            pdt_out_literal(&d.out, b',"removed_items":')
            put_text(d, removed)
    elif change.shape == S_ROWS or change.shape == S_FILL:
        put_words_of_rows(d, change, old_text, new_text)
    elif change.action_code == A_INIT:
        pdt_out_literal(&d.out, b',"init_data":')
        put_text(d, "" if change.new is missing else text_of(d, change.new))
    pdt_out_literal(&d.out, b',"method":')
    put_text(d, METHODS[change.method_code])
    locks = change.action_code == A_LOCK
    pdt_out_literal(&d.out, b',"locked":"True","type":' if locks else b',"locked":"False","type":')
    put_text(d, class_name(change.place.tracker.cls))
    if change.place.tracker.kind == K_ATTR:
        if last is not missing and last is not None:
            pdt_out_literal(&d.out, b',"attribute_name":')
            put_word(d, last, None)
            pdt_out_literal(&d.out, b',"attribute_locked":"True"' if locks else b',"attribute_locked":"False"')
        if change.shape == S_SLOT:
            pdt_out_literal(&d.out, b',"data_pre_change":')
            put_word(d, "" if change.old is missing else change.old, None if change.old is missing else old_text)
            pdt_out_literal(&d.out, b',"data_post_change":')
            put_word(d, "" if change.new is missing else change.new, None if change.new is missing else new_text)
    pdt_out_literal(&d.out, b'}')
    return 0


cdef int put_words_of_rows(Draft *d, Change change, str old_text, str new_text) except -1:
    cdef list old = []
    cdef list new = []
    cdef list pairs = []
    if change.shape == S_FILL:
        new = list((<dict>change.new).items())
    else:
        for n in range(0, len(<tuple>change.new), 3):
            key, before, after = change.new[n], change.new[n + 1], change.new[n + 2]
            if before is not missing:
                old.append((key, before))
            if after is not missing:
                new.append((key, after))
    removed = text_of(d, [value for _, value in old]) if old_text is None else old_text
    shown = new_text if new else old_text
    if shown is None:
        for key, value in new or old:
            pairs.append(f"{inner_text(d, key)}: {inner_text(d, value)}")
        shown = "{" + ", ".join(pairs) + "}"
    pdt_out_literal(&d.out, b',"value":')
    put_text(d, shown)
    if old:
        pdt_out_literal(&d.out, b',"removed_items":')
        put_text(d, removed)
    return 0


cdef int put_location(Draft *d, Change change, object last) except -1:
    """Put the key, or the keys from the viewer on as one text: `profile:score`, `ports|0`."""
    cdef Place place = change.place
    cdef Tracker viewer = <Tracker>d.viewer
    cdef list steps = []
    cdef str joined
    cdef Py_ssize_t n
    while place.parent is not None and place.tracker is not viewer:
        steps.append(place)
        place = place.parent
    if not steps:
        if last is missing:
            return 0
        pdt_out_literal(&d.out, b',"location":')
        return put_only_key(d, last)
    pdt_out_literal(&d.out, b',"location":')
    n = len(steps) - 1
    if n == 0 and last is missing:
        return put_only_key(d, (<Place>steps[0]).key)
    joined = text_of(d, (<Place>steps[n]).key)
    while n >= 0:
        place = <Place>steps[n]
        n -= 1
        if n < 0 and last is missing:
            break
        kind = place.tracker.kind
        joined += "." if kind == K_ATTR else "|" if kind == K_LIST or kind == K_TUPLE or kind == K_DEQUE else ":"
        joined += text_of(d, last if n < 0 else (<Place>steps[n]).key)
    return put_text(d, joined)


cdef int put_only_key(Draft *d, object key) except -1:
    """Put a key by itself: text, or an int as it is."""
    if not PyLong_CheckExact(key):
        return put_word(d, key, None)
    if pdt_out_scalar(&d.out, key) != 0:
        d.unfit = True
    return 0
