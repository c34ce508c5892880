"""Try what one library can do: ``python features.py NAME`` prints JSON.

Each row of ``FEATURES`` is tried on the real library, by a function here or by the method ``can_...`` of its subject.
It returns True, or False with a reason. Without such a method the library has no such API.
"""

from __future__ import annotations

import copy
import importlib.metadata
import json
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any

from subjects import Subject, subject
from subjects.base import PATH, Seen

NO_API = "no such API"
Verdict = tuple[bool, str]

# What changes a builtin: a statement, and what there is before it. Each has to be noticed.
MUTATIONS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "dict": (
        {"a": 0, "b": 1},
        (
            *("x['a'] = 5", "x['new'] = 5", "del x['a']", "x.pop('a')", "x.popitem()", "x.clear()"),
            *("x.update(a=5)", "x.setdefault('new', 5)", "x |= {'a': 5}"),
        ),
    ),
    "list": (
        [3, 1, 2],
        (
            *("x[0] = 5", "x[0:2] = [7]", "del x[0]", "del x[0:2]", "x.append(5)", "x.extend([5])", "x.insert(0, 5)"),
            *("x.pop()", "x.remove(1)", "x.reverse()", "x.sort()", "x.clear()", "x += [5]", "x *= 2"),
        ),
    ),
    "set": (
        {1, 2, 3},
        (
            *("x.add(5)", "x.discard(1)", "x.remove(1)", "x.pop()", "x.clear()", "x.update({5})", "x |= {5}"),
            *("x &= {1}", "x -= {1}", "x ^= {1, 5}", "x.difference_update({1})", "x.intersection_update({1})"),
            "x.symmetric_difference_update({1, 5})",
        ),
    ),
}


def seen(library: Subject, kind: str) -> Seen | None:
    """Return a container with what it notices, or None."""
    try:
        return library.see(kind)
    except KeyError:
        return None


def fill(thing: Any, data: Any) -> None:
    """Give a container its items."""
    if isinstance(data, dict):
        for key, value in data.items():
            thing[key] = value
    else:
        for value in data:
            (thing.add if isinstance(data, set) else thing.append)(value)


def every_mutation(kind: str) -> Callable[[Subject], Verdict]:
    """Return a check that each mutator of a builtin is noticed."""

    def check(library: Subject) -> Verdict:
        data, statements = MUTATIONS[kind]
        missed = []
        for statement in statements:
            made = seen(library, kind)
            if made is None:
                return False, NO_API
            thing, take = made
            fill(thing, data)
            take()
            namespace = {"x": thing}
            try:
                exec(statement, namespace)
            except Exception:
                missed.append(f"`{statement}` fails")
            else:
                if not take():
                    missed.append(f"`{statement}` is missed")
            library.close()
        if len(missed) > 3:
            example = missed[0].removesuffix(" is missed").removesuffix(" fails")
            return False, f"{len(missed)} of {len(statements)} are missed or fail, such as {example}"
        return not missed, ", ".join(missed)

    return check


def some(kind: str) -> Callable[[Subject], Verdict]:
    """Return a check that a plain store, append or add is noticed."""

    def check(library: Subject) -> Verdict:
        made = seen(library, kind)
        if made is None:
            return False, NO_API
        thing, take = made
        take()
        if kind == "object":
            library.set_attribute(thing, 1)
        elif kind == "dict":
            thing["a"] = 1
        else:
            fill(thing, {1} if kind == "set" else [1])
        return bool(take()), "it is not noticed"

    return check


def bypass(library: Subject) -> Verdict:
    """Store by the method of the builtin."""
    made = seen(library, "dict")
    if made is None or not isinstance(made[0], dict):
        return False, NO_API if made is None else "it is not a dict"
    thing, take = made
    take()
    dict.__setitem__(thing, "a", 1)
    return bool(take()), "it is not noticed"


def before_after(library: Subject) -> tuple[Any, Any]:
    """Return before and after of a store of 1 where 0 was."""
    special = getattr(library, "before_after", None)
    if special is not None:
        return tuple(special())  # type: ignore[return-value]
    made = seen(library, "dict")
    if made is None:
        return None, None
    thing, take = made
    thing["a"] = 0
    take()
    thing["a"] = 1
    changes = take()
    return library.values(changes[-1]) if isinstance(changes, list) and changes else (None, None)


def old(library: Subject) -> Verdict:
    """Look at the old value."""
    return before_after(library)[0] == 0, NO_API


def new(library: Subject) -> Verdict:
    """Look at the new value."""
    return before_after(library)[1] == 1, NO_API


