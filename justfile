# The one door. On a fresh machine: `sh scripts/just RECIPE` makes .venv first; afterwards `just RECIPE`.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export PIP_DISABLE_PIP_VERSION_CHECK := "1"

# Arguments reach the recipe as "$@", so that a name with a space stays one.
set positional-arguments

# Show the recipes
default:
    @just --list --unsorted

# Make .venv and install the tools, unless pyproject.toml has not changed
[group('develop')]
setup:
    @test -x .venv/bin/python || "${PYTHON:-python3}" -m venv .venv
    @test .venv/.setup -nt pyproject.toml || { python -m pip install -q -U pip && python -m pip install -q --group dev && touch .venv/.setup; }

# Compile the core and install the package editable
[group('develop')]
build: setup
    @python -m pip install -q --no-build-isolation --no-deps -e .

# Arguments go to pytest: `just test tests/core -k dict`, `-n 0` for one process.
# Build, and run the test suite on all cores
[group('test')]
[no-exit-message]
test *args: build
    python -m pytest -n auto --dist loadgroup "$@"

# PYDATATRACKER_LONG says how many times more; ten if it is not set.
# Run the test suite with more of what is random or repeated
[group('test')]
[no-exit-message]
test-long *args: build
    export PYDATATRACKER_LONG="${PYDATATRACKER_LONG:-10}"; \
    export PYDATATRACKER_FUZZ="${PYDATATRACKER_FUZZ:-$((60 * PYDATATRACKER_LONG))}"; \
    python -m pytest -n auto --dist loadgroup "$@"

# PYTHONS adds some; each has a venv of its own.
# Run the test suite on every CPython from 3.11 on that is found
[group('test')]
test-all *args: setup
    python scripts/test_all.py "$@"

# Arguments are extras: `just test-extras sql query`.
# Use each exporter and command where only the wheel and its own extra are installed
[group('test')]
test-extras *args: build
    python scripts/test_extras.py "$@"

# Arguments are suites (networkx-tracked, networkx, sortedcontainers, transitions, mesa, leaks); others go to pytest.
# Run the test suites of other packages with their data tracked or watched
[group('test')]
suites *args: setup
    python scripts/suites.py "$@"

# Check with ruff: faults, docstrings, format
[group('develop')]
lint: setup
    ruff check
    ruff format --check

# Fix what ruff can fix by itself
[group('develop')]
format: setup
    ruff check --fix
    ruff format

# Check types: mypy --strict, pyright, ty, and the stub of the core against the compiled core
[group('develop')]
types: build
    python -m pip install -q --group types
    mypy
    pyright --pythonpath .venv/bin/python tests/typing
    ty check --python .venv tests/typing
    MYPYPATH=. stubtest --concise --ignore-disjoint-bases --allowlist tests/typing/stubtest.allow pydatatracker._core

# Run the example on its input, or on a JSON file, and show what it changed
[group('develop')]
demo *json: build
    mkdir -p build && rm -f build/demo.jsonl
    python -m pydatatracker run --log build/demo.jsonl examples/inventory.py "$@"
    python -m pydatatracker show build/demo.jsonl

# Run the command line: `just cli show changes.jsonl`
[group('develop')]
cli *args="demo": build
    @python -m pydatatracker "$@"

# Make the pictures of the documentation anew (needs Chromium)
[group('docs')]
pictures: build
    python scripts/design_picture.py
    python scripts/pictures.py

# Build the site in build/site; fails on any warning and any broken link
[group('docs')]
docs: setup
    @python -m pip install -q --group docs
    @NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
    @echo "build/site/index.html"

# Serve the site on localhost, built anew when a page changes
[group('docs')]
docs-serve: setup
    @python -m pip install -q --group docs
    @NO_MKDOCS_2_WARNING=1 mkdocs serve --strict

# Measure against the builtins and save the run, with the goal beside each ratio
[group('benchmark')]
benchmark *args: build
    python -m pytest benchmarks --benchmark-autosave "$@"

# Measure what delivery costs a change, beside msgspec
[group('benchmark')]
benchmark-delivery *args: build
    python benchmarks/delivery.py "$@"

# Measure the commands on a log of 1,000,000 lines
[group('benchmark')]
benchmark-cli *args: build
    python benchmarks/command_line.py "$@"

# Measure what a watch costs, and what it costs programs that are not watched
[group('benchmark')]
benchmark-watching *args: build
    python benchmarks/watching.py "$@"

