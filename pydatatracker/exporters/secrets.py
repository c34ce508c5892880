"""Secrets do not leave in messages: one function cleans every text.

Errors of exporters, ``stats().last_error``, log records and errors of a configuration go through `clean`. It hides too
much rather than too little.

- User, password, query and fragment of every URL.
- Values behind names such as ``password``, ``token``, ``Authorization``, ``Cookie``, ``X-Api-Key``.
- The secrets of the exporter itself, wherever they stand: `secrets_in` finds them in its options.
"""

from __future__ import annotations

import base64
import contextlib
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["HIDDEN", "clean", "cleaned_errors", "secrets_in", "shown", "text_of"]

HIDDEN: Final = "***"

_NAMES: Final = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credential|authorization|cookie|signature|session[-_.]?id"
    r"|(?:api|access|account|private|shared|secret|ssl|auth|encryption)[-_.]?key(?:[-_.]?id)?|bearer|jwt|dsn|sas"
    r"|x-amz-security|jaas|key[-_.]pem|basic[-_.]auth|auth"
)
_CREDENTIAL: Final = re.compile(rf"(?<![a-z])(?:{_NAMES})(?![a-z])|(?:password|passwd|secret|token|credential)", re.I)
_USER: Final = re.compile(r"([A-Za-z][\w+.\-]*:/{0,3}|//)[^\s'\"<>]*@")
_QUERY: Final = re.compile(r"(://[^\s'\"<>?#]*)[?#][^\s'\"<>]*")
_SCHEME: Final = re.compile(r"\b(Bearer|Basic|Digest|Negotiate|Token|ApiKey|AWS4-HMAC-SHA256)\s+[^\s'\",;]+", re.I)
_HEADER: Final = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token|auth|secret)[\w-]*)(['\"]?\s*[:=]\s*)"
    r"(?:b?'[^']*'|b?\"[^\"]*\"|[^'\"\r\n,}\])]+)"
)
_PAIR: Final = re.compile(
    rf"(?i)(?<!options\.)(?<![\w.\-])([\w.\-]*(?:{_NAMES})[\w.\-]*)(['\"]?\s*=\s*|['\"]\s*:\s*|:(?=[^\s:/])|:\s+(?=['\"]))"
    r"(?:b?'(?:[^'\\]|\\.)*'|b?\"(?:[^\"\\]|\\.)*\"|[^\s'\",;&}\])]+)"
)
_HARMLESS: Final = frozenset((
    "accept", "accept-encoding", "accept-language", "cache-control", "connection", "content-encoding",
    "content-length", "content-type", "host", "user-agent",
))  # fmt: skip
_WORDS: Final = frozenset(("true", "false", "none", "null", "bearer", "basic", "token"))


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without secrets. O(length).

    :param secrets: those of the exporter, which are hidden wherever they stand.

    >>> clean("htp://me:S3CRET@host/a?key=1 refused {'Authorization': 'Bearer abc'}")
    "htp://***@host/a?*** refused {'Authorization': ***}"
    """
    for secret in secrets:
        if len(secret) > 2:
            text = text.replace(secret, HIDDEN)
        elif secret:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    text = _USER.sub(rf"\1{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    return _PAIR.sub(rf"\1\2{HIDDEN}", text)


def shown(url: str) -> str:
    """Return a url for messages: without user, password, query and fragment.

    O(length). A url that cannot be read is shown as `clean` shows it.

    >>> shown("https://me:secret@host:8/audit?token=secret")
    'https://host:8/audit'
    """
    return clean(url).replace(f"{HIDDEN}@", "").replace(f"?{HIDDEN}", "")


def text_of(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return the class and text of an error, without secrets; never raises."""
    try:
        said = str(error)
    except Exception:
        said = "(its text cannot be had)"
    return clean(f"{type(error).__name__}: {said}", secrets)


def secrets_in(*options: Any) -> tuple[str, ...]:
    """Return the secrets in the options of an exporter, longest first.

    O(size). In a table these are the values whose names say so, and of ``headers``, ``auth`` and ``cookies`` all but
    the harmless; in text the user, password and query of a URL.
    """
    found: set[str] = set()
    for option in options:
        _collect(option, False, found, 0)
    every = {form for secret in found for form in _forms(secret)}
    return tuple(sorted((each for each in every if each.lower() not in _WORDS), key=len, reverse=True))


def _collect(value: Any, secret: bool, found: set[str], depth: int) -> None:
    if depth > 20:
        return
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if secret:
            found.add(value)
            found.update(value.split()[1:])  # "Bearer abc"
            found.update(part.partition("=")[2] for part in value.split("; ") if "=" in part)  # a cookie
        else:
            _of_url(value, found)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
            whole = name.lower() in ("headers", "auth", "cookies", "default_headers", "cert")
            is_secret = name.lower() not in _HARMLESS if secret else whole or _CREDENTIAL.search(name) is not None
            _collect(item, is_secret, found, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            _collect(item, secret, found, depth + 1)


def _of_url(text: str, found: set[str]) -> None:
    if "@" in text and ":" in text:
        user = re.sub(r"^[A-Za-z][\w+.\-]*:/*|^//", "", text).rpartition("@")[0]
        found.update((user, user.partition(":")[2]))
        pair = ":".join(map(urllib.parse.unquote, user.split(":", 1)))
        found.add(base64.b64encode(pair.encode()).decode())  # as HTTP sends it
    if "://" in text:
        query = text.partition("?")[2]
        found.add(query)
        found.update(part.partition("=")[2] for part in re.split("[&;#]", query))


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as messages may spell it."""
    secret = secret.strip()
    if secret:
        plain = urllib.parse.unquote(secret)
        yield from (secret, plain, urllib.parse.quote(plain, safe=""), repr(secret)[1:-1], secret.partition("#")[0])


@contextlib.contextmanager
def cleaned_errors(*options: Any, known: tuple[str, ...] = ()) -> Iterator[None]:
    """Have every error that leaves the block hold no secret of the options.

    An error whose text has one is replaced by one of the same class, and what caused it is not shown.

    :param known: secrets that `secrets_in` found before.
    """
    try:
        yield
    except Exception as error:
        secrets = (*known, *secrets_in(*options))
        if not _has_secret(error, secrets):
            raise
        raise _replaced(error, secrets) from None


def _has_secret(error: BaseException | None, secrets: tuple[str, ...]) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = _safely(str, error) + _safely(repr, error)
        if clean(text, secrets) != text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _replaced(error: Exception, secrets: tuple[str, ...]) -> Exception:
    text = clean(_safely(str, error), secrets)
    for kind in (type(error), *(each for each in type(error).__mro__ if each.__module__ == "builtins")):
        try:
            new = kind(text)
        except Exception:  # needs other arguments
            continue
        if isinstance(new, Exception) and text in str(new):
            if type(new) is type(error):  # retry_after, items
                new.__dict__.update({key: each for key, each in vars(error).items() if not isinstance(each, str)})
            return new
    return ValueError(text)


def _safely(show: Any, error: BaseException) -> str:
    try:
        return str(show(error))
    except Exception:
        return ""
