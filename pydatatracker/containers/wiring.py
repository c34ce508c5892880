"""The Python functions that the core calls, connected once, on import.

The core imports no module of the package. It calls what is needed rarely (entries, errors of observers, redaction,
marks) through the functions given here, and those import their module on first use.
"""

from __future__ import annotations

import functools
from typing import Any

from pydatatracker import _core
from pydatatracker.change.entry import ChangeLogEntry, first_state, settle_entries
from pydatatracker.change.library import culprit_index
from pydatatracker.change.rewind import value_at
from pydatatracker.change.stack import frame_in_line
from pydatatracker.containers.attributes import prepare_class
from pydatatracker.containers.copying import FORMAT, options
from pydatatracker.observers import log_observer_error
from pydatatracker.values.standins import REDACTED, RedactedDict, RedactedList

__all__ = ["connect"]


def connect(
    tracked_dict: type, tracked_list: type, tracked_set: type, tracked_attr: type, twins: dict[type, type]
) -> None:
    """Give the core the classes and functions of the package that it uses."""
    _core.connect(
        entry_class=ChangeLogEntry,
        settle_entries=settle_entries,
        log_observer_error=log_observer_error,
        dict_type=tracked_dict,
        list_type=tracked_list,
        set_type=tracked_set,
        twin_types=twins,
        prepare_class=functools.partial(prepare_class, tracked_attr),
        compile_redact=_compile_redact,
        redact_as_given=_redact_as_given,
        rebuild_options=options,
        rebuild_format=FORMAT,
        refuse_change=_refuse_change,
        report_untracked=_report_untracked,
        REDACTED=REDACTED,
        redacted_dict=RedactedDict,
        redacted_list=RedactedList,
        marks_before=_marks_before,
        mark_change=_mark_change,
        value_at=value_at,
        first_state=first_state,
        encode_for_line=_encode_for_line,
        frame_for_line=frame_in_line,
        culprit_for_line=culprit_index,
    )


def _marks_before(size: int, later: list[Any]) -> Any:
    from pydatatracker.history.marks import marks_before

    return marks_before(size, later)


def _mark_change(marks: Any, change: Any) -> None:
    from pydatatracker.history.marks import mark

    mark(marks, change)


def _compile_redact(given: Any) -> Any:
    from pydatatracker.values import redact

    return redact.compile_redact(given)


def _redact_as_given(compiled: Any) -> Any:
    from pydatatracker.values import redact

    return redact.as_given(compiled)


def _report_untracked(rows: list[Any], raises: bool, change: Any, captured: Any) -> None:
    from pydatatracker.containers import untracked

    untracked.report(rows, raises, change, captured)


def _refuse_change(change: Any, guard: Any, error: BaseException | None) -> None:
    from pydatatracker.containers import breaks

    breaks.refuse(change, guard, error)


def _encode_for_line(value: Any, is_key: bool, silent: bool) -> Any:
    from pydatatracker.values.encode import encode, encode_key
    from pydatatracker.values.text import silently

    if not silent:
        return encode_key(value) if is_key else encode(value)
    with silently():
        return encode_key(value) if is_key else encode(value)
