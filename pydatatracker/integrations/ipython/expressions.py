"""From ``config['users'][0].name`` to a container and a path in it."""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections import defaultdict, deque
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
    if pointed is None:
        return _target(text, evaluate)
    expression = pointed["expression"]
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        target = _target(expression, evaluate)
    else:  # `a /b` is a division, too
        target = _target(expression, evaluate)
        if target.path is not None:
            return _target(text, evaluate)
    if target.path is not None:
        raise SyntaxError(f"give a path once: either {expression} or a pointer")
    return Target(target.root, pointed["pointer"])


def _target(text: str, evaluate: Callable[[str], Any]) -> Target:
    """Return what an expression without a pointer leads to."""
    node: ast.expr = ast.parse(text.strip(), mode="eval").body
    steps: list[ast.Attribute | ast.Subscript] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        steps.insert(0, node)
        node = node.value
    value = evaluate(ast.unparse(node))
    for n, step in enumerate(steps):
        if _core.tracker(value) is not None:
            return Target(value, _path(value, steps[n:], evaluate))
        if isinstance(step, ast.Attribute):
            value = getattr(value, step.attr)
            continue
        key = _key(step, evaluate)
        if isinstance(value, defaultdict) and not dict.__contains__(value, key):
            raise KeyError(key)  # a question must not add it
        value = value[key]
    if _core.tracker(value) is None:
        raise NotTracked(f"{text.strip()} is not tracked: it is a plain {type(value).__name__}")
    return Target(value, None)


def _key(step: ast.Subscript, evaluate: Callable[[str], Any]) -> Any:
    if isinstance(step.slice, ast.Slice):
        raise SyntaxError("a slice is several values: name one item")
    return evaluate(ast.unparse(step.slice))


def _path(value: Any, steps: list[ast.Attribute | ast.Subscript], evaluate: Callable[[str], Any]) -> tuple[Any, ...]:
    """Return the keys of steps.

    An index from the end becomes one from the start, as long as the item is there. No code of the data runs: asking a
    defaultdict must not add the key, nor compute a property.
    """
    path: list[Any] = []
    for step in steps:
        is_attribute = isinstance(step, ast.Attribute)
        key: Any = step.attr if isinstance(step, ast.Attribute) else _key(step, evaluate)
        kind = next((cls for cls in (list, tuple, deque) if isinstance(value, cls)), None)
        if type(key) is int and key < 0 and kind is not None:
            key += kind.__len__(value)
        path.append(key)
        value = _attribute(value, key) if is_attribute else _item(value, key, kind)
    return tuple(path)


def _attribute(value: Any, name: str) -> Any:
    """Return what an object stores as an attribute, or None."""
    found = inspect.getattr_static(value, name, None)
    if not isinstance(found, types.MemberDescriptorType):  # of a slot
        return found
    try:
        return found.__get__(value)
    except AttributeError:
        return None


def _item(value: Any, key: Any, kind: Any) -> Any:
    """Return what a dict or a sequence of a kind holds, or None."""
    try:
        if isinstance(value, dict):
            return dict.get(value, key)
        return None if kind is None else kind.__getitem__(value, key)
    except (TypeError, IndexError):  # a key that cannot be hashed, an item that was removed
        return None
