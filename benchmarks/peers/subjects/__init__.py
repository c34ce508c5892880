"""The libraries that are compared, one class for each."""

from __future__ import annotations

import importlib

from subjects.base import Subject

# name on the command line: module of its class, name of its class
_HOMES = {
    "ours": ("ours", "Tracked"),
    "watch": ("watching", "Watched"),
    "subclass": ("plain", "Nothing"),
    "by-hand": ("plain", "ByHand"),
    "old": ("old", "Old"),
    "psygnal": ("psygnals", "Psygnal"),
    "traits": ("traiting", "Traits"),
    "atom": ("traiting", "Atoms"),
    "observ": ("reactive", "Observ"),
    "watchpoints": ("reactive", "Watchpoints"),
    "object-tracker": ("objects", "ObjectTracker"),
    "changedetect": ("objects", "ChangeDetect"),
    "eventsourcing": ("objects", "EventSourcing"),
    "sqlalchemy": ("databases", "SqlAlchemy"),
    "sqlalchemy-json": ("databases", "SqlAlchemyJson"),
    "zodb": ("zodb", "Zodb"),
    "pycrdt": ("crdt", "Pycrdt"),
}
NAMES = (*_HOMES,)


def subject(name: str) -> Subject:
    """Import one library and return its subject."""
    module, cls = _HOMES[name]
    found: Subject = getattr(importlib.import_module(f"subjects.{module}"), cls)()
    return found