def store_nested(library: Subject) -> Any:
    """Return what the root notices of a store five levels deep."""
    made = seen(library, "nested")
    if made is None:
        return None
    thing, take = made
    take()
    special = getattr(library, "store_nested", None)
    if special is not None:
        special(thing)
    else:
        thing["a"]["b"]["c"]["d"]["e"] = 1
    return take()


def nested(library: Subject) -> Verdict:
    """Store five levels deep."""
    changes = store_nested(library)
    return bool(changes), NO_API if changes is None else "it is not noticed"


def path(library: Subject) -> Verdict:
    """Look at the path of that store."""
    changes = store_nested(library)
    found = library.path(changes[-1]) if isinstance(changes, list) and changes else None
    return found is not None and tuple(found) == PATH, NO_API if found is None else f"it says {found}"


def stays(library: Subject) -> Verdict:
    """Track plain data that exists, and leave it what it is."""
    plain = {"a": 0}
    made = library.adopt(plain)
    if made is None:
        return False, NO_API
    thing, take = made
    take()
    plain["a"] = 1
    noticed = take()
    return bool(thing is plain and type(plain) is dict and noticed), "it is another object"


def made_of(library: Subject, kind: str) -> Any:
    """Return a container with data, or None."""
    if kind == "object":
        return library.make_object()
    data: Any = {"dict": {"a": 0}, "list": [0], "set": {0}}[kind]
    made = getattr(library, f"make_{kind}")(data)
    if made is None and (found := seen(library, kind)) is not None:
        made = found[0]
        fill(made, data)
    return made


def is_a(kind: type) -> Callable[[Subject], Verdict]:
    """Return a check that the container is an instance of the builtin."""

    def check(library: Subject) -> Verdict:
        made = made_of(library, kind.__name__)
        return isinstance(made, kind), NO_API if made is None else f"its class is {type(made).__name__}"

    return check


def survives(how: Callable[[Any], Any], kinds: tuple[str, ...]) -> Callable[[Subject], Verdict]:
    """Return a check that a call leaves the data equal."""

    def check(library: Subject) -> Verdict:
        for kind in kinds:
            made = made_of(library, kind)
            if made is None:
                continue
            try:
                again = how(made)
            except Exception as error:
                return False, f"{type(error).__name__} for {'an' if kind == 'object' else 'a'} {kind}"
            same = again.a == made.a if kind == "object" else {*again} == {*made} if kind == "set" else again == made
            if not same:
                return False, f"a {kind} is not equal"
        return True, ""

    return check


def dumps(library: Subject) -> Verdict:
    """Encode a dict as JSON, with nothing else."""
    made = made_of(library, "dict")
    if made is None:
        return False, NO_API
    try:
        return json.loads(json.dumps(made)) == {"a": 0}, "the text is another one"
    except TypeError:
        return False, "TypeError"


def files(library: Subject) -> list[str]:
    """Return the names of the files of the distribution."""
    return [str(file) for file in importlib.metadata.files(library.distribution) or ()] if library.distribution else []


def compiled(library: Subject) -> Verdict:
    """Find a compiled module in the distribution."""
    found = files(library)
    if library.distribution == "zodb":  # its objects are those of persistent
        found += [str(file) for file in importlib.metadata.files("persistent") or ()]
    return any(name.endswith((".so", ".pyd")) for name in found), "it is pure Python"


def typed(library: Subject) -> Verdict:
    """Find type hints in the distribution."""
    return any(name.endswith("py.typed") for name in files(library)), "no py.typed"


def alone(library: Subject) -> Verdict:
    """Install with no other package."""
    if not library.distribution:
        return False, NO_API
    needs = [each for each in importlib.metadata.requires(library.distribution) or () if "extra ==" not in each]
    names = [re.split(r"[^\w.-]", each)[0] for each in needs]
    return not needs, f"needs {', '.join(names)}"


def released(library: Subject) -> Verdict:
    """Install from PyPI, without a compiler."""
    if not library.distribution:
        return False, NO_API
    found = importlib.metadata.distribution(library.distribution)
    if found.read_text("direct_url.json") is not None:
        return False, "it is not published, and was built here"
    return found.read_text("WHEEL") is not None, "it was built here"


