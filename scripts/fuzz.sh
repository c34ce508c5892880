#!/bin/sh
# Build the core with clang's coverage and AddressSanitizer, in an environment of its own, and fuzz it with atheris.
# Arguments are libFuzzer's (`-max_total_time=60` by default); the corpus and what crashed stay in build/fuzz.
# CC names another clang than the newest on PATH; on Debian: apt-get install clang-14 libclang-rt-14-dev.
set -eu
cd "$(dirname "$0")/.."
for name in "${CC:-}" clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then clang=$name; break; fi
done
[ -n "${clang:-}" ] || { echo "fuzzing needs clang and its compiler-rt (Debian: clang-14 libclang-rt-14-dev)" >&2; exit 2; }

home=build/fuzz
python=$home/venv/bin/python
[ -x "$python" ] || .venv/bin/python -m venv "$home/venv"
"$python" -m pip install -q -U pip
"$python" -m pip install -q --group build atheris msgspec
# build-type None: CMake's Release would put -O3 behind these flags.
CC=$clang CFLAGS="-fsanitize=address,fuzzer-no-link -fno-omit-frame-pointer -g -O1" \
    "$python" -m pip install -q --no-build-isolation --no-deps \
    -Cbuild-dir="$home/build" -Ccmake.build-type=None -Cinstall.strip=false -e .

mkdir -p "$home/corpus"
[ $# -gt 0 ] || set -- -max_total_time=60
# detect_leaks=0: the interpreter itself leaves memory behind at exit. PYTHONMALLOC: pymalloc hides overflows.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 PYTHONMALLOC=malloc
LD_PRELOAD="$("$python" -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so" \
    exec "$python" scripts/fuzz.py -artifact_prefix="$home/" -max_len=800 "$@" "$home/corpus"