# Arguments are axes (history, container, depth, observers, threads, parents, agents); `--quick` for small sizes.
# Measure how cost grows, with the exponent of each curve, and plot it in build/growth.svg
[group('benchmark')]
benchmark-growth *args: build
    @python -m pip install -q --group plots
    python benchmarks/growth.py "$@"

# Arguments are names of libraries; `--quick` for few turns, `--tables` to write the page from the last run.
# Compare costs and features with other libraries, in build/peers, and write docs/peers.md and its plot
[group('benchmark')]
benchmark-peers *args:
    @python3 benchmarks/peers/run.py "$@"

# Measure the page of a log of 100,000 changes in Chromium
[group('benchmark')]
benchmark-page *args: build
    python benchmarks/page.py "$@"

# Show two saved runs side by side
[group('benchmark')]
benchmark-compare *args: build
    python -m pytest_benchmark compare "$@"

# Build the sdist and a wheel for every CPython at hand, and test each away from here
[group('release')]
wheel *args: setup
    python scripts/wheels.py "$@"

# Build and test the sdist and the wheel of the newest CPython, as .ci/run does
[group('release')]
[no-exit-message]
wheel-newest *args: setup
    python scripts/wheels.py --newest "$@"

# Compile the core for aarch64, musl, Windows and macOS with zig, and test it on aarch64 under qemu-user
[group('release')]
cross *args: setup
    sh scripts/cross.sh "$@"

# Try a release without publishing: version, changelog, sdist, wheel, their checks, types of a user's project, an SBOM
[group('release')]
release-check: setup
    python scripts/release_check.py

# Remove everything that was made here, .venv too
[group('develop')]
clean:
    rm -rf build dist .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
    find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Show as HTML where the core calls into Python
[group('develop')]
annotate: setup
    python -m pip wheel -q --no-build-isolation --no-deps -w build/annotate \
        -Cbuild-dir=build/annotate -Ccmake.define.PYDATATRACKER_ANNOTATE=ON .
    @find build/annotate -name '_core.html'

# Run the tests of the core under AddressSanitizer and UBSan (gcc)
[group('test')]
sanitize *args: setup
    sh scripts/sanitize.sh "$@"

# Run the tests of the core, built without private names of CPython, on every interpreter that is found
[group('test')]
test-public-api *args: setup
    sh scripts/public_api.sh "$@"

# `just test-free-threaded --stress --runs 20` changes data in eight threads instead, as `just stress` does with the GIL.
# Test on a free-threaded CPython without the GIL; finds one or builds it: `just test-free-threaded tests/core -k thread`
[group('test')]
test-free-threaded *args: setup
    sh scripts/free_threaded.sh "$@"

# Run the SQL over logs on Apache Spark in local mode, and on DuckDB; installs pyspark, and needs Java 17
[group('test')]
test-fleet *args: build
    python -m pip install -q pyspark duckdb sqlglot
    python -m pytest tests/cli/test_sql.py tests/cli/test_sql_spark.py "$@"

# Change data in eight threads, 30 s for each kind of data, and judge the logs: `just stress --runs 20 lists`
[group('test')]
stress *args: build
    python -P tests/support/stress.py "$@"

# Make every allocation of every mutator fail and check what is left: `just oom nested`, `just oom --sample 20`; hours in full
[group('test')]
oom *args: build
    python tests/support/no_memory.py "$@"

# The same for changes of watched data, from CPython 3.12 on; minutes in full
[group('test')]
oom-watched *args: build
    python tests/support/no_memory_watched.py "$@"

# Fuzz the core against the builtins with atheris (clang), for a minute by default
[group('test')]
fuzz *args: setup
    sh scripts/fuzz.sh "$@"

# Fuzz the commands with broken logs, 5,000 by default; a minute for a thousand
[group('test')]
fuzz-logs examples="5000": build
    PYDATATRACKER_EXAMPLES="$1" python -m pytest -q tests/cli/test_broken_logs.py -k mutations

# Change the library in one spot at a time, 60 by default, and print what no test notices: `just mutants 300 --in io`
[group('test')]
mutants *args: build
    python scripts/mutants.py "$@"

# A test compares them with what programs do now, and fails if a count rises by 5 percent.
# Count the instructions of the most frequent operations, and keep them in tests/support/instructions.json (valgrind)
[group('benchmark')]
instructions: build
    python tests/support/instructions.py
