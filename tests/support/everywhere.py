"""All that the library says of a container.

Every way in which a value could become visible is here.
"""

from __future__ import annotations

import io
import json
import logging
import pathlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from pydatatracker import RedactedError
from pydatatracker._core import Change
from pydatatracker.history import HistoryLostError
from pydatatracker.history.replica import Replica
from pydatatracker.io import read_changes
from pydatatracker.observers import json_file_observer
from pydatatracker.report.data import Changes
from pydatatracker.report.page import page
from pydatatracker.values.encode import encode

_REFUSALS = (RedactedError, HistoryLostError, ValueError, TypeError)


def of_changes(changes: list[Any]) -> Iterator[str]:
    """Yield all that changes say, in every form."""
    for change in changes:
        yield json.dumps(change.to_dict())
        yield json.dumps(change.to_dict(compact=True))
        yield json.dumps(change.extra)
        yield repr(change)
        yield change.format_detailed()
        yield repr((change.before, change.after, change.splice, change.changes))
        yield repr([getattr(change, name) for name in dir(Change) if name[0] != "_"])
        yield repr(pickle.loads(pickle.dumps(change)).to_dict())
        yield json.dumps([encode(change.before), encode(change.after)])


def of_answer(question: Callable[[], Any]) -> str:
    """Return an answer as text, or the refusal."""
    try:
        return repr(question())
    except _REFUSALS as error:
        return f"{error!s} {error!r}"


def of_container(container: Any) -> Iterator[str]:
    """Yield all that the history of a container says."""
    changes = container.tracking_changes()
    yield from of_changes(changes)
    for point in (None, *(change.seq for change in changes)):
        yield of_answer(lambda at=point: container.tracking_net_changes(at))  # type: ignore[misc]
        yield of_answer(lambda at=point: container.tracking_merge_patch(at))  # type: ignore[misc]
        for back in (False, True):
            yield of_answer(lambda at=point, back=back: container.tracking_patch(at, inverse=back, test=True))  # type: ignore[misc]
        if point is not None:
            yield of_answer(lambda at=point: container.tracking_state_at(at))  # type: ignore[misc]
    yield of_answer(container.tracking_verify)
    yield from of_changes(list(container.tracking_blame().values()))


class Watching:
    """A container with every kind of observer.

    `text` is all that they and the history say.
    """

    def __init__(self, container: Any, folder: pathlib.Path) -> None:
        self.container = container
        self.seen: list[Any] = []
        self.matched: list[Any] = []
        self.logs = folder / "whole.jsonl", folder / "compact.jsonl"
        self._stream = io.StringIO()
        self._handler = logging.StreamHandler(self._stream)
        self._logger = logging.getLogger("pydatatracker")
        self._logger.addHandler(self._handler)
        self._files = [json_file_observer(path, compact=bool(n)) for n, path in enumerate(self.logs)]
        for observer in (*self._files, self.seen.append, self._fail):
            container.tracking_add_observer(observer)
        self._break = container.tracking_break("/**", do="log")

    def _fail(self, change: Any) -> None:
        raise RuntimeError("an observer that fails")

    def close(self) -> None:
        """End all observers."""
        self._break.remove()
        self.container.tracking_remove_observer(self._fail)
        for observer in self._files:
            self.container.tracking_remove_observer(observer)
            observer.close()
        self._logger.removeHandler(self._handler)

    def text(self) -> str:
        """Return all that was said, files, reports and replicas included."""
        parts = [*of_changes(self.seen), *of_container(self.container), self._stream.getvalue()]
        for log in self.logs:
            parts.append(log.read_text("utf-8"))
            report = Changes(str(log))
            replica = Replica({})
            try:
                for line in list(read_changes(log)):
                    report.add(line)
                    replica.apply(line)
            except _REFUSALS as error:
                parts.append(f"{error!s} {error!r}")
            parts += [*page(report), repr(replica.value)]
        return "\n".join(parts)
