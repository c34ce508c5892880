"""From ``config['users'][0].name`` to a container and a path in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pydatatracker import _core

__all__ = ["NotTracked", "Target", "target_of"]

_POINTER = re.compile(r"^(?P<expression>.*\S)\s+(?P<pointer>/\S*)$", re.DOTALL)


class NotTracked(ValueError):
    """The expression does not lead to tracked data."""


class Target(NamedTuple):
    """A tracked container or watched object, and a path below it."""

    root: Any
    path: tuple[Any, ...] | str | None  # str: a pointer; None: the whole


def target_of(text: str, evaluate: Callable[[str], Any]) -> Target:
    """Return what an expression leads to.

    The outermost tracked container in it is the root; what comes after it is the path, and is not looked up, so that
    removed values have a history, too. A pointer may follow: ``config /users/0``.

    :param evaluate: returns the value of an expression.
    :raises NotTracked: nothing in it is tracked.
    :raises SyntaxError: it is not an expression. What evaluate raises is not caught.
    """
    pointed = _POINTER.match(text)
    if pointed:
        try:
            ast.parse(text, mode="eval")  # `a /b` is a division
        except SyntaxError:
            divides = False
        else:
            divides = _core.tracker(evaluate(pointed["expression"])) is None
        if not divides:
            target = target_of(pointed["expression"], evaluate)
            if target.path is not None:
                raise SyntaxError(f"give a path once: either {pointed['expression']} or a pointer")
            return Target(target.root, pointed["pointer"])
    node: ast.expr = ast.parse(text.strip(), mode="eval").body
    steps: list[ast.Attribute | ast.Subscript] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        steps.insert(0, node)
        node = node.value
    value = evaluate(ast.unparse(node))
    for n, step in enumerate(steps):
        if _core.tracker(value) is not None:
            return Target(value, _path(value, steps[n:], evaluate))
        value = getattr(value, step.attr) if isinstance(step, ast.Attribute) else value[_key(step, evaluate)]
    if _core.tracker(value) is None:
        raise NotTracked(f"{text.strip()} is not tracked: it is a plain {type(value).__name__}")
    return Target(value, None)


def _key(step: ast.Subscript, evaluate: Callable[[str], Any]) -> Any:
    if isinstance(step.slice, ast.Slice):
        raise SyntaxError("a slice is several values: name one item")
    return evaluate(ast.unparse(step.slice))


def _path(value: Any, steps: list[ast.Attribute | ast.Subscript], evaluate: Callable[[str], Any]) -> tuple[Any, ...]:
    """Return the keys of steps.

    An index from the end becomes one from the start, as long as the item is there.
    """
    path: list[Any] = []
    known = True
    for step in steps:
        key: Any = step.attr if isinstance(step, ast.Attribute) else _key(step, evaluate)
        is_index = known and type(key) is int and key < 0 and hasattr(value, "__len__") and not isinstance(value, dict)
        path.append(len(value) + key if is_index else key)
        try:
            value = getattr(value, key) if isinstance(step, ast.Attribute) else value[key]
        except Exception:  # it was removed
            known = False
    return tuple(path)
