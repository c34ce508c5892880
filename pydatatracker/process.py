"""The log of a whole process: every change of every tracked container.

The program needs no change: the log starts when `pydatatracker` is imported with ``PYDATATRACKER_LOG=changes.jsonl`` in
the environment (``pydatatracker run`` sets it), or with `start`. The variables:

- ``PYDATATRACKER_LOG``: the file; appended to, opened at the first change.
- ``PYDATATRACKER_STACK``: frames to capture (``run`` sets 25), for containers without an option of their own.
- ``PYDATATRACKER_MODE``: permissions of a new log, in octal; ``0600`` if it is not set, ``umask`` for what that says.
- ``PYDATATRACKER_SEAL``: ``1`` seals every line (docs/sealed-logs.md), ``PYDATATRACKER_SEAL_KEY``: the path of the key
  that signs roots.
- ``PYDATATRACKER_REDACT``: globs over pointers, one per line, whose values are withheld from the log, besides those of
  names such as ``password`` (`values.secrets`); a line ``-`` shows the values of these names.
- ``PYDATATRACKER_WATCH``: data that is watched by name (`targets`), separated by commas or blanks.
- ``PYDATATRACKER_SNAPSHOTS``: ``1`` captures snapshots, for containers without an option of their own.

The log is complete in itself: an ``init`` precedes the first line of a root that was not empty. The section "Several
roots and processes" of docs/log-format.md has the rules, which readers rely on.

The program comes first: nothing here raises into it, no lock is held while a value is encoded, and a log that cannot be
written is one warning of the logger ``pydatatracker``.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import shlex
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pydatatracker import _core, _forks
from pydatatracker._lazy import load_now
from pydatatracker.change.library import is_library
from pydatatracker.change.mapping import to_dict
from pydatatracker.change.references import BEGUN, Begun
from pydatatracker.change.rewind import state_then
from pydatatracker.change.stack import OWN
from pydatatracker.targets import Target, Targets, parsed
from pydatatracker.values.secrets import FIELDS, Withheld

if TYPE_CHECKING:
    from pydatatracker.change.entry import ChangeLogEntry
    from pydatatracker.io import ChangeWriter

__all__ = [
    "LOG",
    "MODE",
    "REDACT",
    "RUN",
    "SEAL",
    "SEAL_KEY",
    "SNAPSHOTS",
    "STACK",
    "WATCH",
    "ProcessLog",
    "start",
    "start_from_environment",
    "stop",
]

LOG: Final = "PYDATATRACKER_LOG"
STACK: Final = "PYDATATRACKER_STACK"
MODE: Final = "PYDATATRACKER_MODE"
REDACT: Final = "PYDATATRACKER_REDACT"
SEAL: Final = "PYDATATRACKER_SEAL"
SEAL_KEY: Final = "PYDATATRACKER_SEAL_KEY"
SNAPSHOTS: Final = "PYDATATRACKER_SNAPSHOTS"
WATCH: Final = "PYDATATRACKER_WATCH"
RUN: Final = "PYDATATRACKER_RUN"  # the process that `pydatatracker run` became: it prints the farewell

# what recording imports at some time, and what programs import to record
_RECORDING: Final = (
    *(
        "actors",
        "change.compact",
        "change.library",
        "change.mapping",
        "change.stack",
        "change.text",
        "containers.breaks",
    ),
    *("history.marks", "history.transaction", "history.undo", "io.tracing", "io.writer", "observers"),
)
_PATIENCE: Final = 1.0  # seconds that a thread waits for another one to write the init of a root
_ATTEMPTS: Final = 20  # to copy a root while other threads change it

logger = logging.getLogger("pydatatracker")


class ProcessLog:
    """Write the changes of all tracked containers of this process to a file.

    The core calls it with every change.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: int | str | None = 0o600,
        withheld: Withheld | None = None,
        targets: Targets | None = None,
        seals: Any = None,
    ) -> None:
        self._mode = mode
        self._seals = seals
        self._withheld = withheld
        self._targets = targets
        if targets is not None:
            targets.entered = self._begin_once_more
        self.shown = os.fsdecode(path)
        if "\0" in self.shown:
            raise ValueError(f"a path cannot have a null character: {self.shown!r}")
        self.path = os.path.abspath(self.shown)  # the program may change its folder later
        self._writer: ChangeWriter | None = None
        self._feed: _core.Appender | None = None  # takes what needs nothing but a line
        self._followed: set[int] = set()  # numbers of the roots of which it takes changes
        self._numbers: set[int] = set()  # numbers of the roots in `_known`
        self._graphs: set[int] = set()  # numbers of those that were begun when there were cycles below them
        self._roots: set[int] = set()  # numbers of the roots in `_known` or `_left`: lines have their ids
        self._renewals = 0  # how many times the file was renamed or deleted
        self._warned = False
        self.after_fork()
        _forks.keep(self, _forks.LOGS)

    def __call__(self, change: ChangeLogEntry) -> None:
        """Write the line of one change, in however many trees it is.

        O(size of the values).
        """
        self._look()
        selected = None if self._targets is None else self._targets.selected(change)
        if selected is not None and not selected:
            return
        if len(self._known) > 1 or (self._known and id(change.viewer.container) not in self._known):
            for tracker in change._inner:  # it may become a root again, and then the log needs its state
                self._forget(tracker)
        for root in _core.take_newly_looped():
            if root.number in self._roots and root.number not in self._graphs:
                with self._begun(change, root):
                    pass
        if change.others is None and selected is None:
            with self._begun(change, change.viewer):
                self._write_change(change)
            return
        with contextlib.ExitStack() as begun:
            for root in (change.viewer, *(change.others or ())):
                if selected is None or root.uuid in selected:
                    begun.enter_context(self._begun(change, root))
            self._write_change(change)
        if change.also_cut:
            self._begin_others(change)

    @property
    def lines(self) -> int:
        """Number of lines that this process wrote, those of ``init`` not counted."""
        return self._lines + (0 if self._feed is None else self._feed.taken)

    def tracking_missed(self, change: ChangeLogEntry, error: BaseException) -> None:
        """Have the log say that a change may be missing."""
        self._open().tracking_missed_write(change, error)

    # ---- which lines

    def after_fork(self) -> None:
        """Begin all roots again, with new locks."""
        self._lock = threading.RLock()
        self._begin_again()
        self._lines = 0 if self._feed is None else -self._feed.taken

    def _begin_again(self) -> None:
        self._followed.clear()
        self._numbers.clear()
        self._graphs.clear()
        self._roots.clear()
        self._known: dict[int, weakref.ref[Any]] = {}  # roots whose state the log has
        self._begins: dict[int, threading.Event] = {}  # roots whose init is being written
        self._left: dict[
            int, weakref.ref[Any]
        ] = {}  # roots that moved into another tree: they need an init when they return

    def _look(self) -> None:
        """Begin all roots again if the log was renamed or deleted."""
        writer = self._writer
        if writer is None:
            return
        try:
            renewals = writer.renewals()
        except OSError:  # the write will say so
            return
        if renewals != self._renewals:
            with self._lock:
                if renewals != self._renewals:
                    self._renewals = renewals
                    self._begin_again()

    def _write_change(self, change: ChangeLogEntry) -> None:
        has = None if self._targets is None else self._targets.has
        token = BEGUN.set(Begun(self._roots, self._graphs, has=has))
        try:
            if self._write(change):
                self._lines += 1
        finally:
            BEGUN.reset(token)

    def _begin_others(self, change: ChangeLogEntry) -> None:
        """Begin all roots again that the line of a change may leave out.

        O(roots).
        """
        with self._lock:
            kept = {}
            self._followed.clear()
            self._numbers.clear()
            for root in (change.viewer, *(change.others or ())):
                number = id(root.container)
                if number in self._known:
                    kept[number] = self._known[number]
                    self._numbers.add(root.number)
            self._left.update((number, each) for number, each in self._known.items() if number not in kept)
            self._known = kept

    def _begin_once_more(self, container: Any) -> None:
        """Have the next line of a root follow an init with its whole state."""
        tracker = _core.tracker(container)
        if tracker is not None:
            with self._lock:
                self._forget(tracker)

    def _forget(self, tracker: _core.Tracker) -> None:
        container = tracker.container
        number = id(container)
        known = self._known.pop(number, None)
        self._followed.discard(tracker.number)  # after that: see `_begun`
        self._numbers.discard(tracker.number)
        if known is not None and container is not None:
            forget = _forget_in(self._left, number, (self._roots,), tracker.number)
            self._left[number] = weakref.ref(container, forget)

    # ---- the state from which the lines of a root start

    @contextlib.contextmanager
    def _begun(self, change: ChangeLogEntry, tracker: _core.Tracker) -> Iterator[None]:
        """Write the init of a root of the change before its line, or after it."""
        root = tracker.container
        number = id(root)
        known = self._known.get(number)
        in_graph = _core.has_cycles(tracker)
        is_known = known is not None and known() is root and (not in_graph or tracker.number in self._graphs)
        if root is None or (is_known and number not in self._begins):
            yield
            if root is not None:
                self._followed.add(tracker.number)
                if self._known.get(number) is not known:  # another thread has just forgotten it
                    self._followed.discard(tracker.number)
            return
        with self._lock:
            known = self._known.get(number)
            again = known is not None and known() is root and in_graph and tracker.number not in self._graphs
            first = again or known is None or known() is not root
            if first:
                if in_graph:
                    self._graphs.add(tracker.number)
                numbers = self._followed, self._numbers, self._graphs, self._roots
                forget = _forget_in(self._known, number, numbers, tracker.number)
                self._numbers.add(tracker.number)
                self._known[number] = weakref.ref(root, forget)
                self._begins[number] = threading.Event()
        begun = self._begins.get(number)
        if not first:
            if begun is not None:
                begun.wait(_PATIENCE)
            yield
            return
        late = False
        try:
            try:
                self._write_init(change, tracker, change.seq - 1, *self._state(root, change.seq - 1), again=again)
            except LookupError:  # too few records are kept: use the state after this change
                late = True
                yield
                state, trackers = self._state(root, change.seq, kept=False)
                self._write_init(change, tracker, change.seq, state, trackers, late, again)
        except Exception as error:  # such as a value nested deeper than Python recurses
            self._warn(error)
        except BaseException:  # Ctrl-C: with its next change the root begins again
            self._known.pop(number, None)
            raise
        finally:
            self._begins.pop(number, None)
            self._roots.add(tracker.number)  # lines may refer to it from now on
            if begun is not None:
                begun.set()
        if not late:
            yield

    def _state(self, root: Any, seq: int, kept: bool = True) -> tuple[Any, dict[int, _core.Tracker]]:
        own = _core.tracker(root)

        def stops(tracker: _core.Tracker) -> bool:  # its line refers to it
            return tracker.number in self._graphs and tracker is not own and _core.is_large(tracker)

        for _ in range(_ATTEMPTS):
            newest = _core.newest_seq()
            state = state_then(root, seq if kept else newest, stops)
            if not _core.changes_of(root, newest, 1):  # no other thread came in between
                break
        return state

    def _write_init(
        self,
        change: ChangeLogEntry,
        tracker: _core.Tracker,
        seq: int,
        state: Any,
        trackers: dict[int, _core.Tracker],
        late: bool = False,
        again: bool = False,
    ) -> None:
        root = tracker.container
        came_back = self._left.pop(id(root), None) is not None or late  # even if it is empty now
        if not (state or came_back):
            return
        shown = _core.redacted_state(root, state)
        if self._targets is not None:
            shown = self._targets.state(tracker.uuid, shown)
            if not (shown or came_back):
                return
        in_graph = tracker.number in self._graphs or any(_core.shared(each, False) for each in trackers.values())
        if in_graph and tracker.number not in self._graphs:  # deeper than what the root knows of
            _core.note_cycles_below(tracker)
            self._graphs.add(tracker.number)
        fields = FIELDS.set(None if self._withheld is None else self._withheld.field)
        begun = BEGUN.set(Begun(None, self._graphs, trackers if in_graph or _core.has_ids() else {}))
        try:
            begin = _core.state_change(root, shown)
            line = to_dict(begin, compact=False) if in_graph else begin.to_dict()
        finally:
            BEGUN.reset(begun)
            FIELDS.reset(fields)
        line.update(seq=seq, time_ns=change.time_ns, actor="", context={}, stack=[])  # it has no actor
        if again:  # there are cycles now: up to here a container had a copy in each of its places
            line["method"] = "again"
        line["created_time"] = change.created_time.isoformat(timespec="microseconds")
        line.pop("transaction", None)
        line.pop("culprit", None)
        self._write(line)

    # ---- the file

    def _write(self, change: Any) -> bool:
        try:
            self._open().write(change)
        except Exception as error:
            self._warn(error)
            if self._writer is None:  # could not be opened at all
                _core.set_process_observer(None)
            return False
        return True

    def _open(self) -> ChangeWriter:
        writer = self._writer
        if writer is not None:  # it opens the file again if the program has closed it
            return writer
        with self._lock:
            if self._writer is None:
                from pydatatracker.io import ChangeWriter

                if self._seals is not None:
                    from pydatatracker.exporters.sealing import check_sealable

                    check_sealable(self.path)
                self._writer = ChangeWriter(self.path, mode=self._mode, withheld=self._taken_out(), seals=self._seals)
                self._renewals = 0
                self._feed = self._writer.tracking_feed_write
                if self._feed is not None:
                    self._feed.begun, self._feed.known = self._followed, self._numbers
                    self._feed.graphs, self._feed.roots = self._graphs, self._roots
                    _core.set_process_feed(self, self._feed)
            return self._writer

    def use(self, targets: Targets) -> None:
        """Write of modules what targets name, from now on. O(1)."""
        self._targets = targets
        targets.entered = self._begin_once_more
        _core.set_process_feed(self, None)
        if self._writer is not None:
            self._writer.withhold(_Selected(targets, self._withheld))

    def _taken_out(self) -> Withheld | None:
        if self._targets is None:
            return self._withheld
        return _Selected(self._targets, self._withheld)

    def _warn(self, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        try:
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            logger.warning("the log %s cannot be written (%s): changes are missing there", self.path, reason)
        except Exception:  # a logging handler of the program that raises must not reach it from here
            pass

    def farewell(self) -> str:
        """Return a sentence on what was recorded and what to do with it."""
        if not self.lines and not _core.any_tracked():
            return nothing_tracked()
        if not self.lines:
            return f"pydatatracker: no change was recorded in {self.shown}"
        many = "1 change" if self.lines == 1 else f"{self.lines:,} changes"
        return f"pydatatracker: {many} in {self.shown}; next: pydatatracker show {shlex.quote(self.shown)}"


class _Selected(Withheld):
    """Takes out of lines what no target names, too."""

    def __init__(self, targets: Targets, withheld: Withheld | None) -> None:
        self._targets = targets
        self._withheld = withheld

    @property
    def is_by_word(self) -> bool:
        """False: every line has to be looked at."""
        return False

    def field(self, name: str) -> bool:
        """Return what the withholding says."""
        return self._withheld is not None and self._withheld.field(name)

    def take_out(self, line: dict[str, Any]) -> None:
        """Prune a line, and withhold its secrets. O(size of the values)."""
        self._targets.prune(line)
        if self._withheld is not None:
            self._withheld.take_out(line)


def _forget_in(
    refs: dict[int, weakref.ref[Any]], number: int, numbers: tuple[set[int], ...] = (), tracker: int = 0
) -> Callable[[object], None]:
    def forget(reference: object) -> None:
        if refs.get(number) is reference:
            del refs[number]
        for each in numbers:
            each.discard(tracker)

    return forget


_current: ProcessLog | None = None


def start(
    log: str | os.PathLike[str],
    *,
    stack: int | None = None,
    snapshots: bool | None = None,
    mode: int | str | None = 0o600,
    redact: Iterable[str] = (),
    redact_names: bool = False,
    targets: Targets | None = None,
    seal: bool = False,
    seal_key: Any = None,
) -> ProcessLog:
    """Write every change in this process to a log from now on.

    O(1). It replaces an earlier log of the process.

    :param log: the file; created with its folders at the first change, and appended to.
    :param stack: frames to capture, in containers without that option.
    :param snapshots: whether to capture snapshots, in containers without that option.
    :param mode: permissions of the log if it is new; see `pydatatracker.io.ChangeWriter`.
    :param redact: globs over pointers whose values are withheld from the log.
    :param redact_names: whether the values of names such as ``password`` are withheld from it.
    :param targets: what is watched by name; the log has of its modules what was named.
    :param seal: whether each line is sealed, and ``seal_key`` what signs the roots, as for `JsonLinesExporter`.

    >>> import os, tempfile
    >>> from pydatatracker import TrackedDict
    >>> path = os.path.join(tempfile.mkdtemp(), "changes.jsonl")
    >>> log = start(path)
    >>> TrackedDict()["port"] = 80
    >>> stop()
    >>> log.lines
    1
    """
    global _current
    if mode != 0o600:
        from pydatatracker.io.files import check_mode

        mode = check_mode(mode)
    if stack is not None or snapshots is not None:
        _core.set_default_options(stack, None if snapshots is None else int(snapshots))
    globs = (redact,) if isinstance(redact, str) else tuple(redact)
    withheld = Withheld(globs, redact_names) if globs or redact_names else None
    seals = None
    if seal or seal_key is not None:
        from pydatatracker.exporters.sealing import FileSeals, key_of
        from pydatatracker.io.seals import EVERY

        seals = FileSeals(key_of(seal, seal_key), EVERY)
    _current = ProcessLog(log, mode, withheld, targets, seals)
    _core.set_process_observer(_current)
    return _current


def use(targets: Targets) -> None:
    """Have the log of the process, if there is one, obey targets. O(1)."""
    if _current is not None:
        _current.use(targets)


def stop() -> None:
    """Stop writing the log; does nothing if none was started. O(1)."""
    global _current
    current, _current = _current, None
    _core.set_process_observer(None)
    if current is not None and current._writer is not None:
        with contextlib.suppress(OSError):
            current._writer.close()


def start_from_environment() -> None:
    """Start as the environment variables say, when the package is imported.

    O(1), never raises.
    """
    path = os.environ.get(LOG)
    if not path:
        return
    _load()
    stack: int | None = None
    given = os.environ.get(STACK, "")
    if given:
        try:
            stack = max(0, int(given))
        except ValueError:
            logger.warning("%s must be a number of frames, not %r: no stacks are captured", STACK, given)
    snapshots = os.environ.get(SNAPSHOTS, "") not in ("", "0")
    globs, names = _given_redact()
    targets = _given_targets()
    try:
        log = start(
            path,
            stack=stack,
            snapshots=snapshots or None,
            mode=_given_mode(),
            redact=globs,
            redact_names=names,
            targets=targets,
            seal=os.environ.get(SEAL, "") not in ("", "0"),
            seal_key=os.environ.get(SEAL_KEY) or None,
        )
    except (ValueError, OSError, ImportError) as error:  # no log is better than one without the seals
        if not (os.environ.get(SEAL) or os.environ.get(SEAL_KEY)):
            raise
        logger.warning("the log %s is not written: it cannot be sealed (%s)", path, error)
        return
    if os.environ.get(RUN) == str(os.getpid()):
        with contextlib.suppress(OSError, ValueError):
            near = os.path.relpath(log.path)
            log.shown = log.path if near.startswith(os.pardir) else near
        atexit.register(_say_goodbye, log, os.getpid())
    if targets is not None:
        _begin(targets)


def _begin(targets: Targets) -> None:
    try:
        targets.begin()
    except (TypeError, RuntimeError) as error:
        logger.warning("%s: %s", WATCH, error)
        return
    atexit.register(_end, targets, os.getpid())


def _end(targets: Targets, pid: int) -> None:
    if os.getpid() == pid:
        try:
            targets.end()
        except Exception as error:  # the program comes first
            logger.warning("%s: %s", WATCH, error)


def _given_targets() -> Targets | None:
    """Return what PYDATATRACKER_WATCH names, None if it names nothing."""
    given = [each for each in re.split(r"[\s,]+", os.environ.get(WATCH, "")) if each]
    found: list[Target] = []
    for each in given:
        try:
            found += parsed([each])
        except ValueError as error:
            logger.warning("%s: %s", WATCH, error)
    return Targets(found, _say_problem) if found else None


def _say_problem(text: str) -> None:
    """Print what the user has to know, in a program that `run` runs."""
    if os.environ.get(RUN) != str(os.getpid()):
        logger.warning(text)
        return
    with contextlib.suppress(Exception):  # standard error is closed
        print(f"pydatatracker: {text}", file=sys.stderr, flush=True)


def _given_redact() -> tuple[list[str], bool]:
    """Return the globs of PYDATATRACKER_REDACT, and whether names count."""
    globs = [line.strip() for line in os.environ.get(REDACT, "").splitlines() if line.strip()]
    names = "-" not in globs
    globs = [glob for glob in globs if glob != "-"]
    try:
        Withheld(globs)
    except ValueError as error:
        logger.warning("%s is wrong (%s): everything is withheld", REDACT, error)
        return ["/**"], True
    return globs, names


def _given_mode() -> int | None:
    given = os.environ.get(MODE) or "0600"
    if given == "umask":
        return None
    from pydatatracker.io.files import check_mode

    try:
        return check_mode(given)
    except ValueError:
        logger.warning("%s must be permissions such as 0640, or umask, not %r: a new log has 0600", MODE, given)
        return 0o600


def _load() -> None:
    """Import what recording needs, before files of the program are found."""
    from importlib import import_module

    for module in _RECORDING:
        import_module(f"pydatatracker.{module}")
    from pydatatracker.change.library import installed
    from pydatatracker.io import to_line

    load_now()
    installed()
    to_line({"action": "gap"})  # makes the encoder


def nothing_tracked() -> str:
    """Return the sentence that ends a program in which nothing was tracked.

    It names dicts and classes of the program's own modules.
    """
    found = found_in_program()
    said = "pydatatracker: nothing was tracked in this program"
    if not found:
        return f"{said}: track() its data, or name it with run --watch MODULE:NAME"
    names = " ".join(f"--watch {name}" for name in found)
    where = "" if sys.version_info >= (3, 12) else ", with CPython 3.12 or newer"
    return f"{said}; to watch data that was found in it{where}: pydatatracker run {names} ..."


def found_in_program(most: int = 4) -> list[str]:
    """Return names of the program's data, as ``--watch`` takes them.

    Dicts first, then classes. Runs no code of the program. O(globals).
    """
    modules = [module for name, module in list(sys.modules.items()) if name != "__main__"]
    modules.append(sys.modules["__main__"])
    dicts: dict[int, str] = {}
    classes: dict[int, str] = {}
    for module in modules:
        names = object.__getattribute__(module, "__dict__") if isinstance(module, types.ModuleType) else {}
        file, home = names.get("__file__"), names.get("__name__")
        if type(file) is str and (is_library(file) or file.startswith(OWN)):
            continue
        if type(home) is not str or (type(file) is not str and home != "__main__"):
            continue
        for name, value in list(names.items()):
            if name.startswith("_"):
                continue
            if issubclass(type(value), dict) and id(value) not in dicts:
                dicts[id(value)] = f"{home}:{name}"
            elif type(value) is type and type.__dict__["__module__"].__get__(value) == home:
                classes.setdefault(id(value), f"{home}:{name}")
    return [*dicts.values(), *classes.values()][:most]


def say_nothing_tracked() -> None:
    """Print that nothing was tracked, as a program ends."""
    sys.stdout.flush()
    print(nothing_tracked(), file=sys.stderr, flush=True)


def _say_goodbye(log: ProcessLog, pid: int) -> None:
    if os.getpid() != pid:  # a forked child has the handler too
        return
    try:
        sys.stdout.flush()
        print(log.farewell(), file=sys.stderr, flush=True)
    except Exception:  # closed, or a pipe without a reader: the program's own output matters more
        pass
