"""Make the pictures of the documentation: the example is run, its log becomes a page, Chromium shows it.

Written is docs/pictures/report.png. Chromium is what the tests use too: the one that is installed
(Debian: apt-get install chromium), or the one that PYDATATRACKER_BROWSER names.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "pictures"
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from browser import Browser, find  # noqa: E402


def report() -> Path:
    """Run the example and return the page of its log."""
    WORK.mkdir(parents=True, exist_ok=True)
    log, page = WORK / "inventory.jsonl", WORK / "report.html"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pydatatracker"]
    subprocess.run([*command, "run", "--stack", "--log", str(log), str(ROOT / "examples" / "inventory.py")], check=True)
    log.write_text(log.read_text("utf-8").replace(f"{ROOT}/", ""), "utf-8")  # no path of this machine in a picture
    subprocess.run([*command, "report", str(log), "-o", str(page)], check=True)
    return page


def main() -> None:
    """Make the pictures."""
    program = find()
    if program is None:
        sys.exit("there is no Chromium; install one, or name it in PYDATATRACKER_BROWSER")
    page = report()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Browser(program) as browser:
        browser.open(page)
        browser.until("document.querySelector('#position').textContent")
        # a change that says much: somebody has put a new key into an object
        browser.run("document.getElementById('slider').focus()")
        for _ in range(30):
            if browser.text("#list .row.current .action").endswith("add"):
                break
            browser.press("ArrowLeft")
        browser.press("ArrowLeft")
        browser.run("document.activeElement.blur()")
        browser.picture(PICTURES / "report.png", width=1400, height=860)
        print(PICTURES.relative_to(ROOT) / "report.png")


if __name__ == "__main__":
    main()
