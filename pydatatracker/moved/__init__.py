"""Modules of 0.2.0 that were renamed, for pickles that name their classes.

``pydatatracker.__path__`` ends with this folder, and ``pydatatracker.history.__path__`` with the folder ``history`` in
it, so ``import pydatatracker._standins`` finds ``_standins.py`` here. Only old pickles import a module of this folder,
which holds the classes that could be pickled. When a class that can be pickled moves, add its old module here;
``tests/compatibility/test_fixtures.py`` fails until it is there.
"""
