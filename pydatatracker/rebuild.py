"""Functions that pickles name. They stay in this module for good, so that old pickles can be loaded."""

from pydatatracker.containers.copying import finish, start

__all__ = ["finish", "start"]
