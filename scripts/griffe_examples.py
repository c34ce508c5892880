"""Show the examples of docstrings on the site.

By itself, griffe treats ``>>>`` in running text as a quotation.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*?(?=^\s*$|\Z)", re.DOTALL | re.MULTILINE)  # from a prompt to the next empty line


class Examples(griffe.Extension):
    """Fence every example of a docstring as a Python session."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object before its sections are parsed."""
        if obj.docstring is not None:
            text = re.sub(r"\s*# doctest: .*", "", obj.docstring.value)
            obj.docstring.value = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text)
