"""``pydatatracker run``: replace this process by the user's program.

A new interpreter replaces this one (execve), with the variables that `process` reads. So ``sys.argv``, ``sys.path``,
``__main__``, exit status, signals, standard input and tracebacks are the same as without ``run``, and nothing that the
command line imported is loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from pydatatracker import _core, process
from pydatatracker.targets import parsed
from pydatatracker.values.secrets import Withheld

__all__ = ["CannotRun", "environment", "interpreter", "replace"]


class CannotRun(Exception):
    """The program was not started; the message says why."""


def interpreter() -> list[str]:
    """Return the command of this interpreter, with its options.

    That is, the options that it was started with, such as -X dev or -W error.
    """
    if not sys.executable:
        raise CannotRun("sys.executable is not set; set PYDATATRACKER_LOG and start the program yourself")
    options: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()  # multiprocessing uses it as well
    for name, value in sys._xoptions.items():  # it passes on only some of these
        option = name if value is True else f"{name}={value}"
        if option not in options:
            options += ["-X", option]
    return [sys.executable, *options]


def environment(
    log: str,
    *,
    stack: bool | None = None,
    snapshots: bool = False,
    watch: Sequence[str] = (),
    redact: Sequence[str] = (),
    names: bool = True,
    seal: bool = False,
    seal_key: str | None = None,
) -> dict[str, str]:
    """Return this environment with the variables that start the log.

    Raises CannotRun for a glob that cannot be one, for a name that names no data, where nothing can be watched, and for
    a key that cannot be used.
    """
    made = {**os.environ, process.LOG: os.path.abspath(log)}
    if stack is not None:
        made[process.STACK] = "25" if stack else "0"
    else:
        made.setdefault(process.STACK, "25")
    if snapshots:
        made[process.SNAPSHOTS] = "1"
    if watch:
        try:
            parsed(watch)
        except ValueError as error:
            raise CannotRun(f"--watch: {error}") from None
        if _core.can_watch() == 2:
            raise CannotRun("--watch needs CPython 3.12 or newer with the GIL; track() works here")
        made[process.WATCH] = ",".join([*filter(None, [made.get(process.WATCH)]), *watch])
    if seal:
        made[process.SEAL] = "1"
    if seal_key is not None:
        from pydatatracker.io.keys import private_key

        try:
            private_key(seal_key)
        except OSError as error:
            raise CannotRun(f"--seal-key: cannot read {seal_key}: {error.strerror or error}") from None
        except (ValueError, ImportError) as error:
            raise CannotRun(f"--seal-key: {error}") from None
        made[process.SEAL_KEY] = os.path.abspath(seal_key)
    globs = [*redact, *(() if names else ("-",))]
    if globs:
        try:
            Withheld(redact)
        except ValueError as error:
            raise CannotRun(f"--redact: {error}") from None
        made[process.REDACT] = "\n".join([*made.get(process.REDACT, "").splitlines(), *globs])
    return made


def replace(program: str, arguments: Sequence[str], log: str, variables: dict[str, str], *, module: bool) -> int:
    """Run the program in place of this process.

    ``variables``: what `environment` returned. Returns its exit status only on Windows, where a process cannot be
    replaced. Raises CannotRun if the script does not exist or the log cannot be written.
    """
    if not module and program != "-" and not os.path.exists(program):
        raise CannotRun(f"there is no script {program}")
    _check_log(log, program, variables.get(process.SEAL, "") not in ("", "0"))
    command = [*interpreter(), *(("-m",) if module else ()), program, *arguments]
    for file in (sys.stdout, sys.stderr):
        if file is not None:
            file.flush()
    if os.name == "nt":  # execve there starts a new process, and the shell does not wait for it
        try:
            return subprocess.call(command, env=variables)
        except KeyboardInterrupt:
            return 130
    variables[process.RUN] = str(os.getpid())
    _have_it_start(variables, program, module)
    try:
        os.execve(command[0], command, variables)
    except OSError as error:
        raise CannotRun(f"cannot start {command[0]}: {error.strerror or error}") from None


def _have_it_start(variables: dict[str, str], program: str, module: bool) -> None:
    """Have the new interpreter import ``startup/sitecustomize.py`` first.

    Not if it reads no PYTHONPATH, or no site; then only a program that imports pydatatracker is logged.
    """
    if sys.flags.ignore_environment or sys.flags.no_site:
        return
    startup = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")
    if "PYTHONPATH" in variables:
        variables["PYDATATRACKER_PYTHONPATH"] = variables["PYTHONPATH"]
    variables["PYTHONPATH"] = os.pathsep.join([startup, *filter(None, [variables.get("PYTHONPATH")])])
    if not sys.flags.safe_path:
        path = os.path.realpath(program) if program != "-" else ""
        first = os.getcwd() if module else path if os.path.isdir(path) else os.path.dirname(path)
        variables["PYDATATRACKER_FIRST"] = first


def _check_log(log: str, program: str, seal: bool) -> None:
    """Raise CannotRun if the log cannot be written, before the program runs."""
    from pydatatracker.io import ChangeWriter

    try:
        if os.path.exists(log) and os.path.exists(program) and os.path.samefile(log, program):
            raise CannotRun(f"{log} is the program itself; name another file with --log")
        if not os.path.isfile(log) and os.path.exists(log) and not os.path.isdir(log):
            # a pipe or a device: to open and close it would end what reads it
            if not os.access(log, os.W_OK):
                raise PermissionError(13, "Permission denied", log)
            return
        if seal:
            from pydatatracker.exporters.sealing import check_sealable

            check_sealable(log)
        ChangeWriter(log).close()
    except ValueError as error:
        raise CannotRun(str(error)) from None
    except OSError as error:
        raise CannotRun(f"cannot write the log {log}: {error.strerror or error}") from None
