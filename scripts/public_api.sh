#!/bin/sh
# Build the core without any private name of CPython, in a build directory and an environment of its own for each
# interpreter that is found, and run the tests that use the core in their own process. Arguments go to pytest instead.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- tests/core tests/cpython tests/history tests/io tests/observers tests/watch
failed=0
.venv/bin/python scripts/interpreters.py | grep -v "^[^ ]*t " >build/interpreters.txt
while read -r name interpreter; do
    home=build/public-api/$name
    python=$home/venv/bin/python
    [ -x "$python" ] || "$interpreter" -m venv "$home/venv"
    "$python" -m pip install -q -U pip
    "$python" -m pip install -q --group build --group test
    "$python" -m pip install -q --no-build-isolation --no-deps -Cbuild-dir="$home/build" \
        -Ccmake.define.PYDATATRACKER_PUBLIC_API_ONLY=ON -e .
    "$python" -m pytest -n auto --dist loadgroup "$@" </dev/null || failed=1
done <build/interpreters.txt
exit $failed
