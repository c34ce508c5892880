/* Owns: writing JSON text into a growing buffer, which becomes a line of a log, and measuring how deep text nests.
 * May touch: str, int, float, bool and None, exact types only.
 * Invariants:
 *  - no function runs Python code;
 *  - a function that returns 1 put nothing: the value has no compact form, and the caller falls back to Python;
 *  - the buffer is released by pdt_out_end, also after an error (-1). */
#ifndef PYDATATRACKER_JSON_H
#define PYDATATRACKER_JSON_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    char *data;
    Py_ssize_t size;
    Py_ssize_t room;
    char small[2048];
} pdt_out;

static inline void pdt_out_begin(pdt_out *out) {
    out->data = out->small;
    out->size = 0;
    out->room = sizeof(out->small);
}

static inline void pdt_out_end(pdt_out *out) {
    if (out->data != out->small) PyMem_Free(out->data);
}

static int pdt_out_grow(pdt_out *out, Py_ssize_t more) {
    Py_ssize_t room = 2 * out->room + more;
    char *data = out->data == out->small ? PyMem_Malloc(room) : PyMem_Realloc(out->data, room);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (out->data == out->small) memcpy(data, out->small, out->size);
    out->data = data;
    out->room = room;
    return 0;
}

static inline int pdt_out_put(pdt_out *out, const char *text, Py_ssize_t size) {
    if (out->room - out->size < size && pdt_out_grow(out, size) < 0) return -1;
    memcpy(out->data + out->size, text, size);
    out->size += size;
    return 0;
}

/* Put a C literal; the compiler counts its length. strlen, not sizeof: Cython casts literals to pointers. */
#define pdt_out_literal(out, text) pdt_out_put(out, text, (Py_ssize_t)strlen(text))

/* How to escape a character: 0: not at all; 'u': as \\u00XX; else the letter after the backslash. */
static inline char pdt_escape(unsigned char c) {
    if (c >= 0x20) return c == '"' || c == '\\' ? (char)c : 0;
    switch (c) {
    case '\n': return 'n';
    case '\t': return 't';
    case '\r': return 'r';
    case '\b': return 'b';
    case '\f': return 'f';
    }
    return 'u';
}

/* Put the UTF-8 of a str, escaped, without quotes; pointer: with ~ and / escaped as RFC 6901 says. Returns 1, and puts
 * nothing, for anything but an exact str that has a UTF-8 form; -1 with an error set. */
static int pdt_out_str(pdt_out *out, PyObject *text, int pointer) {
    static const char hex[] = "0123456789abcdef";
    Py_ssize_t size, i, worst;
    const char *from;
    char *to;
    if (!PyUnicode_CheckExact(text)) return 1;
    from = PyUnicode_AsUTF8AndSize(text, &size);
    if (from == NULL) {
        PyErr_Clear(); /* a lone surrogate */
        return 1;
    }
    if (size > (1 << 20)) return 1;
    worst = 6 * size;
    if (out->room - out->size < worst && pdt_out_grow(out, worst) < 0) return -1;
    to = out->data + out->size;
    for (i = 0; i < size; i++) {
        unsigned char c = (unsigned char)from[i];
        char escape = pdt_escape(c);
        if (escape) {
            *to++ = '\\';
            *to++ = escape;
            if (escape == 'u') {
                *to++ = '0';
                *to++ = '0';
                *to++ = hex[c >> 4];
                *to++ = hex[c & 15];
            }
        } else if (pointer && (c == '~' || c == '/')) {
            *to++ = '~';
            *to++ = c == '~' ? '0' : '1';
        } else {
            *to++ = (char)c;
        }
    }
    out->size = to - out->data;
    return 0;
}

static int pdt_out_int(pdt_out *out, int64_t value) {
    char digits[24];
    char *at = digits + sizeof(digits);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0) *--at = '-';
    return pdt_out_put(out, at, digits + sizeof(digits) - at);
}

static int pdt_out_hex(pdt_out *out, uint64_t value) {
    static const char hex[] = "0123456789abcdef";
    char digits[16];
    for (int i = 15; i >= 0; i--, value >>= 4) digits[i] = hex[value & 15];
    return pdt_out_put(out, digits, 16);
}

