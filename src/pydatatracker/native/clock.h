/* Owns: the wall clock, in nanoseconds since 1970, behind one function, pdt_now_ns; everything that differs between
 * platforms is here.
 * May touch: the system clocks and, on Linux with x86-64, the time stamp counter.
 * Invariants:
 *  - a step of the system clock (NTP, an administrator) shows within 20 microseconds;
 *  - a time never runs ahead of the system clock by more than the error of the counter over 20 microseconds, which is
 *    some nanoseconds;
 *  - free-threaded builds read the system clock every time, because the state below has no lock.
 *
 * clock_gettime is a third of what a record costs. Where the processor has an invariant time stamp counter, the time is
 * extrapolated from the last reading of the system clock, for 20 microseconds at most; then the clock is read again. A
 * counter that jumps (another host, a suspended machine) is outside that span and leads to a reading. Measured: 24 ns
 * per reading, 10 ns extrapolated. */
#ifndef PYDATATRACKER_CLOCK_H
#define PYDATATRACKER_CLOCK_H

#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
static inline int64_t pdt_system_ns(void) {
    FILETIME ft; /* 100 ns ticks since 1601-01-01 */
    GetSystemTimePreciseAsFileTime(&ft);
    uint64_t ticks = ((uint64_t)ft.dwHighDateTime << 32) | ft.dwLowDateTime;
    return (int64_t)(ticks - 116444736000000000ULL) * 100;
}
#else
#include <time.h>
static inline int64_t pdt_read_clock(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
static inline int64_t pdt_system_ns(void) { return pdt_read_clock(CLOCK_REALTIME); }
#endif

#if defined(__linux__) && defined(__x86_64__) && defined(__GNUC__) && !defined(Py_GIL_DISABLED)
#include <cpuid.h>
#include <x86intrin.h>

static struct {
    uint64_t start;    /* counter at the last reading */
    uint64_t span;     /* ticks for which the time may be extrapolated; 0: none */
    uint64_t rate;     /* nanoseconds per tick, with 32 fractional bits */
    int64_t start_ns;  /* system time at the last reading */
    uint64_t measured; /* counter when the rate was last measured */
    uint64_t wait;     /* ticks until the rate is measured again */
    uint64_t from;     /* start of the measurement: counter ... */
    int64_t from_ns;   /* ... and monotonic clock */
    int usable;        /* the counter is invariant, and use_system_clock(True) was not called */
} pdt_counter;

static void pdt_clock_setup(int system_only) {
    unsigned int a, b, c, d = 0;
    pdt_counter.usable = !system_only && __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8)); /* invariant TSC */
    pdt_counter.span = pdt_counter.rate = pdt_counter.from = pdt_counter.wait = 0;
}

/* Measure the rate of the counter against the monotonic clock, over 20 ms to a second, every 20 ms at most. The system
 * adjusts the rate of its clock all the time, so one measurement would not do. */
static void pdt_clock_rate(void) {
    uint64_t before = __rdtsc();
    int64_t monotonic = pdt_read_clock(CLOCK_MONOTONIC);
    uint64_t after = __rdtsc();
    uint64_t middle = before + (after - before) / 2;
    uint64_t ticks = middle - pdt_counter.from;
    int64_t elapsed = monotonic - pdt_counter.from_ns;
    if (after < before || after - before > 500) return; /* interrupted between the readings: try again later */
    if (pdt_counter.from != 0 && elapsed >= 0 && elapsed < 60000000000LL && ticks < (1ULL << 60)) {
        if (elapsed < 20000000) return;
        double rate = (double)elapsed / (double)ticks;
        if (rate < 0.05 || rate > 2.0) { pdt_counter.usable = 0; return; } /* not a counter of 0.5 to 20 GHz */
        pdt_counter.rate = (uint64_t)(rate * 4294967296.0);
        pdt_counter.wait = (uint64_t)(20000000.0 / rate);
        if (elapsed < 1000000000) { pdt_counter.measured = middle; return; }
    } else {
        pdt_counter.rate = 0; /* the first time, or the counter jumped: start over */
        pdt_counter.wait = 0;
    }
    pdt_counter.from = pdt_counter.measured = middle;
    pdt_counter.from_ns = monotonic;
}

static int64_t pdt_clock_read(void) {
    uint64_t before, after;
    int64_t now;
    if (!pdt_counter.usable) return pdt_system_ns();
    before = __rdtsc();
    now = pdt_system_ns();
    after = __rdtsc();
    pdt_counter.span = 0;
    if (after - pdt_counter.measured >= pdt_counter.wait) pdt_clock_rate();
    if (pdt_counter.rate == 0 || after < before || after - before > 500) return now;
    pdt_counter.start = after; /* the later reading, so that extrapolated times never run ahead */
    pdt_counter.start_ns = now;
    pdt_counter.span = (uint64_t)(20000.0 * 4294967296.0 / (double)pdt_counter.rate);
    return now;
}

static inline int64_t pdt_now_ns(void) {
    uint64_t ticks = __rdtsc() - pdt_counter.start;
    if (ticks < pdt_counter.span) return pdt_counter.start_ns + (int64_t)((ticks * pdt_counter.rate) >> 32);
    return pdt_clock_read();
}
#else
static inline void pdt_clock_setup(int system_only) { (void)system_only; }
static inline int64_t pdt_now_ns(void) { return pdt_system_ns(); }
#endif

#endif
