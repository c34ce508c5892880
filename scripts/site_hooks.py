"""Hooks of mkdocs: the addresses of the site, and CHANGELOG.md as a page."""

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


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Show CHANGELOG.md as the page changelog.md.

    Its links are relative to the root of the repository.
    """
    if page.file.src_uri != "changelog.md":
        return markdown
    return (ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")


def on_page_content(html: str, **_: Any) -> str:
    """Let a picture open by itself: on a phone it is small on its page."""
    return re.sub(r'(<img [^>]*src="([^"]+)"[^>]*>)', r'<a href="\2">\1</a>', html)
