"""The addresses of the project on the web, from pyproject.toml.

The build, the README and the site read them here.

There is no public address yet. When there is, ``[tool.pydatatracker]`` gets it, and nothing else has to change:
``[project.urls]`` of the wheel, the links of the README on PyPI, and the address of the site come from here.

    [tool.pydatatracker]
    repository = "https://.../pydatatracker"
    documentation = "https://.../"

scikit-build-core calls `dynamic_metadata` while it builds (``[[tool.dynamic-metadata]]``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "addresses", "dynamic_metadata", "readme"]

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^]]*)\]\((?!https?://|#)(?P<target>[^)\s]+)\)")


def addresses(pyproject: Path = ROOT / "pyproject.toml") -> dict[str, str]:
    """Return the known addresses: ``repository`` and ``documentation``."""
    table = tomllib.loads(pyproject.read_text("utf-8"))["tool"].get("pydatatracker", {})
    return {name: address.rstrip("/") for name, address in table.items() if address}


def readme(text: str, repository: str | None) -> str:
    """Return the README for PyPI, with relative links made absolute.

    Without an address they become plain text.
    """

    def replace(link: re.Match[str]) -> str:
        if repository is not None:
            kind = "raw" if link["picture"] else "blob"
            return f"{link['picture']}[{link['text']}]({repository}/{kind}/main/{link['target']})"
        return f"*{link['text']}*" if link["picture"] else link["text"]

    return _LINK.sub(replace, text)


def dynamic_metadata(settings: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``project.readme`` and ``project.urls``, for scikit-build-core."""
    known = addresses()
    text = readme((ROOT / "README.md").read_text("utf-8"), known.get("repository"))
    return {
        "readme": {"content-type": "text/markdown", "text": text},
        "urls": {name.capitalize(): address for name, address in known.items()},
    }
