"""The Python functions that the core calls, connected once, on import.

The core imports no module of the package. It calls what is needed rarely (entries, errors of observers, redaction,
marks) through the functions given here, and those import their module on first use.
"""

from __future__ import annotations

import functools
from typing import Any

from pydatatracker import _core
from pydatatracker.change.entry import ChangeLogEntry, settle
from pydatatracker.containers.attributes import prepare_class
from pydatatracker.containers.copying import FORMAT, options
from pydatatracker.observers import log_observer_error
from pydatatracker.values.standins import REDACTED, RedactedDict, RedactedList

__all__ = ["connect"]


def connect(tracked_dict: type, tracked_list: type, tracked_set: type, tracked_attr: type) -> None:
    """Give the core the classes and functions of the package that it uses."""
    _core.connect(
        change_class=ChangeLogEntry,
        settle=settle,
        observer_failed=log_observer_error,
        tracked_dict=tracked_dict,
        tracked_list=tracked_list,
        tracked_set=tracked_set,
        prepare_class=functools.partial(prepare_class, tracked_attr),
        compile_redaction=_compile_redact,
        redaction_as_given=_redact_as_given,
        options_of_pickle=options,
        pickle_format=FORMAT,
        refuse_change=_refused,
        redacted_value=REDACTED,
        redacted_dict_class=RedactedDict,
        redacted_list_class=RedactedList,
        list_marks=_marks_before,
        mark_change=_mark,
    )


def _marks_before(size: int, later: list[Any]) -> Any:
    from pydatatracker.history.marks import marks_before

    return marks_before(size, later)


def _mark(marks: Any, change: Any) -> None:
    from pydatatracker.history.marks import mark

    mark(marks, change)


def _compile_redact(given: Any) -> Any:
    from pydatatracker.values import redact

    return redact.compile_redact(given)


def _redact_as_given(compiled: Any) -> Any:
    from pydatatracker.values import redact

    return redact.as_given(compiled)


def _refused(change: Any, guard: Any, error: BaseException | None) -> None:
    from pydatatracker.containers import breaks

    breaks.refuse(change, guard, error)
