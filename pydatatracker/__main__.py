"""``python -m pydatatracker``: the command line."""

import sys

from pydatatracker.cli import main

if __name__ == "__main__":
    sys.exit(main())
