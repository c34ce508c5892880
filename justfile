# The one door. On a fresh machine: `sh scripts/just RECIPE` makes .venv first; afterwards `just RECIPE`.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
export PIP_DISABLE_PIP_VERSION_CHECK := "1"

python := justfile_directory() / ".venv/bin/python"

# Show the recipes
default:
    @just --list --unsorted

# Make .venv and install the tools; does nothing while pyproject.toml has not changed
setup:
    @test -x .venv/bin/python || ${PYTHON:-python3} -m venv .venv
    @test .venv/.setup -nt pyproject.toml || { {{ python }} -m pip install -q -U pip && {{ python }} -m pip install -q --group dev && touch .venv/.setup; }

# Compile the core and install the package editable; a warm build takes two seconds
build: setup
    @{{ python }} -m pip install -q --no-build-isolation --no-deps -e .

# Build, then run the test-suite (arguments go to pytest)
test *args: build
    {{ python }} -m pytest {{ args }}
