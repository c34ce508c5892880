# Owns: how deep JSON text nests, which is checked before text is parsed.
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


def one_nests_deeper(bytes lines not None, Py_ssize_t levels):
    """True if one of several lines of JSON has more nested levels. O(length)."""
    return pdt_json_line_is_deeper(lines, len(lines), levels)
