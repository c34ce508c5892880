# Owns: the frames of a captured stack as JSON text, kept for the next line that has them.
# May touch: code objects of the program, to read.
# Invariants:
#  - a text is made by `change.stack`, once for each call that is met, and forgotten when there are FRAMES_KEPT;
#  - the text of a whole stack is kept until a line has another one: a loop writes the same one again and again.

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


cdef tuple newest_stack = None          # (codes, offsets, text of the calls, their files) of the line before


cdef bint is_newest(tuple codes, bytes offsets):
    cdef tuple known = <tuple>newest_stack[0]
    cdef Py_ssize_t n = PyTuple_GET_SIZE(codes)
    return n == PyTuple_GET_SIZE(known) and pdt_same_items(
        (<PyTupleObject *>codes).ob_item, (<PyTupleObject *>known).ob_item, n) and offsets == <bytes>newest_stack[1]


cdef tuple stack_text(tuple codes, bytes offsets, Draft *d):
    """Return what `newest_stack` is for this stack, and keep it. O(calls)."""
    global newest_stack
    cdef list files = []
    cdef list texts = []
    cdef tuple made
    cdef Py_ssize_t i
    cdef bint unfit = False
    for i in range(PyTuple_GET_SIZE(codes) - 1, -1, -1):
        made = frame_text(<object>PyTuple_GET_ITEM(codes, i), (<int *><char *>offsets)[i], d)
        if made[0] is None:
            continue
        if not made[0]:
            unfit = True
        files.append(made[1])
        texts.append(made[0])
    stack = codes, offsets, b",".join(texts), files
    if unfit:
        d.unfit = True
    else:
        newest_stack = stack
    return stack


cdef int put_stack(Draft *d, object captured) except -1:
    """Put the calls that led to a change, innermost last, and the position of the culprit among them."""
    cdef tuple codes
    cdef bytes offsets
    cdef tuple stack
    cdef list files
    cdef bytes text
    if captured is None:
        if not d.compact:
            pdt_out_literal(&d.out, b',"stack":[]')
        return 0
    codes, offsets = <tuple>captured
    stack = newest_stack if newest_stack is not None and is_newest(codes, offsets) else stack_text(codes, offsets, d)
    text = <bytes>stack[2]
    files = <list>stack[3]
    if not files and d.compact:
        return 0
    pdt_out_literal(&d.out, b',"stack":[')
    pdt_out_bytes(&d.out, text, len(text))
    pdt_out_literal(&d.out, b']')
    if files:
        pdt_out_literal(&d.out, b',"culprit":')
        put_json(d, culprit_for_line(files))
    return 0
