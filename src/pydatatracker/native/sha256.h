/* Owns: SHA-256 (FIPS 180-4) by the instructions of the processor, for the seals of lines.
 * May touch: its own state, and the bytes that it is given; nothing of Python.
 * Invariants:
 *  - pdt_sha256_setup finds out once whether this processor has the instructions; without them nothing here is called,
 *    and hashlib does the same: what is hashed never depends on which of the two did it;
 *  - the rounds of a block read 64 bytes and no more. */
#ifndef PYDATATRACKER_SHA256_H
#define PYDATATRACKER_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(PDT_NO_SHA_INSTRUCTIONS)
#define PDT_SHA_KIND 0
#elif (defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))) || defined(_M_X64)
#define PDT_SHA_KIND 1
#include <immintrin.h>
#ifdef _MSC_VER
#include <intrin.h>
#define PDT_SHA_TARGET
#else
#include <cpuid.h>
#define PDT_SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))
#endif
#elif defined(__aarch64__) && !defined(__AARCH64EB__) && (defined(__linux__) || defined(__APPLE__))
#define PDT_SHA_KIND 2
#include <arm_neon.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif
#ifdef __clang__
#define PDT_SHA_TARGET __attribute__((target("sha2")))
#else
#define PDT_SHA_TARGET __attribute__((target("+crypto")))
#endif
#else
#define PDT_SHA_KIND 0
#endif

typedef struct {
    uint32_t state[8];
    uint64_t size;              /* bytes that were added */
    unsigned char rest[64];     /* those that do not fill a block yet */
} pdt_sha256;

static int pdt_has_sha256; /* whether the processor has the instructions */

static const uint32_t pdt_sha256_start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

#if PDT_SHA_KIND
static const uint32_t pdt_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
#endif

#if PDT_SHA_KIND == 1

static void pdt_sha256_setup(void) {
    unsigned int wanted = (1u << 9) | (1u << 19); /* SSSE3, SSE4.1 */
#ifdef _MSC_VER
    int found[4];
    __cpuid(found, 0);
    if (found[0] < 7) return;
    __cpuid(found, 1);
    if (((unsigned int)found[2] & wanted) != wanted) return;
    __cpuidex(found, 7, 0);
    pdt_has_sha256 = ((unsigned int)found[1] >> 29) & 1;
#else
    unsigned int a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & wanted) != wanted) return;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    pdt_has_sha256 = (int)((b >> 29) & 1);
#endif
}

/* The instructions want the eight words as (a, b, e, f) and (c, d, g, h), the first one in the highest place; each of
 * them does two rounds with the two lowest words of message and constants (Intel SDM, SHA256RNDS2). */
PDT_SHA_TARGET static void pdt_sha256_blocks(uint32_t *state, const unsigned char *data, size_t blocks) {
    const __m128i big = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef, cdgh, abef_before, cdgh_before, w[4], sum, low, high;
    int i;
    low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);        /* c d a b */
    high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b); /* e f g h */
    abef = _mm_alignr_epi8(low, high, 8);
    cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; blocks; blocks--, data += 64) {
        abef_before = abef;
        cdgh_before = cdgh;
        for (i = 0; i < 4; i++) {
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), big);
        }
#define PDT_ROUNDS(i, now)                                                                                  \
    sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(pdt_sha256_k + 4 * (i))));                     \
    cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);                                                           \
    abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
/* The four words after those in d, into a: sigma0 of the word 15 back, the word 7 back, sigma1 of the word 2 back. */
#define PDT_NEXT(a, b, c, d)                                                                                \
    a = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4)), d);
        PDT_ROUNDS(0, w[0]) PDT_ROUNDS(1, w[1]) PDT_ROUNDS(2, w[2]) PDT_ROUNDS(3, w[3])
        for (i = 4; i < 16; i += 4) {
            PDT_NEXT(w[0], w[1], w[2], w[3]) PDT_ROUNDS(i, w[0])
            PDT_NEXT(w[1], w[2], w[3], w[0]) PDT_ROUNDS(i + 1, w[1])
            PDT_NEXT(w[2], w[3], w[0], w[1]) PDT_ROUNDS(i + 2, w[2])
            PDT_NEXT(w[3], w[0], w[1], w[2]) PDT_ROUNDS(i + 3, w[3])
        }
