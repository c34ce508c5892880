"""Make the pictures of the documentation from programs that really run.

docs/pictures/*.svg: commands on the log of the demonstration's shop, under a pseudo-terminal. docs/pictures/report.png:
the page of that log in Chromium, which is found as by the tests: the installed one (Debian: apt-get install chromium),
or the one that PYDATATRACKER_BROWSER names.
"""

import sys
from pathlib import Path

from terminal_picture import draw

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "pictures"
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from browser import Browser, find  # noqa: E402
from command import run  # noqa: E402
from story import COLUMNS, TIME, play, typed  # noqa: E402

LOG = "changes.jsonl"
SHOW = f"pydatatracker show {LOG}"
BLAME = f"pydatatracker blame -v {LOG} /products/cup/price"
TERMINALS = {
    "session": ("Who wrote that price?", [SHOW, BLAME]),
    "show": ("pydatatracker show", [SHOW]),
    "blame": ("pydatatracker blame", [BLAME]),
    "diff": ("pydatatracker diff", [f"pydatatracker diff {LOG} 1..7"]),
}


def write(path: Path, picture: str) -> None:
    """Write a picture, unless only times in it have changed."""
    if not path.exists() or TIME.sub("", path.read_text("utf-8")) != TIME.sub("", picture):
        path.write_text(picture, "utf-8")
    print(path.relative_to(ROOT))


def terminals() -> None:
    """Type the commands and draw what they show."""
    for name, (title, commands) in TERMINALS.items():
        session = [(command, typed(command, WORK)) for command in commands]
        write(PICTURES / f"{name}.svg", draw(name, title, session, COLUMNS))


def report() -> None:
    """Take the picture of the report, at the change that broke the shop."""
    program = find()
    if program is None:
        sys.exit("Chromium is missing: install it, or set PYDATATRACKER_BROWSER to its path")
    page = WORK / "report.html"
    run("report", LOG, "-o", page.name, cwd=WORK).check_returncode()
    with Browser(program) as browser:
        browser.open(page)
        browser.until("document.querySelector('#position').textContent")
        browser.run("document.getElementById('slider').focus()")
        for _ in range(3):
            browser.press("ArrowLeft")
        browser.run("document.activeElement.blur()")
        browser.picture(PICTURES / "report.png", width=1280, height=690, scale=2)
    print((PICTURES / "report.png").relative_to(ROOT))


def main() -> None:
    """Make the pictures."""
    WORK.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    play(WORK)
    terminals()
    report()


if __name__ == "__main__":
    main()
