"""The public addresses of the project come from one table.

README, wheel and site follow pyproject.toml.
"""

import importlib.util
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent.parent
SPEC = importlib.util.spec_from_file_location("addresses", ROOT / "scripts" / "addresses.py")
assert SPEC is not None
assert SPEC.loader is not None
addresses = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(addresses)

LINK = re.compile(r"!?\[[^]]*\]\(([^)]+)\)")


def test_every_link_of_the_readme_is_absolute_once_there_is_an_address() -> None:
    """With an address every link of the README is absolute.

    On PyPI links lead to pages of the repository, and pictures to the raw files.
    """
    text = addresses.readme((ROOT / "README.md").read_text("utf-8"), "https://code.example/us/pydatatracker")
    links = LINK.findall(text)
    assert [] == [link for link in links if not link.startswith("https://")]
    assert "https://code.example/us/pydatatracker/raw/main/docs/pictures/session.svg" in links
    assert "https://code.example/us/pydatatracker/blob/main/docs/tutorial.md" in links


def test_without_an_address_the_readme_has_no_dead_links() -> None:
    """Without an address the README on PyPI has no dead links.

    A link becomes its text, and a picture its alternative text.
    """
    text = addresses.readme((ROOT / "README.md").read_text("utf-8"), None)
    assert [] == [link for link in LINK.findall(text) if not link.startswith("https://")]
    assert "| Tutorial | step by step |" in text
    assert "*A terminal: pydatatracker show lists" in text


def test_the_readme_begins_with_the_installation() -> None:
    """The first lines of the README show `pip install`."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert "pip install pydatatracker" in "\n".join(text.splitlines()[:12])


def test_empty_addresses_are_left_out(tmp_path: pathlib.Path) -> None:
    """An empty address is left out, and a trailing slash is removed."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[tool.pydatatracker]\nrepository = "https://code.example/x/"\ndocumentation = ""\n', "utf-8")
    assert {"repository": "https://code.example/x"} == addresses.addresses(pyproject)


def test_no_other_file_holds_an_address_of_the_project() -> None:
    """Settings of the site contain no address of repository or site."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert [] == re.findall(r"^(?:site_url|repo_url):", text, re.MULTILINE)
