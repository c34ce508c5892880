"""Hooks of mkdocs: the addresses of the site, and pages from the root."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from addresses import ROOT, addresses


def on_config(config: Any) -> Any:
    """Set the public address of the site and its link to the repository.

    Both are left out while they are unknown.
    """
    known = addresses()
    config.site_url = known.get("documentation", "") + "/" if "documentation" in known else ""
    config.repo_url = known.get("repository")
    return config


SHOWN = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md"}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Show a file of the root as a page.

    Its links are relative to the root of the repository.
    """
    name = SHOWN.get(page.file.src_uri)
    if name is None:
        return markdown
    return (ROOT / name).read_text("utf-8").replace("](docs/", "](")


def on_page_content(html: str, **_: Any) -> str:
    """Let a picture open by itself: on a phone it is small on its page."""
    return re.sub(r'(<img [^>]*src="([^"]+)"[^>]*>)', r'<a href="\2">\1</a>', html)
