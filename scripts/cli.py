"""The command line from the source tree: ``python scripts/cli.py show changes.jsonl``. Same as ``pydatatracker``."""

import sys

from pydatatracker.cli import main

if __name__ == "__main__":
    sys.exit(main())
