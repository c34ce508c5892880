/* Owns: appending bytes to a file that was opened before, with one call of the system.
 * May touch: a descriptor, and nothing of Python but the GIL, which is released meanwhile.
 * Invariants:
 *  - nothing is written if the descriptor is another file's by now, as after a program closed all files;
 *  - what is returned says how much was written: less than everything means that the disk is full, or the like. */
#ifndef PYDATATRACKER_APPEND_H
#define PYDATATRACKER_APPEND_H

#include <Python.h>
#include <errno.h>
#include <stdint.h>

#include "gate.h"

#ifdef _WIN32
static Py_ssize_t pdt_append(int fd, uint64_t device, uint64_t inode, const char *data, Py_ssize_t size) {
    (void)fd, (void)device, (void)inode, (void)data, (void)size;
    return -1; /* Python does it */
}
static int pdt_is_due(double at) { (void)at; return 1; }
#else
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static Py_ssize_t pdt_append(int fd, uint64_t device, uint64_t inode, const char *data, Py_ssize_t size) {
    Py_ssize_t done = 0, n;
    struct stat found;
    pdt_opening opened = pdt_open();
    PyThreadState *state = PyEval_SaveThread();
    if (fstat(fd, &found) == 0 && (uint64_t)found.st_dev == device && (uint64_t)found.st_ino == inode) {
        while (done < size) {
            n = write(fd, data + done, (size_t)(size - done));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            done += n;
        }
    } else {
        done = -1;
    }
    PyEval_RestoreThread(state);
    pdt_close(opened);
    return done;
}

/* True if a time of the monotonic clock, in seconds, has come. */
static int pdt_is_due(double at) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 1; /* time.monotonic reads the same clock */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec >= at;
}
#endif

#endif
