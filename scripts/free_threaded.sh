#!/bin/sh
# Build the core for a free-threaded CPython, with an environment of its own, and run what can run there, without the
# GIL: arguments go to pytest, or, after --stress, to tests/support/stress.py. Without such an interpreter on the machine
# (scripts/interpreters.py looks for one, also in PYTHONS) CPython 3.13 is built from the source package of the next
# Debian release, in four minutes. What needs a package that has no build for it is skipped, and named at the end.
set -eu
cd "$(dirname "$0")/.."
home=$PWD/build/free-threaded
mkdir -p "$home"
.venv/bin/python scripts/interpreters.py | grep "^[^ ]*t " | tail -n 1 >"$home/interpreter.txt" || true
read -r name interpreter <"$home/interpreter.txt" || interpreter=$home/python/bin/python3.13t
if [ ! -x "$interpreter" ]; then
    echo "no free-threaded CPython here: building one into build/free-threaded (PYTHONS= names another)"
    apt=$home/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/state" "$apt/source"
    # the system's own mirror, with sources of the next release; nothing of the system is touched
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' | grep -o 'https\{0,1\}://[^ ]*/debian/\{0,1\}' | head -n 1)
    [ -n "$mirror" ] || { echo "it can be built on Debian only; PYTHONS= names an interpreter" >&2; exit 2; }
    echo "deb-src [trusted=yes] $mirror trixie main" >"$apt/sources.list"
    options="-o Dir::Etc::sourcelist=$apt/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State=$apt/state"
    options="$options -o Dir::State::lists=$apt/lists -o Dir::Cache=$apt/cache"
    apt-get -q $options update
    (cd "$apt/source" && apt-get -q $options --download-only source python3.13 && tar -xf python3.13_*.orig.tar.xz)
    (cd "$apt"/source/Python-3.13* && ./configure -q --disable-gil --with-ensurepip=install --prefix="$home/python" &&
        make -s -j"$(nproc)" && make -s install) >"$home/build.log" 2>&1 || { tail -n 20 "$home/build.log"; exit 2; }
fi
python=$home/venv/bin/python
[ -x "$python" ] || "$interpreter" -m venv "$home/venv"
"$python" -m pip install -q --group build
missing=
for package in pytest pytest-xdist hypothesis attrs click jsonpatch jsonschema msgspec opentelemetry-sdk rich tenacity \
    urllib3 zstandard sortedcontainers; do
    "$python" -m pip install -q --only-binary :all: "$package" 2>/dev/null || missing="$missing $package"
done
"$python" -m pip install -q --no-build-isolation --no-deps -Cbuild-dir="$home/build" -e .
export PYTHON_GIL=0
"$python" -c "import sys; print('CPython', sys.version)"
[ -z "$missing" ] || echo "no build for it, so what needs it is not tested:$missing"
if [ "${1:-}" = --stress ]; then
    shift
    exec "$python" -P tests/support/stress.py "$@"
fi
[ $# -gt 0 ] || set -- tests/core tests/cpython tests/history tests/io tests/observers
exec "$python" -m pytest -n auto --dist loadgroup -rs "$@"
