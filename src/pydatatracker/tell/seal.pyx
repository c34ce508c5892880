# Owns: the seals of the lines of one chain: which hash comes next, and the bytes of a line with its seal; roots of trees.
# May touch: nothing but its fields. Where the processor has no instructions for it, hashlib hashes.
# Invariants:
#  - a chain advances when a line was written completely, and not before: `draw` makes a seal, `advance` takes it;
#  - nothing between the two runs Python code in the short way (`append.pyx`), so no signal handler can come between;
#  - `open` is False while the writer has to do something first: begin a chain, or write a root.

pdt_sha256_setup()
HAS_SHA256 = bool(pdt_has_sha256)


cdef class SealChain:
    """The state of a chain of sealed lines; base of the package's class."""

    def __cinit__(self, sha256, bytes name, bytes start, Py_ssize_t left):
        if len(start) != 32:
            raise ValueError("a chain begins with a hash of 32 bytes")
        if sha256 is None and not pdt_has_sha256:
            raise ValueError("this processor has no instructions for SHA-256: give the function of hashlib")
        self.sha256 = sha256
        self.head = b',"seal":"' + name + b'.'
        memcpy(self.last, PyBytes_AS_STRING(start), 32)
        self.left = left
        self.digests = bytearray()
        self.open = True

    @property
    def previous(self):
        """Hash of the last line, or what the chain begins with."""
        return PyBytes_FromStringAndSize(<char *>self.last, 32)

    def seal(self, bytes line):
        """Return a line of JSON with its seal and newline, and advance. O(length)."""
        cdef pdt_out out
        cdef unsigned char digest[32]
        pdt_out_begin(&out)
        try:
            pdt_out_bytes(&out, PyBytes_AS_STRING(line), len(line))
            self.draw(&out, digest)
            self.advance(digest)
            return out.data[:out.size]
        finally:
            pdt_out_end(&out)

    cdef int draw(self, pdt_out *out, unsigned char *digest) except -1:
        """Add the next seal and a newline to a line without newline, and tell its hash."""
        cdef pdt_sha256 hashing
        cdef bytes found
        cdef char hexed[64]
        cdef const char *digits = b"0123456789abcdef"
        cdef int i
        if out.size < 2 or out.data[out.size - 1] != b'}':
            raise ValueError("a line that is sealed must be a JSON object")
        out.size -= 1
        pdt_out_bytes(out, PyBytes_AS_STRING(self.head), len(self.head))
        pdt_out_int(out, self.count + 1)
        pdt_out_literal(out, b'.')
        if self.sha256 is None:
            pdt_sha256_begin(&hashing)
            pdt_sha256_add(&hashing, b"\0", 1)
            pdt_sha256_add(&hashing, self.last, 32)
            pdt_sha256_add(&hashing, out.data, out.size)
            pdt_sha256_end(&hashing, digest)
        else:
            found = self.sha256(b"\0" + self.previous + out.data[:out.size]).digest()
            memcpy(digest, PyBytes_AS_STRING(found), 32)
        for i in range(32):
            hexed[2 * i] = digits[digest[i] >> 4]
            hexed[2 * i + 1] = digits[digest[i] & 15]
        pdt_out_bytes(out, hexed, 64)
        pdt_out_literal(out, b'"}\n')
        return 0

    cdef int advance(self, const unsigned char *digest) except -1:
        cdef Py_ssize_t size = len(self.digests)
        PyByteArray_Resize(self.digests, size + 32)
        memcpy(PyByteArray_AS_STRING(self.digests) + size, digest, 32)
        memcpy(self.last, digest, 32)
        self.count += 1
        self.left -= 1
        return 0


def tree_root(leaves):
    """Return the root of a Merkle tree (RFC 9162, section 2.1.1), if HAS_SHA256. O(leaves).

    :param leaves: the hashes of its leaves as bytes or bytearray, 32 bytes each, one after the other; at least one.
    """
    cdef bytearray level = bytearray(leaves)    # the hashes of a level, written over those of the level below
    cdef unsigned char *hashes = <unsigned char *>PyByteArray_AS_STRING(level)
    cdef Py_ssize_t left = len(level) // 32, n
    cdef pdt_sha256 hashing
    if left < 1 or len(level) % 32 or not pdt_has_sha256:
        raise ValueError("a tree needs leaves of 32 bytes, and a processor with instructions for SHA-256")
    while left > 1:
        for n in range(left // 2):
            pdt_sha256_begin(&hashing)
            pdt_sha256_add(&hashing, b"\1", 1)
            pdt_sha256_add(&hashing, hashes + 64 * n, 64)
            pdt_sha256_end(&hashing, hashes + 32 * n)
        if left % 2:                            # the last one has no neighbour, and goes up as it is
            memcpy(hashes + 32 * (left // 2), hashes + 32 * (left - 1), 32)
        left = (left + 1) // 2
    return PyBytes_FromStringAndSize(<char *>hashes, 32)
