"""Django: tracked JSON fields, models that know what changed, an actor.

- ``fields`` has the JSON field.
- ``models`` has the base class of models, and what calls observers with what was saved.
- ``middleware`` makes the user of a request the actor of its changes.
"""

from __future__ import annotations

try:
    import django as _django
except ImportError:
    raise ImportError('pydatatracker.integrations.django needs Django: pip install "django>=5.2"') from None
if _django.VERSION < (5, 2):
    raise ImportError(
        f"pydatatracker.integrations.django needs Django 5.2 or newer, and finds {_django.__version__}:"
        ' pip install "django>=5.2"'
    )

from pydatatracker.integrations._rows import RowChange
from pydatatracker.integrations.django.fields import TrackedJSONField
from pydatatracker.integrations.django.middleware import ActorMiddleware
from pydatatracker.integrations.django.models import SaveObserver, TrackedModel, log_commits, on_commit, on_save

__all__ = [
    "ActorMiddleware",
    "RowChange",
    "SaveObserver",
    "TrackedJSONField",
    "TrackedModel",
    "log_commits",
    "on_commit",
    "on_save",
]
