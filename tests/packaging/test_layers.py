"""Packages import only what stands above them, and no private names.

Every import of the package and of the command line is checked, also those inside functions. A name that a package
imports lazily counts as an import of the module that defines it.
"""

import ast
import pathlib
from collections.abc import Iterator

import pytest

import pydatatracker

ORDER = [
    "_forks", "_core", "_lazy", "_guarded", "actors", "values", "change", "io", "observers", "history", "containers", "watching", "targets", "rebuild",
    "query",
    "exporters", "config", "process", "report", "testing", "integrations", "cli", "types", "utils", "moved", "__main__",
    "pydatatracker",
]  # fmt: skip

Modules = dict[str, ast.Module]


def package_of(module: str) -> str:
    """Return the name in ORDER that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def parsed(root: pathlib.Path) -> Modules:
    """Return every module of the installed package, by its full name."""
    found: Modules = {"pydatatracker._core": ast.parse("")}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def modules() -> Modules:
    return parsed(pathlib.Path(pydatatracker.__file__).parent)


def homes(modules: Modules, package: str) -> dict[str, str]:
    """Return {name: module} of a package's lazy names, from its ``_HOMES``."""
    found: dict[str, str] = {}
    for node in modules[package].body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and node.targets[0].id == "_HOMES":
            for name, home in ast.literal_eval(node.value).items():
                base = package.rpartition(".")[0] if home.startswith(".") else package
                found[name] = f"{base}.{home.lstrip('.')}"
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(tree: ast.Module, at_import: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the import statements of a module.

    With ``at_import`` only those that run when the module is imported.
    """
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif at_import and (is_type_checking(node) or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            continue
        todo.extend(ast.iter_child_nodes(node))


def targets(modules: Modules, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str, str]]:
    """Yield what an import statement imports from the package.

    Each item is (module, name in it or "", name it is bound to).
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "pydatatracker":
                yield alias.name, "", alias.asname or alias.name
        return
    assert not node.level, f"line {node.lineno}: write imports with the full name of the module"
    source = node.module or ""
    if source.split(".")[0] != "pydatatracker":
        return
    lazy = homes(modules, source) if source in modules else {}
    for alias in node.names:
        bound = alias.asname or alias.name
        if f"{source}.{alias.name}" in modules:
            yield f"{source}.{alias.name}", "", bound
        else:
            yield lazy.get(alias.name, source), alias.name, bound


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def upwards(modules: Modules) -> list[str]:
    """Return the imports of packages that stand later in ORDER."""
    return sorted(
        f"{module} imports {target} (line {node.lineno})"
        for module, tree in modules.items()
        for node in imports(tree, False)
        for target, name, _ in targets(modules, node)
        if ORDER.index(package_of(target)) > ORDER.index(package_of(module))
        and not (target == "pydatatracker" and name.startswith("__"))  # __version__, __path__: the root sets them
    )


def privates(modules: Modules) -> list[str]:
    """Return the uses of a private name of another package."""
    found = []
    for module, tree in modules.items():
        others: set[str] = set()  # the names in this module of modules of other packages
        for node in imports(tree, False):
            for target, name, bound in targets(modules, node):
                if package_of(target) in (package_of(module), "_core", "_forks", "_lazy"):
                    continue
                if is_private(name):
                    found.append(f"{module} imports {name} of {target} (line {node.lineno})")
                elif not name:
                    others.add(bound)
        found += [
            f"{module} uses {ast.unparse(node)} (line {node.lineno})"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) in others
        ]
    return sorted(found)


def cycle(modules: Modules) -> list[str]:
    """Return modules that import each other in a cycle, or [].

    The first one is repeated at the end.
    """
    edges: dict[str, set[str]] = {}
    for module, tree in modules.items():
        edges[module] = set()
        for node in imports(tree, True):
            for target, name, _ in targets(modules, node):
                if target == "pydatatracker" and (name or target != module):
                    continue  # the root is imported before any other module
                edges[module].add(target)
                parts = target.split(".")
                parents = [".".join(parts[:n]) for n in range(2, len(parts))]  # these are imported first
                edges[module].update(each for each in parents if not f"{module}.".startswith(f"{each}."))
    done: set[str] = set()

    def visit(module: str, above: list[str]) -> list[str]:
        if module in above:
            return [*above[above.index(module) :], module]
        if module not in done:
            for target in sorted(edges.get(module, ())):
                if found := visit(target, [*above, module]):
                    return found
            done.add(module)
        return []

    return next((found for module in sorted(edges) if (found := visit(module, []))), [])


def test_every_package_has_its_rank(modules: Modules) -> None:
    """Every package and root module is in ORDER.

    Add a new one to ORDER.
    """
    assert sorted(ORDER) == sorted({package_of(module) for module in modules})


def test_imports_point_upwards_in_the_order(modules: Modules) -> None:
    """A package imports only what stands before it in ORDER.

    Imports inside functions count, too.
    """
    assert [] == upwards(modules)


def test_no_module_imports_itself_by_way_of_others(modules: Modules) -> None:
    """Imports at import time contain no cycle.

    Imports for type checkers do not count.
    """
    assert [] == cycle(modules)


def test_no_package_uses_a_private_name_of_another(modules: Modules) -> None:
    """Private names are used only in their own package.

    The compiled core is the exception.
    """
    assert [] == privates(modules)


BROKEN = {
    "upwards, in a function": (
        {"pydatatracker.values.x": "def f():\n    from pydatatracker.cli.app import main"},
        (["pydatatracker.values.x imports pydatatracker.cli.app (line 2)"], [], []),
    ),
    "upwards, by a lazy name": (
        {
            "pydatatracker.values.x": "from pydatatracker.history import replay",
            "pydatatracker.history": "_HOMES = {'replay': 'replica'}",
        },
        (["pydatatracker.values.x imports pydatatracker.history.replica (line 1)"], [], []),
    ),
    "a cycle": (
        {"pydatatracker.values.a": "import pydatatracker.values.b", "pydatatracker.values.b": "import pydatatracker.values.a"},
        ([], [], ["pydatatracker.values.a", "pydatatracker.values.b", "pydatatracker.values.a"]),
    ),
    "a cycle of types only": (
        {
            "pydatatracker.values.a": "import pydatatracker.values.b",
            "pydatatracker.values.b": "if TYPE_CHECKING:\n    import pydatatracker.values.a",
        },
        ([], [], []),
    ),
    "a private name": (
        {"pydatatracker.io.x": "from pydatatracker.values.a import _b"},
        ([], ["pydatatracker.io.x imports _b of pydatatracker.values.a (line 1)"], []),
    ),
    "a private attribute": (
        {"pydatatracker.io.x": "from pydatatracker.values import a\na._b()", "pydatatracker.values.a": ""},
        ([], ["pydatatracker.io.x uses a._b (line 2)"], []),
    ),
    "what is allowed": (
        {
            "pydatatracker.io.x": "from pydatatracker import _core, __version__\nfrom pydatatracker.io.y import _z\n_core._q",
            "pydatatracker._core": "",
        },
        ([], [], []),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sources", "expected"), BROKEN.values(), ids=BROKEN)
def test_the_checks_find_what_they_look_for(
    sources: dict[str, str], expected: tuple[list[str], list[str], list[str]]
) -> None:
    """Each check finds the one fault of a small package."""
    modules = {name: ast.parse(source) for name, source in sources.items()}
    assert expected == (upwards(modules), privates(modules), cycle(modules))
