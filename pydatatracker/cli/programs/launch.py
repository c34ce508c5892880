"""``pydatatracker run``: give way to the user's program.

The program is not run inside this process: the interpreter is started anew, with the variables that `process` looks
at, in place of this one (execve). So ``sys.argv``, ``sys.path``, ``__main__``, exit status, signals, standard input
and tracebacks are what they are without us, and nothing that the command line imported is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from pydatatracker import process

__all__ = ["CannotRun", "environment", "interpreter", "replace"]


class CannotRun(Exception):
    """The program was not started; the message says why."""


def interpreter() -> list[str]:
    """Return the command of this interpreter, with the options that it was started with (-X dev, -W error ...)."""
    if not sys.executable:
        raise CannotRun("this Python does not know its own interpreter; set PYDATATRACKER_LOG and start the program")
    options: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()  # multiprocessing uses it, too
    for name, value in sys._xoptions.items():  # it passes on only some of these
        option = name if value is True else f"{name}={value}"
        if option not in options:
            options += ["-X", option]
    return [sys.executable, *options]


def environment(log: str, *, stack: bool, snapshots: bool) -> dict[str, str]:
    """Return this environment with the variables that start the log."""
    made = {**os.environ, process.LOG: os.path.abspath(log)}
    if stack:
        made[process.STACK] = "25"
    if snapshots:
        made[process.SNAPSHOTS] = "1"
    return made


def replace(program: str, arguments: Sequence[str], log: str, *, module: bool, stack: bool, snapshots: bool) -> int:
    """Run the program in place of this process; return its exit status only where a process cannot be replaced.

    Raises CannotRun if the script is not there or the log cannot be written.
    """
    if not module and program != "-" and not os.path.exists(program):
        raise CannotRun(f"there is no script {program}")
    _check_log(log, program)
    command = [*interpreter(), *(("-m",) if module else ()), program, *arguments]
    variables = environment(log, stack=stack, snapshots=snapshots)
    for file in (sys.stdout, sys.stderr):
        if file is not None:
            file.flush()
    if os.name == "nt":  # execve there makes a new process and lets the shell go on
        try:
            return subprocess.call(command, env=variables)
        except KeyboardInterrupt:
            return 130
    variables[process.RUN] = str(os.getpid())
    try:
        os.execve(command[0], command, variables)
    except OSError as error:
        raise CannotRun(f"cannot start {command[0]}: {error.strerror or error}") from None


def _check_log(log: str, program: str) -> None:
    """Say now, and not when the work is done, that the log cannot be written."""
    from pydatatracker.io import ChangeWriter

    try:
        if os.path.exists(log) and os.path.exists(program) and os.path.samefile(log, program):
            raise CannotRun(f"{log} is the program itself; --log names another file")
        ChangeWriter(log).close()
    except OSError as error:
        raise CannotRun(f"cannot write the log {log}: {error.strerror or error}") from None
