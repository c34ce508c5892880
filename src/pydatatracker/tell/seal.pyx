# Owns: the seals of the lines of one chain: which hash comes next, and the bytes of a line with its seal.
# May touch: nothing but its fields. The hash function is that of hashlib, which the package passes in.
# Invariants:
#  - a chain advances when a line was written completely, and not before: `draw` makes a seal, `advance` takes it;
#  - nothing between the two runs Python code in the short way (`append.pyx`), so no signal handler can come between;
#  - `open` is False while the writer has to do something first: begin a chain, or write a root.

cdef class SealChain:
    """The state of a chain of sealed lines; base of the package's class."""

    def __cinit__(self, sha256, bytes name, bytes start, Py_ssize_t left):
        self.sha256 = sha256
        self.head = b',"seal":"' + name + b'.'
        self.previous = start
        self.left = left
        self.digests = bytearray()
        self.open = True

    def seal(self, bytes line):
        """Return a line of JSON with its seal and newline, and advance. O(length)."""
        cdef pdt_out out
        cdef bytes digest
        pdt_out_begin(&out)
        try:
            pdt_out_bytes(&out, PyBytes_AS_STRING(line), len(line))
            digest = self.draw(&out)
            self.advance(digest)
            return out.data[:out.size]
        finally:
            pdt_out_end(&out)

    cdef bytes draw(self, pdt_out *out):
        """Add the next seal and a newline to a line without newline; return its hash."""
        cdef Py_ssize_t size
        cdef bytes data, digest
        cdef char hexed[64]
        cdef const char *digits = b"0123456789abcdef"
        cdef unsigned char each
        cdef int i
        if out.size < 2 or out.data[out.size - 1] != b'}':
            raise ValueError("a line that is sealed must be a JSON object")
        out.size -= 1
        pdt_out_bytes(out, PyBytes_AS_STRING(self.head), len(self.head))
        pdt_out_int(out, self.count + 1)
        pdt_out_literal(out, b'.')
        size = out.size
        data = b"\0" + self.previous + out.data[:size]
        digest = self.sha256(data).digest()
        for i in range(32):
            each = (<const unsigned char *>PyBytes_AS_STRING(digest))[i]
            hexed[2 * i] = digits[each >> 4]
            hexed[2 * i + 1] = digits[each & 15]
        pdt_out_bytes(out, hexed, 64)
        pdt_out_literal(out, b'"}\n')
        return digest

    cdef int advance(self, bytes digest) except -1:
        self.digests.extend(digest)
        self.previous = digest
        self.count += 1
        self.left -= 1
        return 0
