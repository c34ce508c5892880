"""JSON as bytes, by msgspec.

Where msgspec has no build, which is so on the free-threaded CPython 3.13, the standard library does it: with the same
result, and several times slower.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

__all__ = ["decoder", "encoder", "msgspec"]


def msgspec(purpose: str = "") -> Any:
    """Return the module msgspec, imported when it is needed first.

    None without it, or, if a purpose is given, ImportError.
    """
    library = _library()
    if library is None and purpose:
        raise ImportError(f"{purpose} needs msgspec: pip install msgspec")
    return library


@functools.cache
def _library() -> Any:
    try:
        import msgspec
    except ImportError:
        return None
    return msgspec if hasattr(msgspec, "json") else None  # a program without it may have a module of that name


def encoder(otherwise: Callable[[Any], Any] | None = None) -> Callable[[Any], bytes]:
    """Return a function from a value to JSON without blanks.

    It raises UnicodeEncodeError for a lone surrogate.

    :param otherwise: what makes something of a value that JSON does not have.
    """
    library = msgspec()
    if library is not None:
        encode: Callable[[Any], bytes] = library.json.Encoder(enc_hook=otherwise).encode
        return encode
    plain = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=otherwise).encode
    return lambda value: plain(value).encode()


def decoder() -> Callable[[bytes], Any]:
    """Return a function from strict JSON to a value. It raises ValueError."""
    library = msgspec()
    if library is not None:
        decode: Callable[[bytes], Any] = library.json.Decoder().decode
        return decode
    strict = json.JSONDecoder(parse_constant=_refuse).decode
    return lambda raw: strict(raw.decode())


def _refuse(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")
