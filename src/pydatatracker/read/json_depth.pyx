# Owns: what is checked of JSON text before it is parsed: how deep it nests, and that a line is one value.
# May touch: native/json.h.
# Invariant: looks at the bytes alone; whether they are valid JSON is for the parser to say.

def nests_deeper(data, Py_ssize_t levels):
    """True if JSON text, as str or bytes, has more nested levels. O(length), 50 ns for 1 KB."""
    cdef bytes text
    if isinstance(data, bytes):
        text = data
    else:
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    return pdt_json_is_deeper(text, len(text), levels)


def count_objects(bytes lines not None, Py_ssize_t levels):
    """Return the number of lines, if each may be one JSON object with no more nested levels; else -1. O(length)."""
    return pdt_json_lines(lines, len(lines), levels)
