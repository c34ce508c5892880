"""Run the command line: ``python -m pydatatracker``."""

import os
import sys

# ``-m`` puts the current folder first, where a file of the user may be called platform.py
if not sys.flags.safe_path and sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from pydatatracker.cli import main

if __name__ == "__main__":
    sys.exit(main())
