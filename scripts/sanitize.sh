#!/bin/sh
# Build the core with AddressSanitizer and UBSan, in a build directory and an environment of its own, and run the tests
# that use it in their own process, on the newest interpreter with a GIL: from CPython 3.12 on it can watch. Arguments go to
# pytest instead. Needs gcc with libasan and libubsan.
# The other tests start commands and browsers, which load the sanitizer, too, and take hours without another line of C.
set -eu
cd "$(dirname "$0")/.."
newest=$(.venv/bin/python scripts/interpreters.py | grep -v "^[^ ]*t " | tail -n 1)
home=build/sanitize/${newest%% *}
python=$home/venv/bin/python
[ -x "$python" ] || "${newest#* }" -m venv "$home/venv"
"$python" -m pip install -q -U pip
"$python" -m pip install -q --group build --group test
# build-type None: CMake's Release would put -O3 behind these flags.
CC=gcc CFLAGS="-fsanitize=address,undefined -fno-omit-frame-pointer -g -O1" LDFLAGS="-fsanitize=address,undefined" \
    "$python" -m pip install -q --no-build-isolation --no-deps \
    -Cbuild-dir="$home/build" -Ccmake.build-type=None -Cinstall.strip=false -e .

[ $# -gt 0 ] || set -- tests/core tests/cpython tests/history tests/io tests/observers tests/watch
# It forks beside other threads, one of which can hold a lock of the sanitizer's malloc, which the child then waits for.
forks=tests/watch/test_follow.py::test_without_memory_nothing_is_lost_in_silence
# detect_leaks=0: the interpreter itself leaves memory behind at exit. PYTHONMALLOC: pymalloc hides overflows.
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 PYTHONMALLOC=malloc
ulimit -s 65536  # kB: a level of recursion takes more stack here than CPython counts on
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    exec "$python" -m pytest -n auto --dist loadgroup --deselect "$forks" "$@"
