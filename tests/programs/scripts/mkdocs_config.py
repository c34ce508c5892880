"""mkdocs: an event hook changes the title of all later pages.

`MkDocsConfig` is a UserDict whose options are also attributes; its values are in `data`.
"""
# needs: mkdocs
# run: __main__:config
# wrong: /data/site_name 'Handbook' -> 'Draft: Handbook'

import os
from pathlib import Path

os.environ["SOURCE_DATE_EPOCH"] = "1700000000"

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.plugins import event_priority

Path("pages").mkdir()
for name, text in {
    "index": "# Start\n\nHello.",
    "alpha": "# Alpha\n\nstatus: draft",
    "beta": "# Beta\n\nDone.",
}.items():
    Path("pages", f"{name}.md").write_text(text, "utf-8")
Path("mkdocs.yml").write_text(
    "site_name: Handbook\ndocs_dir: pages\ntheme: {name: mkdocs, highlightjs: false}\n", "utf-8"
)


def mark(config) -> None:
    """Put the word into the title, as it was meant for one page."""
    config.site_name = f"Draft: {config['site_name']}"  # culprit


@event_priority(50)
def on_page_markdown(markdown, page, config, files):
    if "status: draft" in markdown:
        mark(config)
    return markdown


config = load_config("mkdocs.yml", strict=True)
# edit: from pydatatracker import watch; watch(config)
config.plugins.events["page_markdown"].append(on_page_markdown)
build(config)
for path in sorted(Path("site").glob("**/index.html")):
    html = path.read_text("utf-8")
    print(path.as_posix(), html[html.index("<title>") : html.index("</title>")])
