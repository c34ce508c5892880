"""Which run of which cell made a change.

The file name of a cell's code does not tell: ipykernel makes it from the text of the cell, so all runs of a cell share
it. But a change has a number, and the numbers at which each run began and ended are noted here. So a change belongs to
the run that was going on; the file names tell in which cell the line stands that made it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from pydatatracker import _core
from pydatatracker.change.brief import line_of

__all__ = ["Cells", "Origin", "Run"]


@dataclasses.dataclass(slots=True, eq=False)
class Run:
    """One run of a cell."""

    info: Any  # what IPython says of it; None for the cell that loaded the extension
    cell: str  # what tells cells apart: the id that the notebook gave it, or its text
    start: int  # number of the newest change when it began
    end: int | None = None  # and when it ended; None: it is going on
    number: int | None = None  # of In[number]; None: not known yet, or not in the history
    files: set[str] = dataclasses.field(default_factory=set)  # names of its code

    @property
    def raw(self) -> str:
        """The text of the cell."""
        return "" if self.info is None else self.info.raw_cell or ""

    @property
    def label(self) -> str:
        """The name that the notebook shows beside the cell."""
        return "a cell without a number" if self.number is None else f"In[{self.number}]"


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a change came from, in terms of cells."""

    run: Run | None  # that was going on
    count: int  # 1 for the first run of that cell, 2 for the second
    written_in: Run | None  # the latest run of the cell in which the line stands, if it stands in one
    line: int | None  # of that cell, or of the file
    file: str  # "" if the stack is not known
    name: str  # of the function
    source: str  # the line
    caller: int | None  # the line of `run` that led to it, if that is another one
    after: Run | None  # if no cell was running: the one before

    def text(self) -> str:
        """Return it in one line."""
        ran = (
            "" if self.run is None else self.run.label + (f" (run {self.count} of this cell)" if self.count > 1 else "")
        )
        during = f"while {ran} ran" if ran else f"after {self.after.label}" if self.after else "before a cell ran"
        if not self.file:
            return ran or during
        function = "" if self.name == "<module>" else f" in {self.name}"
        if self.written_in is None:
            here = f"{self.file}:{self.line}{function}"
        elif self.run is not None and (
            self.written_in is self.run or not self.run.files.isdisjoint(self.written_in.files)
        ):
            here = f"{ran}, line {self.line}{function}"
            return here if self.caller is None else f"{here}, called by line {self.caller}"
        else:
            here = f"{self.written_in.label}, line {self.line}{function}"
        return f"{here}, called by {ran}, line {self.caller}" if self.caller is not None else f"{here}, {during}"


class Cells:
    """The runs of a shell's cells since the extension was loaded.

    :param shell: an InteractiveShell.
    :param flush: called before the number of a change is noted, so that what is found by comparing belongs to the run
        that did it.
    """

    def __init__(self, shell: Any, flush: Callable[[], object]) -> None:
        self._shell = shell
        self._flush = flush
        self.runs: list[Run] = []
        self._open: list[Run] = []
        file = _running(shell)
        if file is not None:  # the cell that loads the extension
            self.runs.append(Run(None, "", self._now(), files={file}))
            self._open.append(self.runs[-1])

    def begin(self, info: Any) -> None:
        """Note that a cell begins to run: IPython's event ``pre_run_cell``."""
        self._look_up()  # before a run inside of another one counts on
        run = Run(info, str(getattr(info, "cell_id", None) or info.raw_cell), self._now())
        self.runs.append(run)
        self._open.append(run)

    def finish(self, result: Any = None) -> None:
        """Note that a cell has ended: IPython's event ``post_run_cell``."""
        info = getattr(result, "info", None)
        if not self._open or (info is not None and self._open[-1].info not in (info, None)):
            return  # an empty cell, which has not begun
        run = self._open[-1]
        count = getattr(result, "execution_count", None)
        if type(count) is int:
            self._name(run, count, info is None or info.store_history)
        run.end = self._now()
        self._open.pop()

    def _name(self, run: Run, count: int, is_stored: bool) -> None:
        run.files.add(self._file(run, count))
        run.files.discard("")
        at = self._open.index(run)
        run.number = (
            count if is_stored else self._open[at - 1].number if at else None
        )  # inside of another, as %run does

    def _file(self, run: Run, count: int) -> str:
        if run.info is None:
            return ""
        try:
            transformed = getattr(run.info, "transformed_cell", None) or self._shell.transform_cell(run.raw)
            return str(self._shell.compile.get_code_name(run.raw, transformed, count))
        except Exception:  # another kernel's compiler, or a cell that is not Python
            return ""

    def _look_up(self) -> None:
        """Find the numbers of the runs that are going on.

        The event comes before the number is used, and IPython counts on before or after it, depending on its version.
        The compiler knows.
        """
        for run in self._open:
            if run.number is not None:
                continue
            for count in (self._shell.execution_count, self._shell.execution_count - 1):
                files = [*run.files, self._file(run, count)]
                if ("Cell", f"In[{count}]") in map(self._shell.compile.format_code_name, files):
                    self._name(run, count, run.info is None or run.info.store_history)
                    break

    @property
    def current(self) -> Run | None:
        """The run that is going on."""
        self._look_up()
        return self._open[-1] if self._open else None

    def _now(self) -> int:
        with contextlib.suppress(Exception):  # no cell may fail because of this
            self._flush()
        return _core.newest_seq()

    def origin(self, change: Any) -> Origin:
        """Return where a change came from. O(runs + frames)."""
        self._look_up()
        seq = change.seq or 0
        run = after = None
        for each in self.runs:
            if each.start >= seq:
                break
            if each.end is None or each.end >= seq:
                run = each  # the innermost one, as it began last
            else:
                after = each
        found = line_of(change)
        file, line, name, source = found or ("", None, "", "")
        written_in = self._with(file, seq) if file else None
        caller = None
        if run is not None and found is not None:
            frames = [frame for frame in change.stack if getattr(frame, "filename", None) in run.files]
            bodies = [frame for frame in frames if frame.name.startswith("<")]  # a cell magic runs a body of its own
            outer = bodies[-1] if bodies else frames[0] if frames else None
            if outer is not None and (outer.lineno, outer.name) != (line, name):
                caller = outer.lineno
        count = (
            0
            if run is None
            else 1
            + sum(each.cell == run.cell and each.number != run.number for each in self.runs[: self.runs.index(run)])
        )
        return Origin(run, count, written_in, line, file, name, source, caller, after)

    def text(self, change: Any) -> str | None:
        """Return `Origin.text` of a change, None if it is of elsewhere.

        Of an ``init``, which nobody made, and of the changes before the extension was loaded.
        """
        if change.action in ("init", "gap") or not isinstance(change, _core.Change) or change.place is None:
            return None
        if not self.runs or change.seq <= self.runs[0].start:
            return None
        return self.origin(change).text()

    def _with(self, file: str, seq: int) -> Run | None:
        """Return the latest run before a change that has a file."""
        for run in reversed(self.runs):
            if run.start < seq and file in run.files:
                return run
        return None


def _running(shell: Any) -> str | None:
    """Return the name of the code of the cell that is running, or None."""
    frame: FrameType | None = sys._getframe(1)
    inner: FrameType | None = None
    while frame is not None:
        if frame.f_code.co_name == "run_code" and frame.f_locals.get("self") is shell:
            return None if inner is None else inner.f_code.co_filename
        frame, inner = frame.f_back, frame
    return None
