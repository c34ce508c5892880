"""configparser: an old file in the user's folder is read last, and wins.

Sections are dicts in the parser; `read` stores into them, far below the call.
"""
# run: __main__:parser
# wrong: /_sections/mail/host 'mail.example.org' -> ['localhost']

from configparser import ConfigParser
from pathlib import Path

Path("site.ini").write_text(
    "[mail]\nhost = mail.example.org\nport = 25\n\n[paths]\nroot = /srv\nlogs = %(root)s/logs\n"
)
Path("old.ini").write_text("[mail]\nhost = localhost\n\n[extra]\non = yes\n")


def load(parser: ConfigParser) -> None:
    parser.read_string("[DEFAULT]\ntimeout = 5\n\n[mail]\nhost = example.org\n")
    parser.read("site.ini")
    parser.read(["missing.ini", "old.ini"])  # culprit


parser = ConfigParser()
# edit: from pydatatracker import watch; watch(parser)
load(parser)
parser["mail"]["port"] = "587"
parser.set("paths", "root", "/var")
print({name: dict(section) for name, section in parser.items()})
with Path("all.ini").open("w") as file:
    parser.write(file)
if parser.get("mail", "host") == "localhost":
    raise SystemExit("no mail for anybody")
