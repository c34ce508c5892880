"""tomlkit: a version bump also changes the version of a dependency.

A document is a dict subclass; a table that is in it is also in a list of its attributes, and only there it is changed.
"""
# needs: tomlkit
# run: __main__:document
# wrong: /tool/deps/__dict__/_body/0/1/version '1.4' -> '2.0'

from pathlib import Path

import tomlkit

TEXT = """\
# the project
[project]
name = "shop"
version = "1.9"  # bumped by hand

[tool.deps.core]
version = "1.4"  # pinned: 2.0 is broken
extras = ["fast"]
"""


def bump(table, version):
    """Set every version below, one level too deep."""
    for key, value in table.items():
        if key == "version":
            table[key] = version  # culprit
        elif hasattr(value, "items"):
            bump(value, version)


document = tomlkit.parse(TEXT)
# edit: from pydatatracker import watch; watch(document)
document["project"]["name"] = "store"
document["project"].add("license", "MIT")
bump(document, "2.0")
Path("pyproject.toml").write_text(tomlkit.dumps(document), "utf-8")
print(tomlkit.dumps(document))
print(document.unwrap(), document == tomlkit.parse(tomlkit.dumps(document)))
if document["tool"]["deps"]["core"]["version"] != "1.4":
    raise SystemExit("the pin is gone")
