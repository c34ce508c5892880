"""Values through JSON and back, compared with their types."""

from __future__ import annotations

import json

from pydatatracker.values.codec import decoder, encoder
from pydatatracker.values.encode import decode, encode


def through_json(value: object, **options: int) -> object:
    """Encode, write with json and the codec, and read; both must agree."""
    data = encode(value, **options)
    text = json.dumps(data, allow_nan=False)
    line = encoder()(data)
    assert json.loads(text) == json.loads(line)
    assert same(decoder()(line), json.loads(text))
    return decode(json.loads(text))


def same(a: object, b: object) -> bool:
    """Return whether a and b are equal with all types, nan and -0.0 too."""
    return form(a) == form(b)


def form(value: object) -> object:
    """Return a value as nested tuples that show type and content."""
    name = type(value).__name__
    if isinstance(value, dict):
        return name, [(form(key), form(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return name, [form(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return name, sorted((form(item) for item in value), key=repr)
    return name, hex(value) if type(value) is int else repr(value)