# (group, key, what a reader sees, the check or None for the method can_KEY)
FEATURES: list[tuple[str, str, str, Callable[[Subject], Verdict] | None]] = [
    ("What is noticed", "dict", "a store in a dict", some("dict")),
    ("", "list", "an append to a list", some("list")),
    ("", "set", "an element added to a set", some("set")),
    ("", "setattr", "a new value of an attribute", some("object")),
    ("", "every_dict", "every way to change a dict", every_mutation("dict")),
    ("", "every_list", "every way to change a list", every_mutation("list")),
    ("", "every_set", "every way to change a set", every_mutation("set")),
    ("", "bypass", "`dict.__setitem__(d, k, v)`", bypass),
    ("", "nested", "a store five levels deep, by its root", nested),
    ("What is known of a change", "new", "new value", new),
    ("", "old", "old value", old),
    ("", "path", "path of a nested change", path),
    ("", "actor", "who made it", None),
    ("", "async_actor", "who made it, in tasks of asyncio", None),
    ("", "time", "when", None),
    ("", "stack", "which line of code", None),
    ("History", "history", "changes can be listed later", None),
    ("", "bounded", "old changes are dropped by themselves", None),
    ("", "blame", "last change of a path or an object", None),
    ("", "past", "the state at an earlier change", None),
    ("", "undo", "undo", None),
    ("", "redo", "redo", None),
    ("", "revert_one", "undo the changes of one author", None),
    ("Control", "rollback", "a block that raises changes nothing", None),
    ("", "lock", "refuse changes for a while", None),
    ("", "types", "refuse a value of the wrong type", None),
    ("", "conflict", "refuse the second of two writers", None),
    ("Observers", "observer", "call a function", None),
    ("", "filter", "for one path or attribute only", None),
    ("", "stream", "`async for` over changes", None),
    ("", "batch", "several changes as one event", None),
    ("", "computed", "values computed from others are kept right", None),
    ("Elsewhere", "jsonl", "lines of JSON in a file", None),
    ("", "replay", "rebuild the data from what was written", None),
    ("", "apply", "apply a change to a copy", None),
    ("", "patch", "the changes as a JSON Patch", None),
    ("", "merge", "merge copies that changed apart", None),
    ("", "database", "the data itself in a database", None),
    ("", "redact", "keep secrets out", None),
    ("The data", "is_dict", "`isinstance(d, dict)`", is_a(dict)),
    ("", "is_list", "`isinstance(l, list)`", is_a(list)),
    ("", "is_set", "`isinstance(s, set)`", is_a(set)),
    ("", "json", "`json.dumps(d)`", dumps),
    ("", "pickle", "pickle", survives(lambda x: pickle.loads(pickle.dumps(x)), ("dict", "list", "set", "object"))),
    ("", "deepcopy", "`copy.deepcopy`", survives(copy.deepcopy, ("dict", "list", "set", "object"))),
    ("", "stays", "data that exists stays the same object", stays),
    ("The package", "compiled", "compiled core", compiled),
    ("", "released", "this version comes from PyPI as a wheel", released),
    ("", "alone", "needs no other package", alone),
    ("", "typed", "type hints", typed),
]


def attempt(library: Subject, key: str, check: Callable[[Subject], Verdict] | None) -> Verdict:
    """Return the verdict of one row; what fails is False."""
    method = getattr(library, f"can_{key}", None)
    if check is None and method is None:
        return False, NO_API
    try:
        if check is not None:
            verdict = check(library)
            if verdict[0] or method is None:
                return verdict[0], "" if verdict[0] else verdict[1]
        found = method() if method is not None else False
    except Exception as error:
        return False, f"{type(error).__name__}: {error}".splitlines()[0][:60]
    finally:
        library.close()
    return found is True, found if isinstance(found, str) else "" if found else "it does not"


def tried(library: Subject) -> dict[str, Verdict]:
    """Return the verdict of every row."""
    return {key: attempt(library, key, check) for _, key, _, check in FEATURES}


SAYS = {"new": "new value", "old": "old value", "path": "path", "actor": "actor", "time": "time", "stack": "stack"}


def records(library: Subject, verdicts: dict[str, Verdict]) -> str:
    """Return what the library records of a store, as the rows found it."""
    made = seen(library, "dict" if verdicts["dict"][0] else "object")
    if made is None:
        return "nothing"
    thing, take = made
    take()
    if verdicts["dict"][0]:
        thing["a"] = 1
    else:
        library.set_attribute(thing, 1)
    is_flag = not isinstance(take(), list)
    library.close()
    said = ", ".join(
        f"{text} (option)" if key in library.on_demand else text for key, text in SAYS.items() if verdicts[key][0]
    )
    kind = "record" if verdicts["history"][0] else "event" if verdicts["observer"][0] else ""
    if is_flag and kind:
        where = {"record": "a record for each transaction", "event": "events"}[kind]
        return f"dirty flag; {where}" + (f": {said}" if said else "")
    if is_flag:
        return f"dirty flag; {said}" if said else "dirty flag"
    return f"{kind}: {said}" if kind else "nothing"


def main() -> None:
    """Try all rows with one library, and print them."""
    library = subject(sys.argv[1])
    verdicts = tried(library)
    print(json.dumps({"features": verdicts, "records": records(library, verdicts)}))


if __name__ == "__main__":
    main()