/* Put None, bool, int, float or str as JSON. Returns 1, and puts nothing, for anything else; -1 with an error set. */
static int pdt_out_scalar(pdt_out *out, PyObject *value) {
    if (value == Py_None) return pdt_out_put(out, "null", 4);
    if (value == Py_True) return pdt_out_put(out, "true", 4);
    if (value == Py_False) return pdt_out_put(out, "false", 5);
    if (PyUnicode_CheckExact(value)) {
        Py_ssize_t start = out->size;
        int result;
        if (pdt_out_put(out, "\"", 1) < 0) return -1;
        result = pdt_out_str(out, value, 0);
        if (result) {
            out->size = start;
            return result;
        }
        return pdt_out_put(out, "\"", 1);
    }
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow) return 1;
        return pdt_out_int(out, number);
    }
    if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        char *text;
        int result;
        if (!(number - number == 0.0)) return 1; /* inf, nan */
        text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
        if (text == NULL) return -1;
        result = pdt_out_put(out, text, (Py_ssize_t)strlen(text));
        PyMem_Free(text);
        return result;
    }
    return 1;
}

static inline char *pdt_two(char *to, int value) {
    *to++ = (char)('0' + value / 10);
    *to++ = (char)('0' + value % 10);
    return to;
}

/* Put a time as ISO 8601, UTC, with microseconds; the last second is cached. Returns 1 for years without four digits. */
static int pdt_out_time(pdt_out *out, int64_t ns) {
    static int64_t known = INT64_MIN;
    static char text[20]; /* 2026-11-24T04:03:52. */
    int64_t seconds = ns >= 0 ? ns / 1000000000 : -((-ns + 999999999) / 1000000000);
    int64_t micros = (ns - seconds * 1000000000) / 1000;
    char tail[12] = "000000+00:00";
    if (seconds != known) {
        /* days to civil, H. Hinnant, http://howardhinnant.github.io/date_algorithms.html */
        int64_t days = seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
        int rest = (int)(seconds - days * 86400);
        int64_t z = days + 719468;
        int64_t era = (z >= 0 ? z : z - 146096) / 146097;
        unsigned doe = (unsigned)(z - era * 146097);
        unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        unsigned mp = (5 * doy + 2) / 153;
        int day = (int)(doy - (153 * mp + 2) / 5 + 1);
        int month = (int)(mp < 10 ? mp + 3 : mp - 9);
        int64_t year = (int64_t)yoe + era * 400 + (month <= 2);
        char *to = text;
        if (year < 1000 || year > 9999) return 1;
        to = pdt_two(to, (int)(year / 100));
        to = pdt_two(to, (int)(year % 100));
        *to++ = '-';
        to = pdt_two(to, month);
        *to++ = '-';
        to = pdt_two(to, day);
        *to++ = 'T';
        to = pdt_two(to, rest / 3600);
        *to++ = ':';
        to = pdt_two(to, rest / 60 % 60);
        *to++ = ':';
        to = pdt_two(to, rest % 60);
        *to = '.';
        known = seconds;
    }
    for (int i = 5; i >= 0; i--, micros /= 10) tail[i] = (char)('0' + micros % 10);
    if (pdt_out_put(out, text, 20) < 0) return -1;
    return pdt_out_put(out, tail, 12);
}

/* True if JSON text nests [ and { in more than limit levels; brackets inside strings do not count. The first pass
 * counts all opening brackets, which decides nearly every text at a tenth of the cost of parsing it. */
static int pdt_json_is_deeper(const char *data, Py_ssize_t size, Py_ssize_t limit) {
    Py_ssize_t opened = 0, level = 0, n = 0;
    int quoted = 0;
    while (n < size) { /* as many as a byte can count: the compiler then counts 16 in one instruction */
        Py_ssize_t stop = size - n < 240 ? size : n + 240;
        unsigned char some = 0;
        for (; n < stop; n++) some += (data[n] | 0x20) == '{'; /* '[' | 0x20 is '{' */
        opened += some;
    }
    if (opened <= limit) return 0;
    for (n = 0; n < size; n++) {
        switch (data[n]) {
        case '"': quoted = !quoted; break;
        case '\\': n += quoted; break;
        case '[': case '{':
            if (!quoted && ++level > limit) return 1;
            break;
        case ']': case '}': level -= !quoted; break;
        }
    }
    return 0;
}

/* The number of lines, if each is one pair of braces by its first and last byte and nests no deeper; else -1. */
static Py_ssize_t pdt_json_lines(const char *data, Py_ssize_t size, Py_ssize_t limit) {
    const char *end = data + size;
    Py_ssize_t lines = 0;
    while (data < end) {
        const char *stop = memchr(data, '\n', end - data);
        if (stop == NULL) stop = end;
        if (stop - data < 2 || *data != '{' || stop[-1] != '}') return -1;
        if (stop - data > limit && pdt_json_is_deeper(data, stop - data, limit)) return -1;
        data = stop + 1;
        lines++;
    }
    return lines;
}

#endif