#undef PDT_ROUNDS
#undef PDT_NEXT
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);  /* f e b a, lowest first: a b e f */
    high = _mm_shuffle_epi32(cdgh, 0xb1); /* lowest first: g h c d, turned in pairs */
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

#elif PDT_SHA_KIND == 2

static void pdt_sha256_setup(void) {
#ifdef __APPLE__
    pdt_has_sha256 = 1; /* each of them */
#else
    pdt_has_sha256 = (getauxval(AT_HWCAP) >> 6) & 1; /* HWCAP_SHA2 */
#endif
}

PDT_SHA_TARGET static void pdt_sha256_blocks(uint32_t *state, const unsigned char *data, size_t blocks) {
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4), abcd_before, efgh_before, last, sum, w[4];
    int i;
    for (; blocks; blocks--, data += 64) {
        abcd_before = abcd;
        efgh_before = efgh;
        for (i = 0; i < 4; i++) {
            w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
        }
#define PDT_ROUNDS(i, now)                                                                                  \
    sum = vaddq_u32(now, vld1q_u32(pdt_sha256_k + 4 * (i)));                                                 \
    last = abcd;                                                                                             \
    abcd = vsha256hq_u32(abcd, efgh, sum);                                                                   \
    efgh = vsha256h2q_u32(efgh, last, sum);
#define PDT_NEXT(a, b, c, d) a = vsha256su1q_u32(vsha256su0q_u32(a, b), c, d);
        PDT_ROUNDS(0, w[0]) PDT_ROUNDS(1, w[1]) PDT_ROUNDS(2, w[2]) PDT_ROUNDS(3, w[3])
        for (i = 4; i < 16; i += 4) {
            PDT_NEXT(w[0], w[1], w[2], w[3]) PDT_ROUNDS(i, w[0])
            PDT_NEXT(w[1], w[2], w[3], w[0]) PDT_ROUNDS(i + 1, w[1])
            PDT_NEXT(w[2], w[3], w[0], w[1]) PDT_ROUNDS(i + 2, w[2])
            PDT_NEXT(w[3], w[0], w[1], w[2]) PDT_ROUNDS(i + 3, w[3])
        }
#undef PDT_ROUNDS
#undef PDT_NEXT
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

#else

static void pdt_sha256_setup(void) {}
static void pdt_sha256_blocks(uint32_t *state, const unsigned char *data, size_t blocks) {
    (void)state, (void)data, (void)blocks;
}

#endif

static void pdt_sha256_begin(pdt_sha256 *hash) {
    memcpy(hash->state, pdt_sha256_start, sizeof hash->state);
    hash->size = 0;
}

static void pdt_sha256_add(pdt_sha256 *hash, const void *data, size_t size) {
    const unsigned char *from = (const unsigned char *)data;
    size_t used = (size_t)(hash->size & 63), room = 64 - used;
    hash->size += size;
    if (used) {
        if (size < room) {
            memcpy(hash->rest + used, from, size);
            return;
        }
        memcpy(hash->rest + used, from, room);
        pdt_sha256_blocks(hash->state, hash->rest, 1);
        from += room;
        size -= room;
    }
    if (size >= 64) {
        pdt_sha256_blocks(hash->state, from, size / 64);
        from += size & ~(size_t)63;
        size &= 63;
    }
    if (size) memcpy(hash->rest, from, size);
}

static void pdt_sha256_end(pdt_sha256 *hash, unsigned char *digest) {
    size_t used = (size_t)(hash->size & 63);
    uint64_t bits = hash->size * 8;
    int i;
    hash->rest[used++] = 0x80;
    if (used > 56) {
        memset(hash->rest + used, 0, 64 - used);
        pdt_sha256_blocks(hash->state, hash->rest, 1);
        used = 0;
    }
    memset(hash->rest + used, 0, 56 - used);
    for (i = 0; i < 8; i++) hash->rest[56 + i] = (unsigned char)(bits >> (56 - 8 * i));
    pdt_sha256_blocks(hash->state, hash->rest, 1);
    for (i = 0; i < 32; i++) digest[i] = (unsigned char)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

#endif
