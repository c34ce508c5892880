"""Print every CPython of this machine from 3.11 on: wheel tag and path.

It looks, in this order, at the paths in PYTHONS (separated like PATH), this interpreter, ``python3.*`` on PATH, and the
versions of pyenv and uv. Of several with the same tag (``cp313``, ``cp313t``) it prints the newest. Interpreters
without ``venv`` or the C headers are skipped, because nothing can be built for them.
"""

import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import sys, sysconfig
import ensurepip, venv
assert sys.implementation.name == "cpython" and sys.version_info >= (3, 11)
assert sysconfig.get_config_h_filename() and __import__("os").path.exists(sysconfig.get_config_h_filename())
threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print("cp%d%d%s" % (*sys.version_info[:2], threads), sys.hexversion, getattr(sys, "_base_executable", sys.executable))
"""


def candidates() -> list[Path]:
    """Return the files that may be interpreters, those in PYTHONS first."""
    found = [Path(entry) for entry in os.environ.get("PYTHONS", "").split(os.pathsep) if entry]
    found.append(Path(sys.executable))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found += Path(folder or ".").glob("python3.[0-9]*")
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found += pyenv.glob("versions/3.*/bin/python3")
    found += Path("~/.local/share/uv/python").expanduser().glob("cpython-3.*/bin/python3")
    return [path for path in dict.fromkeys(found) if not path.name.endswith("config")]


def interpreters() -> dict[str, str]:
    """Map each wheel tag to the newest interpreter of it, oldest Python first."""
    newest: dict[str, tuple[int, str]] = {}
    for path in candidates():
        try:
            probe = subprocess.run([path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if probe.returncode == 0:
            tag, version, executable = probe.stdout.strip().split(" ", 2)
            newest[tag] = max(newest.get(tag, (0, "")), (int(version), executable))
    ordered = sorted(newest.items(), key=lambda item: (item[1][0], item[0]))
    return {tag: executable for tag, (_, executable) in ordered}


if __name__ == "__main__":
    for tag, executable in interpreters().items():
        print(tag, executable)
