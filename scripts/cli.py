"""Run the command line from the source tree.

``python scripts/cli.py show changes.jsonl`` is the same as ``pydatatracker show changes.jsonl``.
"""

import sys

from pydatatracker.cli import main

if __name__ == "__main__":
    sys.exit(main())
