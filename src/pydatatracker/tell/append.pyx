# Owns: the short way of a line into a file that is written through: from the change to one write(), without Python.
# May touch: the line of a change; the file object of `io.files`, whose fields it shares, and the lock of its writer.
# Invariants:
#  - a line is written completely, or the writer is called and does it, or says what is missing;
#  - what is not the ordinary case is the writer's: a gap to report, a torn line, a file to look for, a lock that another
#    thread holds, a root whose state the log does not have.

cdef dict modules = _sys.modules
cdef str TRACE = "opentelemetry.trace"      # once loaded, a line may need the current span, which the Python encoder adds


cdef class Feed:
    """What takes changes without a call of their observer."""

    cdef bint accept(self, Change change, Tracker viewer) except -1:
        """Take a change as the viewer sees it. False: the observer has to be called."""
        return False

    cdef bint accept_encoded(self, Change change) except -1:
        """The same for a change that is not simple."""
        return False


cdef class OpenLog:
    """The fields of a log file that both ways of writing use; base of the package's class."""

    def __cinit__(self, *arguments, **options):
        self.fd = -1
        self.identity = 0, 0

    @property
    def ident(self):
        """Device and inode."""
        return self.identity

    @ident.setter
    def ident(self, given):
        self.identity = given
        self.device = given[0] & 0xFFFFFFFFFFFFFFFF
        self.inode = given[1] & 0xFFFFFFFFFFFFFFFF


@cython.final
cdef class Appender(Feed):
    """Writes the lines of changes through, one write() each."""

    def __init__(self, OpenLog log, lock, bint compact=False, bint withholds=False):
        self.log = log
        self.lock = lock
        self.acquire = lock.acquire
        self.release = lock.release
        self.compact = compact
        self.withholds = withholds
        self.ready = True

    def wrote(self, uint64_t seq):
        """Return whether a change is among the last ones that were written. O(1)."""
        cdef int i
        for i in range(64):
            if self.recent[i] == seq:
                return True
        return False

    def append(self, Change change):
        """Write the line of a change, as one call of its writer would; False if that has to do it. O(values)."""
        if not self.is_ordinary() or (self.begun is not None and (several(change) or not self.is_begun(change.place))):
            return False
        return self.put(change, change.viewer)

    def use_lock(self, lock):
        """Use another lock from now on: after a fork."""
        self.lock = lock
        self.acquire = lock.acquire
        self.release = lock.release

    cdef bint is_begun(self, Place place) except -1:
        """True if the log has the state of the root of a place, and none of a container below it that was a root."""
        if newly_looped is not None:
            return False
        while place.parent is not None:
            if place.tracker.number in self.known:
                return False
            place = place.parent
        return place.tracker.number in self.begun and (
            not any_looped or not is_graph(place.tracker) or place.tracker.number in self.graphs)

    cdef bint is_ordinary(self) except -1:
        """True if there is nothing to do for a line but to write it."""
        cdef OpenLog log = self.log
        return (self.ready and log.regular and not log.torn and log.fd >= 0 and TRACE not in modules
                and not pdt_is_due(log.look_at))

    cdef bint accept(self, Change change, Tracker viewer) except -1:
        if not self.is_ordinary():
            return False
        if several(change):
            if self.begun is not None:
                return False
            change = seen_from(change, viewer)
        elif self.begun is not None and not self.is_begun(change.place):
            return False
        if not self.put(change, viewer):
            return False
        self.taken += 1
        return True

    cdef bint put(self, Change change, Tracker viewer) except -1:
        """Write the line of a change as the viewer sees it."""
        cdef Draft d
        cdef OpenLog log = self.log
        cdef SealChain chain
        cdef unsigned char digest[32]
        cdef Py_ssize_t done
        begin_draft(&d)
        if self.roots is not None:
            d.roots = <PyObject *>self.roots
        try:
            if not draft_line(&d, change, viewer, self.compact, self.withholds):
                return False
            if not self.acquire(False):
                return False
            try:
                if not self.ready or log.torn or log.fd < 0:
                    return False
                chain = self.chain
                if chain is None:
                    pdt_out_literal(&d.out, b'\n')
                elif not chain.open or chain.left <= 0:
                    return False
                else:
                    chain.draw(&d.out, digest)
                if log._first is None:
                    log._first = change.seq
                log._last = change.seq
                done = pdt_append(log.fd, log.device, log.inode, d.out.data, d.out.size)
                if done != d.out.size:
                    log.torn = log.torn or done > 0
                    if chain is not None and done > 0:
                        chain.open = False          # the next line begins a chain, which says what is torn
                    return False
                if chain is not None:
                    chain.advance(digest)
            finally:
                self.release()
        finally:
            end_draft(&d)
        self.recent[self.written & 63] = change.seq
        self.written += 1
        return True
