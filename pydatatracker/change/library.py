"""Which code is a library's, decided by the path of its file.

This is the only definition. The culprit of a change is the innermost of its calls outside of libraries: whoever called
the library, not the library itself. Three things are library code:

- files in the folders of the standard library and of installed packages (`sysconfig`), in any ``site-packages`` or
  ``dist-packages``, and links into one of these; a script that an installer wrote to start a package;
- generated code, which has no file (``<string>``, ``<attrs generated init Order>``). What was typed has no file either,
  but is the user's: in a prompt, a notebook, a doctest, or after ``python -c``;
- what `set_library` or ``PYDATATRACKER_LIBRARY`` adds. Both can also take away.

If none of the calls is outside of libraries, those of the program itself count: of a package that ``python -m`` or an
installed command runs from where packages are installed.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pydatatracker._guarded import guarded
from pydatatracker._lazy import later

if TYPE_CHECKING:
    import fnmatch
    import re
    from types import ModuleType
else:
    later(globals(), "fnmatch", "re")

__all__ = [
    "ENVIRONMENT",
    "Folders",
    "culprit_in_log",
    "culprit_index",
    "has_patterns",
    "installed",
    "is_library",
    "set_library",
]

ENVIRONMENT: Final = "PYDATATRACKER_LIBRARY"

_INSTALLED: Final = ("/site-packages/", "/dist-packages/")
# as the prompts of Python, IPython, IDLE, Databricks and doctest name what was typed
_TYPED: Final = ("<stdin>", "<console>", "<input>", "<python-input-", "<ipython-input-", "<pyshell#", "<command-",
                 "<doctest ")  # fmt: skip
# a script that pip, uv or another installer wrote
_WRAPPER: Final = r"(?ms)^from (\w+)[\w.]* import (\w+)$.*^\s+(?:raise SystemExit|sys\.exit)\(\2[\w.]*\(\)\)$"
_LAUNCHERS: Final = ("exec(eval(sys.stdin.readline()))", "from multiprocessing.")  # what they give to python -c
_KNOWN: Final = 10_000  # files whose verdict is kept
_STACKS: Final = 1_000  # stacks whose innermost call is a library's, likewise


class _Pattern(NamedTuple):
    text: str
    is_glob: bool
    is_library: bool

    def matches(self, path: str) -> bool:
        text = self.text.replace("\\", "/").lower() if path[1:2] == ":" else self.text
        if self.is_glob:
            return fnmatch.fnmatchcase(path, text) or fnmatch.fnmatchcase(path, f"{text}/*")
        return path == text or path.startswith(f"{text}/")


class Folders:
    r"""Folders whose files are library code, whichever system they are on.

    >>> Folders(["C:/Python313/Lib"]).hold("c:\\python313\\lib\\json\\decoder.py")
    True
    """

    def __init__(self, folders: Iterable[str]) -> None:
        home = _clean(os.path.expanduser("~"))
        cleaned = {_clean(folder) for folder in folders if folder}
        self._starts = tuple(f"{each}/" for each in cleaned if each.strip("/") and each[1:] != ":" and each != home)

    def hold(self, file: str) -> bool:
        """Return whether a file, or what it is a link to, is in one of them."""
        path = _clean(file)
        if self._has(path):
            return True
        if path[:1] != "/" and os.sep == "/":
            return False  # of another system
        real = _clean(os.path.realpath(file))
        return real != path and self._has(real)

    def _has(self, path: str) -> bool:
        return path.startswith(self._starts) or _is_installed(path)


def _is_installed(path: str) -> bool:
    return any(each in path for each in _INSTALLED)


def _is_of_windows(path: str) -> bool:
    """Return whether a path begins with a drive or is on a network."""
    if path[:2] in ("\\\\", "//"):
        return True
    return path[1:3] in (":\\", ":/") and path[0].isascii() and path[0].isalpha()


def _clean(path: str) -> str:
    """Return a path in the form in which paths are compared.

    It is absolute and has slashes; one of Windows is in lower case.
    """
    if not _is_of_windows(path):
        path = os.path.abspath(path)
    if _is_of_windows(path):
        path = path.replace("\\", "/").lower()
    return path.rstrip("/")


def _compiled(patterns: Iterable[str]) -> tuple[_Pattern, ...]:
    made = []
    for each in patterns:
        text = each.strip()
        own = text.startswith("!")
        text = text[own:].strip()
        if not text:
            continue
        is_glob = any(sign in text for sign in "*?[")
        if text[0] not in "<*":
            text = _clean(os.path.expanduser(text))
        made.append(_Pattern(text, is_glob, not own))
    return tuple(made)


_patterns: tuple[_Pattern, ...] = _compiled(os.environ.get(ENVIRONMENT, "").split(os.pathsep))
_known: dict[str, bool] = {}
_stacks: dict[tuple[str, ...], int | None] = {}  # files of calls -> position of the culprit
_judged_by: tuple[object, ...] = (None, None, None, None)  # what these depend on, see `_verdicts`
_installed: Folders | None = None


def set_library(*patterns: str) -> None:
    """Set what else counts as library code, and what does not.

    It decides what `ChangeLogEntry.culprit` skips, also in changes that were recorded before. A pattern is a folder, a
    file, or a glob whose ``*`` matches any number of characters, slashes too. What matches is library code, or your own
    if the pattern begins with ``!``. The last pattern that matches decides; what none matches is decided by default.
    Patterns replace the earlier ones, and those of the environment variable ``PYDATATRACKER_LIBRARY``, where they are
    separated as in ``PATH``. Without patterns only the default is left. O(patterns).

    :raises TypeError: a pattern is not a str.

    >>> set_library("vendor", "!*/site-packages/shop")  # shop is installed, but it is the program to be examined
    >>> set_library()
    """
    global _patterns
    for each in patterns:
        if not isinstance(each, str):
            raise TypeError(f"set_library takes paths and globs, each a str, not {type(each).__name__}")
    _patterns = _compiled(patterns)
    _known.clear()


def is_library(file: str) -> bool:
    """Return whether code is a library's, by the ``co_filename`` it has.

    O(1), the first time for a file O(length of the path). Never raises.

    >>> is_library("<attrs generated init shop.Order>"), is_library(os.__file__), is_library("shop.py")
    (True, True, False)
    """
    verdict = _known.get(file)
    if verdict is None:
        said = _said(file)
        verdict = _by_default(file) if said is None else said
        if file[:1] != "<" and len(_known) < _KNOWN:
            _known[file] = verdict
    return verdict


def culprit_index(files: Sequence[str]) -> int | None:
    """Return the position of the innermost call outside of libraries, or None.

    O(calls).

    :param files: the file of each call in this process, innermost last.
    """
    if files and not is_library(files[-1]):  # the rule
        return len(files) - 1
    known, calls = _verdicts(), tuple(files)
    found = known.get(calls, -1)
    if found == -1:
        found = _judged(calls)
        if len(known) >= _STACKS:
            known.clear()
        known[calls] = found
    return found


def _judged(files: tuple[str, ...]) -> int | None:
    inwards = range(len(files) - 1, -1, -1)
    for n in inwards:
        if not is_library(files[n]):
            return n
    program = _program()
    return next((n for n in inwards if program and _is_in(program, files[n])), None)


def _verdicts() -> dict[tuple[str, ...], int | None]:
    """Return what is known of stacks while what that depends on is as it was."""
    global _judged_by, _stacks
    by = _patterns, _main("__file__"), _main("__spec__"), _main_package()
    if any(a is not b for a, b in zip(by, _judged_by, strict=True)):
        _stacks = {}  # another one: a thread that is judging still has the old
        _judged_by = by
    return _stacks


def culprit_in_log(files: Sequence[str], recorded: int | None, known: bool) -> int | None:
    """Return the position of the culprit in calls of a log, or None.

    The process that wrote the log knew its machine. Where a pattern of this process matches, the pattern decides.
    O(calls).

    :param recorded: the position that the log has; None: it says that there is no culprit.
    :param known: False if the log says nothing, because an earlier version wrote it.
    """
    if recorded is not None and not 0 <= recorded < len(files):
        recorded = None
    if not _patterns:
        return recorded
    for n in range(len(files) - 1, -1, -1):
        said = _said(files[n])
        if said is None and known and (recorded is None or n >= recorded):
            said = n != recorded
        if not (is_library(files[n]) if said is None else said):
            return n
    return None


def has_patterns() -> bool:
    """Return whether `set_library` or the environment set anything."""
    return bool(_patterns)


def _said(file: str) -> bool | None:
    """Return what the patterns say of a file; None if nothing."""
    if not _patterns:
        return None
    path = file if file[:1] == "<" else _clean_or_not(file)
    return next((each.is_library for each in reversed(_patterns) if each.matches(path)), None)


def _by_default(file: str) -> bool:
    if not file or file[0] == "<":
        return not (file.startswith(_TYPED) or (file == "<string>" and _is_command()))
    try:
        return installed().hold(file) or (file == _main("__file__") and _wrapped(file) is not None)
    except (OSError, ValueError):  # the current folder is gone; a null character
        return False


def _clean_or_not(path: str) -> str:
    try:
        return _clean(path)
    except (OSError, ValueError):
        return path


def installed() -> Folders:
    """Return the folders of this interpreter: standard library and packages."""
    global _installed
    if _installed is None:
        found = [os.path.dirname(os.__file__)]  # also in a zip
        try:
            with guarded():
                import site
                import sysconfig
            names = "stdlib", "platstdlib", "purelib", "platlib"
            found += [sysconfig.get_path(name) for name in names]
            found += [sysconfig.get_path(name, sysconfig.get_preferred_scheme("user")) for name in names[2:]]
            found += [*site.getsitepackages(), site.getusersitepackages()]
        except Exception:  # an embedded or frozen Python may lack parts of these
            pass
        _installed = Folders([*found, *map(os.path.realpath, found)])
    return _installed


# ---- the program that runs


def _main(name: str) -> object:
    """Return an attribute of ``__main__``; runs no code of the program."""
    return getattr(sys.modules.get("__main__"), "__dict__", {}).get(name)


def _is_command() -> bool:
    """Return whether the program was given to ``python -c``.

    Workers of pytest-xdist and multiprocessing are started like that, too.
    """
    if _main("__file__") is not None or "-c" not in sys.orig_argv[:-1]:
        return False
    given = sys.orig_argv[sys.orig_argv.index("-c") + 1]
    return not any(sign in given for sign in _LAUNCHERS)


def _program() -> tuple[str, ...]:
    """Return the files and folders of the program, if packages are there too."""
    file, spec = _main("__file__"), _main("__spec__")
    if not isinstance(file, str):
        return ()
    path = _clean_or_not(file)
    if spec is not None and path.startswith(_clean(os.path.dirname(os.__file__))) and not _is_installed(path):
        return ()  # python -m json.tool
    found = [file]
    package = _main_package()
    if package is not None and package.__name__ != "__main__":
        found += list(getattr(package, "__path__", None) or [getattr(package, "__file__", None) or file])
    return tuple(f"{_clean_or_not(each)}/" for each in found)


def _main_package() -> ModuleType | None:
    """Return the package that the program is, if it is there already."""
    file, spec = _main("__file__"), _main("__spec__")
    name = (_wrapped(file) if isinstance(file, str) else None) if spec is None else getattr(spec, "name", None)
    return sys.modules.get(name.partition(".")[0]) if isinstance(name, str) else None


def _is_in(program: tuple[str, ...], file: str) -> bool:
    return _said(file) is None and file[:1] != "<" and f"{_clean_or_not(file)}/".startswith(program)


@functools.lru_cache(8)
def _wrapped(script: str) -> str | None:
    """Return the package that a script starts, if an installer wrote it.

    None for any other script; "" if the package is not known.
    """
    if os.path.dirname(script).endswith(".exe"):
        return ""
    if script.endswith((".py", ".pyz")) and not script.endswith("-script.py"):
        return None
    try:
        with open(script, encoding="utf-8") as file:
            found = re.search(_WRAPPER, file.read(4096))
    except (OSError, ValueError):
        return None
    return found[1] if found is not None else None
