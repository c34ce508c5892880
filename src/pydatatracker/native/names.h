/* Owns: the question whether a line may have a name in it by which secrets go (`values.secrets`).
 * May touch: the bytes of a line.
 * Invariants:
 *  - whatever `is_secret` says yes to is found, in any case and however its parts are joined: other signs between letters
 *    are skipped, as are the escapes of JSON;
 *  - more may be found than is there: a caller then looks closely. */
#ifndef PYDATATRACKER_NAMES_H
#define PYDATATRACKER_NAMES_H

#include <Python.h>
#include <stdint.h>

/* The letters of a text in lower case, five bits each, so that one comparison finds a word of up to twelve letters. A
 * letter at which a word is looked for has the bit 32 in the table; these are the rarest that a word has. */
#define PDT_LETTER(c) ((uint64_t)((c) & 31))
#define PDT_WORD3(a, b, c) (PDT_LETTER(a) << 10 | PDT_LETTER(b) << 5 | PDT_LETTER(c))
#define PDT_WORD4(a, b, c, d) (PDT_WORD3(a, b, c) << 5 | PDT_LETTER(d))
#define PDT_WORD5(a, b, c, d, e) (PDT_WORD4(a, b, c, d) << 5 | PDT_LETTER(e))
#define PDT_LAST(letters, n) ((letters) & ((UINT64_C(1) << (5 * (n))) - 1))

static unsigned char pdt_letters[256]; /* 0: no letter */

static void pdt_letters_setup(void) {
    for (int c = 'a'; c <= 'z'; c++) pdt_letters[c] = pdt_letters[c - 32] = (unsigned char)(c & 31);
    for (const char *c = "wkzrdWKZRD"; *c; c++) pdt_letters[(unsigned char)*c] |= 32;
}

static int pdt_may_name_secret(const char *data, Py_ssize_t size) {
    const unsigned char *at = (const unsigned char *)data, *end = at + size;
    uint64_t letters = 0;
    if (!pdt_letters['a']) pdt_letters_setup();
    while (at < end) {
        unsigned char letter = pdt_letters[*at];
        if (!letter) {
            if (*at == '\\' && at + 1 < end) at += at[1] == 'u' ? 5 : 1; /* an escape is no letter of a word */
            at++;
            continue;
        }
        at++;
        letters = letters << 5 | (letter & 31);
        if (!(letter & 32)) continue;
        switch (letter & 31) {
        case 'w' & 31: /* password, passwd */
            if (PDT_LAST(letters, 5) == PDT_WORD5('p', 'a', 's', 's', 'w')) return 1;
            break;
        case 'k' & 31: /* token, cookie, api_key, private_key */
            if (PDT_LAST(letters, 3) == PDT_WORD3('t', 'o', 'k') || PDT_LAST(letters, 4) == PDT_WORD4('c', 'o', 'o', 'k') ||
                PDT_LAST(letters, 4) == PDT_WORD4('a', 'p', 'i', 'k') ||
                PDT_LAST(letters, 5) == PDT_WORD5('v', 'a', 't', 'e', 'k'))
                return 1;
            break;
        case 'z' & 31: /* authorization */
            if (PDT_LAST(letters, 5) == PDT_WORD5('h', 'o', 'r', 'i', 'z')) return 1;
            break;
        case 'r' & 31: /* secret */
            if (PDT_LAST(letters, 4) == PDT_WORD4('s', 'e', 'c', 'r')) return 1;
            break;
        case 'd' & 31: /* credential */
            if (PDT_LAST(letters, 4) == PDT_WORD4('c', 'r', 'e', 'd')) return 1;
            break;
        }
    }
    return 0;
}

#endif
