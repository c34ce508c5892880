"""Run the command line: ``python -m pydatatracker``."""

import sys

from pydatatracker.cli import main

if __name__ == "__main__":
    sys.exit(main())
