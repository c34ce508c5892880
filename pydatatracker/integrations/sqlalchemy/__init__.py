"""SQLAlchemy: JSON columns with nested changes, a history of columns.

- ``columns`` has the JSON type and what listens to the attributes of mapped classes.
- ``flushes`` reports what a session wrote.
"""

from __future__ import annotations

try:
    import sqlalchemy.orm as _orm
except ImportError:
    raise ImportError('pydatatracker.integrations.sqlalchemy needs SQLAlchemy 2: pip install "sqlalchemy>=2"') from None
if not hasattr(_orm, "DeclarativeBase"):
    raise ImportError(
        'pydatatracker.integrations.sqlalchemy needs SQLAlchemy 2, and finds an older one: pip install "sqlalchemy>=2"'
    )

from pydatatracker.integrations._rows import RowChange
from pydatatracker.integrations.sqlalchemy.columns import Tracked, column_changes, track_columns
from pydatatracker.integrations.sqlalchemy.flushes import FlushObserver, log_commits, on_commit, on_flush

__all__ = [
    "FlushObserver",
    "RowChange",
    "Tracked",
    "column_changes",
    "log_commits",
    "on_commit",
    "on_flush",
    "track_columns",
]
