# Owns: the frames of a captured stack as JSON text, kept for the next line that has them.
# May touch: code objects of the program, to read.
# Invariant: a text is made by `change.stack`, once for each call that is met, and forgotten when there are FRAMES_KEPT.

cdef enum:
    FRAMES_KEPT = 4096

cdef dict frames_kept = {}              # id of a code object -> (it, {offset: (text or None, file)})
cdef Py_ssize_t frames_count = 0


cdef tuple frame_text(object code, int offset, Draft *d):
    """Return the JSON of a call, None for one of this library, and its file."""
    global frames_count
    cdef dict calls
    cdef tuple made
    known = frames_kept.get(id(code))
    if known is None:
        known = (code, {})
        frames_kept[id(code)] = known
    calls = <dict>(<tuple>known)[1]
    found = calls.get(offset)
    if found is not None:
        return <tuple>found
    frame = frame_for_line(code, offset)    # None: of this library
    d.ran_code = True
    made = (None if frame is None else json_of(frame)), code.co_filename
    frames_count += 1
    if frames_count > FRAMES_KEPT:
        frames_kept.clear()
        frames_count = 0
    calls[offset] = made
    return made


cdef bytes json_of(object data):
    """Return JSON data as text; empty if it has no form here."""
    cdef Draft d
    begin_draft(&d)
    try:
        put_json(&d, data)
        return b"" if d.unfit else (<char *>d.out.data)[:d.out.size]
    finally:
        pdt_out_end(&d.out)


cdef int put_stack(Draft *d, object captured) except -1:
    """Put the calls that led to a change, innermost last, and the position of the culprit among them."""
    cdef tuple codes
    cdef bytes offsets
    cdef Py_ssize_t i
    cdef list files = []
    cdef tuple made
    cdef bytes text
    if captured is None:
        if not d.compact:
            pdt_out_literal(&d.out, b',"stack":[]')
        return 0
    codes, offsets = <tuple>captured
    pdt_out_literal(&d.out, b',"stack":[')
    for i in range(PyTuple_GET_SIZE(codes) - 1, -1, -1):
        made = frame_text(<object>PyTuple_GET_ITEM(codes, i), (<int *><char *>offsets)[i], d)
        text = made[0]
        if text is None:
            continue
        if not text:
            d.unfit = True
        if files:
            pdt_out_literal(&d.out, b',')
        files.append(made[1])
        pdt_out_bytes(&d.out, text, len(text))
    if not files and d.compact:
        d.out.size -= len(b',"stack":[')
        return 0
    pdt_out_literal(&d.out, b']')
    if files:
        pdt_out_literal(&d.out, b',"culprit":')
        put_json(d, culprit_for_line(files))
    return 0
