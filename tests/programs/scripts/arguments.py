"""argparse: a second parser resets an option that was given.

A namespace is a plain instance; the parser stores with `setattr`, defaults included.
"""
# run: __main__:options
# wrong: /output 'report.txt' -> 'out.txt'

import argparse
from pathlib import Path


def common() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tool", add_help=False)
    parser.add_argument("--output", default="out.txt")
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--define", action="append", default=[])
    return parser


def subcommand(rest: list, options: argparse.Namespace) -> None:
    """Parse the rest with the same options again; the defaults come back."""
    parser = argparse.ArgumentParser(prog="tool build", parents=[common()])
    parser.add_argument("target")
    again = parser.parse_args(rest, argparse.Namespace(define=options.define))
    for name, value in vars(again).items():
        setattr(options, name, value)  # culprit


options = argparse.Namespace(started=True)
# edit: from pydatatracker import watch; watch(options)
_, rest = common().parse_known_args(["--output", "report.txt", "-vv", "--define", "a=1", "all"], options)
subcommand([*rest, "--define", "b=2"], options)
print(options, options == argparse.Namespace(**vars(options)))
Path(options.output).write_text(f"{options.target}\n")
if options.output != "report.txt":
    argparse.ArgumentParser(prog="tool").error(f"wrote {options.output}")
