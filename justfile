# The one door. On a fresh machine: `sh scripts/just RECIPE` makes .venv first; afterwards `just RECIPE`.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export PIP_DISABLE_PIP_VERSION_CHECK := "1"

# Arguments reach the recipe as "$@", so that a name with a space stays one.
set positional-arguments

# Show the recipes
default:
    @just --list --unsorted

# Make .venv and install the tools; does nothing while pyproject.toml has not changed
setup:
    @test -x .venv/bin/python || "${PYTHON:-python3}" -m venv .venv
    @test .venv/.setup -nt pyproject.toml || { python -m pip install -q -U pip && python -m pip install -q --group dev && touch .venv/.setup; }

# Compile the core and install the package editable; a warm build takes two seconds
build: setup
    @python -m pip install -q --no-build-isolation --no-deps -e .

# Build and run the test-suite on all cores; arguments go to pytest: `just test tests/core -k dict`, `-n 0` for one process
[no-exit-message]
test *args: build
    python -m pytest -n auto --dist loadgroup "$@"

# The same with more of what is random or repeated: PYDATATRACKER_LONG says how many times more, ten if it is not set
[no-exit-message]
test-long *args: build
    export PYDATATRACKER_LONG="${PYDATATRACKER_LONG:-10}"; \
    export PYDATATRACKER_FUZZ="${PYDATATRACKER_FUZZ:-$((60 * PYDATATRACKER_LONG))}"; \
    python -m pytest -n auto --dist loadgroup "$@"

# The same on every CPython from 3.11 on that is found (PYTHONS adds some), each in a venv of its own
test-all *args: setup
    python scripts/test_all.py "$@"

# ruff: faults and format
lint: setup
    ruff check
    ruff format --check

# Fix what ruff can fix by itself
format: setup
    ruff check --fix
    ruff format

# mypy --strict on package and samples; the stub of the core against the compiled core
types: build
    mypy
    MYPYPATH=. stubtest --concise --ignore-disjoint-bases --allowlist tests/typing/stubtest.allow pydatatracker._core

# Run the example on real input, or on any JSON file named, and show what it changed
demo *json: build
    mkdir -p build && rm -f build/demo.jsonl
    python -m pydatatracker run --log build/demo.jsonl examples/inventory.py "$@"
    python -m pydatatracker show build/demo.jsonl

# The command line, by default its demonstration: `just cli show changes.jsonl`
cli *args="demo": build
    @python -m pydatatracker "$@"

# The pictures of the documentation, made anew from the demonstration's shop: docs/pictures (needs Chromium)
pictures: build
    python scripts/design_picture.py
    python scripts/pictures.py

# The documentation as a site that needs no network: build/site/index.html. Fails on any warning and any broken link
[group('docs')]
docs: setup
    @python -m pip install -q --group docs
    @NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
    @echo "build/site/index.html"

# The same on localhost, built anew when a page changes
[group('docs')]
docs-serve: setup
    @python -m pip install -q --group docs
    @NO_MKDOCS_2_WARNING=1 mkdocs serve --strict

# Measure against the builtins and save the run; the table has the goal beside each ratio
benchmark *args: build
    python -m pytest benchmarks --benchmark-autosave "$@"

# What delivery costs a change, beside msgspec
benchmark-delivery *args: build
    python benchmarks/delivery.py "$@"

# What the commands cost on a log of 1,000,000 lines, beside a Python start and beside msgspec
benchmark-cli *args: build
    python benchmarks/command_line.py "$@"

# The page of a log of 100,000 changes in Chromium: opening, the slider, filters
benchmark-page *args: build
    python benchmarks/page.py "$@"

# Two saved runs side by side
benchmark-compare *args: build
    python -m pytest_benchmark compare "$@"

# The sdist and a wheel for every CPython at hand, checked, each tested away from here
wheel *args: setup
    python scripts/wheels.py "$@"

# The sdist, and from it the wheel of the newest CPython at hand, tested away from here: what .ci/run does, in minutes
[no-exit-message]
wheel-newest *args: setup
    python scripts/wheels.py --newest "$@"

# Take away everything that was made here, .venv too
clean:
    rm -rf build dist .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
    find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- longer ones, for whoever works on the core

# Where the core still calls into Python, line by line, as HTML
annotate: setup
    python -m pip wheel -q --no-build-isolation --no-deps -w build/annotate \
        -Cbuild-dir=build/annotate -Ccmake.define.PYDATATRACKER_ANNOTATE=ON .
    @find build/annotate -name '_core.html'

# The test-suite under AddressSanitizer and UBSan (gcc)
sanitize *args: setup
    sh scripts/sanitize.sh "$@"

# Fuzz the core against the builtins with atheris (clang), a minute unless told otherwise
fuzz *args: setup
    sh scripts/fuzz.sh "$@"

# Fuzz the commands with broken logs, 5,000 unless told otherwise: `just fuzz-logs 100000`; a minute for a thousand
fuzz-logs examples="5000": build
    PYDATATRACKER_EXAMPLES="$1" python -m pytest -q tests/cli/test_broken_logs.py -k mutations

# Instruction counts of one store, which do not depend on the machine's mood (valgrind)
callgrind: build
    python benchmarks/callgrind.py
