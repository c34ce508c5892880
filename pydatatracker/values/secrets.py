"""Names by which secrets go, and withholding them from a line of a log.

The log of a process withholds the values of such names, wherever they are: ``password``, ``DB_PASSWORD``, ``apiKey``,
``X-Auth-Token``. The words are `SECRETS`; a name matches if it has one of them as whole words, so ``monkey`` does not.
The data and the records of the program keep the values: only the line loses them.

A value that can only be shown by its text (``$repr``) is withheld if the text has such a name in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final

from pydatatracker import _core
from pydatatracker.values.pointer import compile_glob

__all__ = ["FIELDS", "SECRETS", "Withheld", "is_secret"]

SECRETS: Final = (
    *("password", "passwd", "secret", "token", "api_key", "private_key", "authorization", "cookie", "credential"),
)
FIELDS: ContextVar[Callable[[str], bool] | None] = ContextVar("pydatatracker_fields", default=None)
_TEXTS: Final = (
    *("value", "removed_items", "init_data", "data_pre_change", "data_post_change", "return_value", "default"),
)
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # APIKey: API, Key; userPassword2: user, Password
_NAMES: Final = re.compile(r"\w[\w-]*")
_WITHHELD: Final = {"$redacted": True}
_LONGEST: Final = 200  # characters of a name; longer keys are not names
_KNOWN: Final = 10_000  # names whose verdict is kept

_joined: Final = frozenset(f"{word.replace('_', '')}{end}" for word in SECRETS for end in ("", "s"))
_most: Final = max(word.count("_") + 1 for word in SECRETS)
_known: dict[str, bool] = {}


def is_secret(name: str) -> bool:
    """Return whether a name has a word in it by which secrets go.

    O(1), the first time for a name O(length).

    >>> [name for name in ("DB_PASSWORD", "apiKey", "X-Auth-Token", "api_keys", "monkey", "key") if is_secret(name)]
    ['DB_PASSWORD', 'apiKey', 'X-Auth-Token', 'api_keys']
    """
    verdict = _known.get(name)
    if verdict is None:
        words = [word.lower() for word in _WORDS.findall(name[:_LONGEST])]
        verdict = any(
            "".join(words[n : n + many]) in _joined for many in range(1, _most + 1) for n in range(len(words))
        )
        if len(_known) < _KNOWN:
            _known[name] = verdict
    return verdict


class Withheld:
    """Takes the values of secrets out of lines.

    :param globs: over pointers, as in ``tracking_redact``; what they match is withheld, too.
    :param names: whether names count by which secrets go.
    :raises ValueError: a glob does not begin with ``/``.

    >>> line = {"path": ["db", "password"], "before": "a", "after": "b"}
    >>> Withheld().take_out(line)
    >>> line["after"]
    {'$redacted': True}
    """

    def __init__(self, globs: Iterable[str] = (), names: bool = True) -> None:
        self._globs = [compile_glob(glob) for glob in globs]
        if () in self._globs:
            raise ValueError("'' would withhold everything; name paths, as in '/**/password'")
        self._names = names

    @property
    def is_by_word(self) -> bool:
        """Whether only a line with a word of `SECRETS` can lose anything."""
        return self._names and not self._globs

    def field(self, name: str) -> bool:
        """Return whether a field of this name is withheld wherever it is."""
        return (self._names and is_secret(name)) or any(_last_matches(glob, name) for glob in self._globs)

    def take_out(self, line: dict[str, Any]) -> None:
        """Replace the secrets in a line, which is a fresh dict.

        O(size of the values).
        """
        paths = [[_text(part) for part in path] for path in _paths_of(line)]
        hidden = any(self._is_inside(path) for path in paths)
        path = paths[0] if paths else []
        if any(self._is_inside(each[:-1]) for each in paths):
            _hide_element(line)
        took = False
        for name in ("before", "after"):
            if name in line:
                line[name], some = self._without(line[name], path, hidden)
                took = took or some
        if "splice" in line:
            start, *sides = line["splice"]
            for items in sides:
                for n, item in enumerate(items):
                    items[n], some = self._without(item, [*path, str(start + n)], hidden)
                    took = took or some
        for row in line.get("changes", ()):
            at = [*path, _text(row[0])]
            secret = hidden or self._matches(at)
            for n in (1, 2):
                row[n], some = self._without(row[n], at, secret)
                took = took or some
        self._texts(line, took)
        for key in line.get("context", ()):
            if self.field(key):
                line["context"][key] = _WITHHELD
        for frame in line.get("stack", ()):
            if ("'" in frame["line"] or '"' in frame["line"]) and self._named(frame["line"]):
                frame["line"] = ""

    def _texts(self, line: dict[str, Any], took: bool) -> None:
        """Withhold texts of values in which a secret may stand."""
        extra = line.get("extra")
        if not extra:
            return
        for name in _TEXTS:
            text = extra.get(name)
            whole = name.startswith("data_") or type(line.get("after", line.get("before"))) in (dict, list)
            if type(text) is str and (took or ((whole or "splice" in line or "changes" in line) and self._named(text))):
                extra[name] = "REDACTED"

    def _is_inside(self, path: list[str]) -> bool:
        if not self._globs:
            return self._names and any(map(is_secret, path))
        return any(self._matches(path[:n]) for n in range(1, len(path) + 1))

    def _matches(self, path: list[str]) -> bool:
        if self._names and is_secret(path[-1]):
            return True
        return any(_core.path_matches(glob, tuple(path)) for glob in self._globs)

    def _named(self, text: str) -> bool:
        """Return whether a text has a name in it that is withheld."""
        return any(self.field(name) for name in _NAMES.findall(text))

    def _without(self, value: Any, path: list[str], hidden: bool) -> tuple[Any, bool]:
        """Return (the JSON of a value without secrets, whether it had some)."""
        if value == {"$missing": True}:
            return value, False
        if hidden:
            return _WITHHELD, True
        if type(value) not in (dict, list):
            return value, False
        took = False
        holder: Any = [value]
        todo: list[tuple[Any, Any, list[str]]] = [(holder, 0, path)]
        while todo:  # no recursion: the program may be deep in its own
            inside, slot, at = todo.pop()
            found = inside[slot]
            if at is not path and self._matches(at):
                took = took or found != _WITHHELD
                inside[slot] = _WITHHELD
            elif type(found) is list:
                inner = None if self._globs else (dict, list)  # only a glob can match an index
                todo += [(found, n, [*at, str(n)]) for n, item in enumerate(found) if not inner or type(item) in inner]
            elif type(found) is dict:
                tag = next(iter(found), "")
                if tag == "$redacted":
                    took = True
                elif tag == "$repr":
                    if self._named(f"{found['$repr']}"):
                        inside[slot], took = _WITHHELD, True
                elif tag == "$dict":
                    todo += [(row, 1, [*at, _text(row[0])]) for row in found[tag]]
                    todo += [(row, 0, [*at, ""]) for row in found[tag] if type(row[0]) is dict]
                elif tag in ("$tuple", "$set", "$frozenset"):
                    todo += [(found[tag], n, [*at, str(n)]) for n in range(len(found[tag]))]
                elif tag == "$at":
                    todo += [(found, "else", path if at is path else at)] if "else" in found else []
                elif tag == "$cut":
                    todo.append((found, "start", path if at is path else at))
                elif tag[:1] != "$":
                    todo += [(found, key, [*at, key]) for key in found]
        return holder[0], took


def _hide_element(line: dict[str, Any]) -> None:
    """Withhold the element of a set that is withheld: the path ends with it."""
    element = line.get("after", line.get("before"))
    if element is not None and element == line.get("location"):
        line["location"] = line["path"][-1] = _WITHHELD
        for path in (*(line.get("paths") or ()), *(path for _, path in line.get("also") or ())):
            path[-1:] = [_WITHHELD]
        line["pointer"] = f"{line['pointer'].rpartition('/')[0]}/REDACTED"
        if "location" in line.get("extra", ()):
            line["extra"]["location"] = "REDACTED"
    for row in line.get("changes", ()):
        if row[0] in row[1:]:
            row[0] = _WITHHELD


def _paths_of(line: dict[str, Any]) -> list[list[Any]]:
    found = [line.get("path") or []]
    found += line.get("paths") or []
    found += [path for _, path in line.get("also") or []]
    return found


def _text(key: Any) -> str:
    """Return the text of a key that was encoded: with the names in it."""
    if type(key) is str:
        return key
    if type(key) is dict:
        if type(key.get("$bytes")) is str:
            import base64

            return base64.b64decode(key["$bytes"]).decode("latin-1")
        if type(key.get("$tuple")) is list:
            return " ".join(map(_text, key["$tuple"]))
    return str(key)


def _last_matches(glob: tuple[Any, ...], name: str) -> bool:
    """Return whether the last segment of a glob matches a name, or anything."""
    last = glob[-1]
    return last is None or (last == name if isinstance(last, str) else bool(last(name)))
