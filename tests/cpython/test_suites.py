"""CPython's own suites, with the tracked types instead of the builtins.

The modules come from the running interpreter's ``test`` package. In their source, displays of dict, list and set
and calls of the names ``dict``, ``list`` and ``set`` are replaced by the tracked types.
"""

import ast
import builtins
import importlib.util
import pathlib
import types
import unittest
import warnings
from typing import Any

import pytest

from pydatatracker import TrackedDict, TrackedList, TrackedSet


class D(dict):
    """A plain subclass of dict; a test that it fails is skipped."""


class L(list):
    """A plain subclass of list; a test that it fails is skipped."""


class S(set):
    """A plain subclass of set; a test that it fails is skipped."""


TRACKED = {"dict": TrackedDict, "list": TrackedList, "set": TrackedSet}
PLAIN = {"dict": D, "list": L, "set": S}
MODULES = {"test_dict": "dict", "test_list": "list", "test_set": "set"}


class Substitute(ast.NodeTransformer):
    """Replace calls and displays of the builtin by calls of the tested type."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = f"_{kind}_under_test"

    def _made(self, node: Any) -> Any:
        return ast.copy_location(ast.Call(ast.Name(self.name, ast.Load()), [node], []), node)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == self.kind:
            node.func = ast.copy_location(ast.Name(self.name, ast.Load()), node.func)
        return node

    def visit_Dict(self, node: ast.Dict) -> Any:
        self.generic_visit(node)
        return self._made(node) if self.kind == "dict" else node

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        self.generic_visit(node)
        return self._made(node) if self.kind == "dict" else node

    def visit_List(self, node: ast.List) -> Any:
        self.generic_visit(node)
        return self._made(node) if self.kind == "list" and isinstance(node.ctx, ast.Load) else node

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        self.generic_visit(node)
        return self._made(node) if self.kind == "list" else node

    def visit_Set(self, node: ast.Set) -> Any:
        self.generic_visit(node)
        return self._made(node) if self.kind == "set" else node

    def visit_SetComp(self, node: ast.SetComp) -> Any:
        self.generic_visit(node)
        return self._made(node) if self.kind == "set" else node


def load(name: str, types_under_test: dict[str, type]) -> Any:
    """Return CPython's test module with the tested type as the builtin."""
    kind = MODULES[name]
    spec = importlib.util.find_spec(f"test.{name}")
    if spec is None or spec.loader is None:
        pytest.skip("this interpreter has no test package", allow_module_level=True)
    source = pathlib.Path(spec.origin or "").read_text(encoding="utf-8")
    tree = ast.fix_missing_locations(Substitute(kind).visit(ast.parse(source)))
    module = types.ModuleType(f"{name}_with_{types_under_test[kind].__name__}")
    module.__dict__[f"_{kind}_under_test"] = types_under_test[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(tree, spec.origin or name, "exec"), module.__dict__)
    for thing in list(vars(module).values()):
        if isinstance(thing, type) and issubclass(thing, unittest.TestCase):
            for attribute in ("type2test", "thetype"):
                if getattr(thing, attribute, None) is getattr(builtins, kind):
                    setattr(thing, attribute, types_under_test[kind])
    return module


def cases(module: Any) -> dict[str, unittest.TestCase]:
    """Return all tests of a module by id."""
    found = {}
    for group in unittest.defaultTestLoader.loadTestsFromModule(module):
        for case in group:  # type: ignore[union-attr]
            found[f"{type(case).__name__}.{case._testMethodName}"] = case  # type: ignore[union-attr]
    return found  # type: ignore[return-value]


def outcome(case: Any) -> str:
    """Return "" for a test that passes or skips, else its traceback's end."""
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case.run(result)
    problems = [*result.errors, *result.failures]
    return problems[0][1][-1500:] if problems else ""


LOADED = {name: (cases(load(name, TRACKED)), cases(load(name, PLAIN))) for name in MODULES}
IDS = [(name, test) for name in MODULES for test in LOADED[name][0]]

# Tests that pass with a plain subclass and not with ours, and the reason.
KNOWN = {
    ("test_dict", "DictTest.test_setitem_atomic_at_resize"): (
        "__eq__ of a key with an equal hash runs twice: to find the old value, and to store the new one"
    ),
    ("test_dict", "DictTest.test_oob_indexing_dictiter_iternextitem"): (
        "expects that a replaced value is freed, but history keeps it alive (tracking_keep_values)"
    ),
    ("test_set", "TestSet.test_pickling"): "sets an attribute, but TrackedSet has no __dict__, like set",
}


@pytest.mark.parametrize(("name", "test"), IDS, ids=lambda value: value)
def test_as_cpython_tests_it(name: str, test: str, request: pytest.FixtureRequest) -> None:
    """CPython's tests of a builtin pass with the tracked type.

    A test that a plain subclass fails too (exact types, sizes, repr of the class name ...) is skipped, because no
    subclass can pass it. The test is run with the plain subclass to find out.
    """
    tracked, plain = LOADED[name]
    problem = outcome(tracked[test])
    if problem and outcome(plain[test]):
        pytest.skip("a plain subclass of the builtin fails this test too")
    if (name, test) in KNOWN:
        request.applymarker(pytest.mark.xfail(reason=KNOWN[name, test], strict=False))
    assert problem == ""
