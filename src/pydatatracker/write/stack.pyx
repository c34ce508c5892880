# Owns: capturing the stack of the caller.
# May touch: frames, through native/compat.h.
# Invariant: builds no text; code objects and instruction offsets are enough to do that later.

cdef enum:
    MAX_FRAMES = 512


cdef object capture_stack(int depth):
    """Return the calling frames as ((code, ...), instruction offsets), innermost first. O(depth)."""
    cdef PyObject *codes[MAX_FRAMES]
    cdef int offsets[MAX_FRAMES]
    cdef PyObject *frame = pdt_frame()
    cdef PyObject *back
    cdef Py_ssize_t i
    cdef Py_ssize_t n = 0
    cdef object instructions
    cdef tuple result
    if depth > MAX_FRAMES:
        depth = MAX_FRAMES
    while frame != NULL and n < depth:
        codes[n] = pdt_frame_code(frame)
        offsets[n] = pdt_frame_lasti(frame)
        n += 1
        back = pdt_frame_back(frame)
        Py_DECREF(<object>frame)
        frame = back
    Py_XDECREF(frame)
    result = PyTuple_New(n)
    for i in range(n):
        Py_INCREF(<object>codes[i])
        PyTuple_SET_ITEM(result, i, <object>codes[i])
        Py_DECREF(<object>codes[i])
    instructions = (<char *>offsets)[:n * sizeof(int)]
    return result, instructions


def stack_of_caller(int depth):
    """Return the calling frames as records keep them, without the Python frame that calls this. O(depth)."""
    frames = capture_stack(depth + 1)
    return frames[0][1:], frames[1][sizeof(int):]
