#!/bin/sh
# Compile the core for machines that are not here, with zig: aarch64 (and run tests of the core under qemu-user, where
# apt-get can fetch it and an aarch64 Python), musl (and look at what the module needs), Windows and macOS (compiled and
# not linked: CPython's headers of this machine, or of its source package). Nothing is installed.
# Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
source=$PWD
home=$PWD/build/cross
mkdir -p "$home"
python=$home/venv/bin/python
[ -x "$python" ] || .venv/bin/python -m venv "$home/venv"
"$python" -m pip install -q -U pip
"$python" -m pip install -q --group release "cython>=3.3"
"$python" -m cython -3 -I src --module-name pydatatracker._core -o "$home/_core.c" src/pydatatracker/_core.pyx 2>"$home/cython.log"
include=$("$python" -c "import sysconfig; print(sysconfig.get_paths()['include'])")
compile() { # target, flags...
    target=$1
    shift
    "$python" -m ziglang cc -target "$target" -O1 -g0 -w -I "$source/src/pydatatracker" "$@" "$home/_core.c"
}

echo "== musl: link, and list what it needs of others"
compile x86_64-linux-musl -fPIC -shared -I "$include" -o "$home/_core.musl.so"
"$python" - "$home/_core.musl.so" <<'PYTHON'
import subprocess, sys
names = subprocess.run(["nm", "-D", "--undefined-only", sys.argv[1]], capture_output=True, text=True, check=True).stdout.split()
needed = {name for name in names if name not in ("U", "w")}
others = sorted(name for name in needed if not name.startswith(("Py", "_Py")))
print(f"{len(needed) - len(others)} names of CPython, and of the C library:", *others)
versioned = [name for name in others if "@" in name]
sys.exit(f"bound to versions of glibc: {versioned}" if versioned else 0)
PYTHON

echo "== macOS on arm64: compile"
compile aarch64-macos -c -o "$home/_core.macos.o" -I "$include"
echo "it compiles"

echo "== Windows: compile"
found=$(find "$include" "$home/python-source" -name pyconfig.h.in -path '*/PC/*' 2>/dev/null | head -n 1)
if [ -z "$found" ] && command -v apt-get >/dev/null 2>&1; then
    # the source package has CPython's configuration for Windows
    apt=$home/apt-source
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/state" "$home/python-source"
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' | grep -o 'https\{0,1\}://[^ ]*/debian/\{0,1\}' | head -n 1)
    echo "deb-src [trusted=yes] $mirror trixie main" >"$apt/sources.list"
    options="-o Dir::Etc::sourcelist=$apt/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State=$apt/state"
    options="$options -o Dir::State::lists=$apt/lists -o Dir::Cache=$apt/cache"
    (apt-get -q $options update && cd "$home/python-source" && apt-get -q $options --download-only source python3.13 &&
        tar -xf python3.13_*.orig.tar.xz) >"$home/apt-source.log" 2>&1 || echo "apt-get failed (build/cross/apt-source.log)"
    found=$(find "$home/python-source" -name pyconfig.h.in -path '*/PC/*' | head -n 1)
fi
if [ -n "$found" ]; then
    mkdir -p "$home/windows"
    sed 's/^#undef Py_GIL_DISABLED//' "$found" >"$home/windows/pyconfig.h"
    compile x86_64-windows-gnu -c -o "$home/_core.windows.o" -I "$home/windows" -I "$(dirname "$found")/../Include"
    echo "it compiles"
else
    echo "not tried: CPython's source package cannot be fetched here"
fi

echo "== aarch64: link, and test under qemu-user"
root=$home/aarch64
if [ ! -x "$root/usr/bin/python3.11" ] && command -v apt-get >/dev/null 2>&1; then
    apt=$home/apt-aarch64
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/state" "$apt/debs" "$root"
    options="-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State=$apt/state -o Dir::State::lists=$apt/lists"
    options="$options -o Dir::Cache=$apt/cache -o Dir::State::status=/dev/null"
    (
        cd "$apt/debs"
        apt-get -q $options update
        apt-get -q $options download libc6 libgcc-s1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 \
            libncursesw6 libtinfo6 libreadline8 libcrypt1 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib \
            libpython3.11-dev
        for package in ./*.deb; do dpkg -x "$package" "$root"; done
        apt-get -q download qemu-user-static
        dpkg -x ./qemu-user-static*.deb "$root"
    ) >"$home/apt-aarch64.log" 2>&1 || true
fi
if [ ! -x "$root/usr/bin/python3.11" ]; then
    echo "not tried: an aarch64 Python cannot be fetched here (build/cross/apt-aarch64.log)"
    exit 0
fi
site=$home/aarch64-site
rm -rf "$site"
mkdir -p "$site"
"$python" -m pip install -q --target "$site" --only-binary :all: --platform manylinux2014_aarch64 --python-version 3.11 \
    msgspec pytest hypothesis attrs
cp -r pydatatracker "$site"
rm -f "$site"/pydatatracker/*.so
headers=$root/usr/include
compile aarch64-linux-gnu.2.17 -fPIC -shared -I "$headers/python3.11" -I "$headers" \
    -o "$site/pydatatracker/_core.cpython-311-aarch64-linux-gnu.so"
# a process that a test starts goes through qemu, too
runner=$home/aarch64-python
printf '#!/bin/sh\nexec "%s" -L "%s" "%s" "$@"\n' "$root/usr/bin/qemu-aarch64-static" "$root" "$root/usr/bin/python3.11" >"$runner"
chmod +x "$runner"
echo "import sys; sys.executable = '$runner'" >"$site/sitecustomize.py"
[ $# -gt 0 ] || set -- tests/core/test_dict.py tests/core/test_list.py tests/core/test_clock.py tests/core/test_mutators.py \
    tests/core/test_attributes.py tests/core/test_records.py tests/core/test_pickles.py tests/core/test_actors.py tests/core/test_locks.py \
    tests/io/test_seals.py
PYTHONPATH=$site PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 exec "$runner" -m pytest -q -p no:cacheprovider "$@"
