"""The commands ``%watch``, ``%unwatch``, ``%blame`` and ``%%actor``."""

from __future__ import annotations

import ast
import contextlib
import keyword
import re
import shlex
from collections.abc import Iterator
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from pydatatracker import _core
from pydatatracker.actors import tracking_actor
from pydatatracker.history.blame import blame_all, blame_of
from pydatatracker.integrations.ipython.cells import Cells
from pydatatracker.integrations.ipython.expressions import NotTracked, target_of
from pydatatracker.integrations.ipython.results import CellBlame, ChangeTable
from pydatatracker.watching import Watch, watch

__all__ = ["TrackingMagics"]


@magics_class
class TrackingMagics(Magics):
    """The commands of one shell."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._shell: Any = shell
        self.watches: list[tuple[str, Watch]] = []  # the text that was given, and its watch
        self.cells = Cells(shell, self.flush)

    def flush(self) -> None:
        """Let every watch compare what nothing reports."""
        for _, w in self.watches:
            if w.is_open:
                w.last_change()

    def close(self) -> None:
        """End all watches."""
        while self.watches:
            self.watches.pop()[1].close()

    @no_var_expand
    @line_magic("watch")
    def watch(self, line: str) -> None:
        """Remember every change of an object: ``%watch config``.

        ``%watch --redact /password config`` keeps values out of the history; repeatable. ``%watch`` alone lists what is
        watched. It needs CPython 3.12; on 3.11, use ``config = track(config)``.
        """
        redact, text = _options(line)
        self.watches = [(name, w) for name, w in self.watches if w.is_open]
        if redact and not text:
            raise UsageError("%watch --redact GLOB needs a value: %watch --redact /password config")
        if not text:
            print("\n".join(f"{name}: {w.objects} objects" for name, w in self.watches) or "nothing is watched")
            return
        x = self._value(text)
        if _core.tracker(x) is not None:
            if redact:
                raise UsageError(_not_redacted(text, x, [name for name, w in self.watches if w.object is x]))
            if _core.is_watched(x):
                print(f"{text} is watched already")
            else:
                print(f"{text} is tracked already, as a {type(x).__name__}: %blame {text} shows its changes")
            return
        try:
            w = watch(x, name=text, tracking_capture_stack=True, tracking_redact=redact or None)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"{text}: {error}") from None
        self.watches.append((text, w))
        print(f"watching {text}: {w.objects} objects")

    @no_var_expand
    @line_magic("unwatch")
    def unwatch(self, line: str) -> None:
        """End ``%watch``: ``%unwatch config``, or ``%unwatch`` for all."""
        text = line.strip()
        if not text:
            print(f"ended {len(self.watches)} watches")
            self.close()
            return
        found = [pair for pair in self.watches if pair[0] == text]
        if not found:
            x = self._value(text)
            found = [pair for pair in self.watches if x is not None and pair[1].object is x]
        if not found:
            names = ", ".join(name for name, _ in self.watches)
            raise UsageError(f"{text} is not watched; %watch watches {names or 'nothing'}")
        for pair in found:
            pair[1].close()
            self.watches.remove(pair)
            print(f"{pair[0]} is not watched any more")

    @no_var_expand
    @line_magic("blame")
    def blame(self, line: str) -> CellBlame | ChangeTable:
        """Show which run of which cell changed a value last.

        ``%blame config['port']`` and ``%blame config /port`` are about one value, ``%blame config`` about all that
        changed in it. The value returned has ``change``, ``cell``, ``run`` and ``line``.
        """
        text = line.strip()
        if not text:
            raise UsageError("%blame needs a value: %blame config['port']")
        self.flush()
        with _for_people(text):
            try:
                root, path = target_of(text, self._evaluate)
            except NotTracked as error:
                name = re.match(r"\w+(?=[\s.\[]|$)", text)
                base = name[0] if name and name[0].isidentifier() and not keyword.iskeyword(name[0]) else "config"
                raise UsageError(
                    f"{error}. Use %watch {base} before it changes (CPython 3.12), or {base} = track({base})"
                ) from None
            if path is None:
                changes = sorted({change.uuid: change for change in blame_all(root).values()}.values())
                return ChangeTable(
                    changes, self.cells, f"the last changes in {text}" if changes else f"{text} has not changed"
                )
            change = blame_of(root, path)
        if change is None:
            dropped = sum(log.dropped for log in _core.logs(root))
            if dropped:
                raise UsageError(
                    f"{text}: its changes, if any, are among the oldest {dropped:,}, which are not kept any more; data"
                    " made with tracking_remember_last=True keeps the last change of everything"
                )
            raise UsageError(f"{text}: no change of it is known, and nothing is there")
        return CellBlame(text, change, self.cells)

    @no_var_expand
    @cell_magic("actor")
    def actor(self, line: str, cell: str) -> Any:
        """Name whoever makes the changes of this cell: ``%%actor ann``.

        Words of the form ``key=value`` are the context: ``%%actor ann ticket=T-17``.
        """
        try:
            names = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"%%actor {line}: {error}") from None
        context = dict(word.split("=", 1) for word in names if "=" in word)
        actors = [word for word in names if "=" not in word]
        if len(actors) != 1:
            raise UsageError("%%actor needs one name: %%actor ann ticket=T-17")
        with tracking_actor(actors[0], **context):
            return self._run(cell)

    def _run(self, cell: str) -> Any:
        """Run the body of a cell, and return the value of its last line."""
        shell = self._shell
        body = shell.transform_cell(cell)
        run = self.cells.current
        raw = run.raw if run is not None and run.raw else cell
        above = 1 + len(cell) - len(cell.lstrip("\n"))  # lines: the magic, and empty ones, which IPython leaves out
        file = shell.compile.cache("\n" * above + body, shell.execution_count, raw_code=raw)
        if run is not None:
            run.files.add(file)
        tree = ast.increment_lineno(shell.compile.ast_parse(body, filename=file), above)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(shell.compile(tree, file, "exec"), shell.user_ns)
        if last is None or DisplayHook.semicolon_at_end_of_expression(cell):
            if last is not None:
                exec(shell.compile(ast.Module([last], []), file, "exec"), shell.user_ns)
            return None
        return eval(shell.compile(ast.Expression(last.value), file, "eval"), shell.user_ns)

    def _evaluate(self, text: str) -> Any:
        return self._shell.ev(text)

    def _value(self, text: str) -> Any:
        with _for_people(text):
            return self._evaluate(text)


def _options(line: str) -> tuple[list[str], str]:
    """Return the globs of ``--redact``, and the rest of a line."""
    redact: list[str] = []
    text = line.strip()
    while text.startswith("--"):
        option, _, rest = text.partition(" ")
        name, equals, value = option.partition("=")
        if name != "--redact":
            raise UsageError(f"%watch has no option {name}; it has --redact GLOB")
        if not equals:
            value, _, rest = rest.strip().partition(" ")
        value = value.strip("'\"")
        if not value:
            raise UsageError("%watch --redact needs a GLOB: %watch --redact /password config")
        redact.append(value)
        text = rest.strip()
    return redact, text


def _not_redacted(text: str, x: Any, names: list[str]) -> str:
    """Return why ``--redact`` does not apply to tracked data, and what to do."""
    if names:
        return f"{text} is watched already, so --redact was not applied: first %unwatch {names[0]}"
    if _core.is_watched(x):
        return (
            f"{text} is watched already, by watch() or as a part of other data, so --redact was not applied: end that"
            " watch first (%watch lists those of this shell)"
        )
    return (
        f"{text} is tracked already, as a {type(x).__name__}, so --redact was not applied: give tracking_redact= where"
        " it is made"
    )


@contextlib.contextmanager
def _for_people(text: str) -> Iterator[None]:
    """Turn what an expression raises into one line."""
    try:
        yield
    except UsageError:
        raise
    except SyntaxError as error:
        raise UsageError(f"{text} is not a Python expression: {error.msg}") from None
    except Exception as error:
        raise UsageError(f"{text}: {type(error).__name__}: {error}") from None
