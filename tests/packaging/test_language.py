"""The English of the repository: phrases that are not written.

The list is short and grows when a reviewer stumbles. A phrase is a pattern, matched in any case, also across a line break.
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent

READ = (
    *(".ci", ".github", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"),
    *("benchmarks", "docs", "examples", "justfile", "mkdocs.yml", "pydatatracker", "pyproject.toml", "scripts", "src"),
    "tests",
)

SUFFIXES = {"", ".css", ".h", ".json", ".md", ".pxd", ".pxi", ".py", ".pyi", ".pyx", ".sh", ".toml", ".yml"}
SKIPPED = (
    "tests/seeds/",
    "tests/fixtures/0.",  # files that versions wrote
    "tests/packaging/test_language.py",
)

INSTEAD = {
    r"t(?:ake|akes|aken|aking|ook)(?: \w+)? back": "undo, revert or roll back",
    r"(?:is|are|was|were|be|been|being) told": "is notified, is called with, or reports",
    r"told (?:at once|of|that|after|then)": "notified, reported",
    r"guilty": "offending",
    r"(?:wrote|writes?|written|go|goes|went) round": "bypassed tracking",
    r"(?:pass|passes|passed|passing) over": "skip",
    r"an? (?:line|record|row|call|task|thread|object|track|slice) an? \w+": "one line per change",
    r"once a (?:change|line|call)": "once per change",
    r"(?:us|ns|bytes) a (?:change|line|call|record)": "bytes per change",
    r"(?<!there\x20)(?:is|are|was) no (?:time|order|number|change|line|path|name)\b": "is not a time",
    r"then and there": "synchronously",
    r"mend(?:s|ed|ing)?": "fix",
    r"go(?:es)? by (?:the|its|their|a)": "is identified by",
    r"good for": "gives you",
    r"(?:is|are) asked where": "is queried in place",
    r"looked for are": "finds, checks for",
    r"(?:put|puts|putting) in(?:to)? words": "turn into text",
    r"(?<!each\x20)in words": "as text",
    r"lay-out": "layout",
}
PATTERN = re.compile(
    r"\b(?:" + "|".join(f"({phrase})" for phrase in INSTEAD).replace(" ", r"[\s#*]+") + r")\b", re.IGNORECASE
)


def files(names: tuple[str, ...]) -> list[pathlib.Path]:
    """Return the text files of folders and files that exist."""
    found: list[pathlib.Path] = []
    for name in names:
        path = ROOT / name
        found += sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
    return [
        path
        for path in found
        if path.is_file()
        and path.suffix in SUFFIXES
        and "__pycache__" not in path.parts
        and not path.relative_to(ROOT).as_posix().startswith(SKIPPED)
    ]


def faults(text: str) -> list[str]:
    """Return line, phrase and replacement for each fault of a text."""
    instead = list(INSTEAD.values())
    return [
        f"line {text.count(chr(10), 0, found.start()) + 1}: {' '.join(found[0].split())!r}: write {instead[(found.lastindex or 1) - 1]!r}"
        for found in PATTERN.finditer(text)
    ]


@pytest.mark.parametrize("path", files(READ), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_has_none_of_the_phrases(path: pathlib.Path) -> None:
    """A file that is read by people says things the way the field says them."""
    assert [] == faults(path.read_text("utf-8"))


def test_a_phrase_is_found_across_a_line_break() -> None:
    """A phrase is found in any case, and across a line break.

    The fault names its line and its replacement.
    """
    assert ["line 2: 'Taken back': write 'undo, revert or roll back'"] == faults("A change.\nTaken\n    back.")
    assert [] == faults("The backlog is taken; a line of a file; there is no path; commendable.")
