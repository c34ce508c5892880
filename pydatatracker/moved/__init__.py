"""Modules of 0.2.0 that were renamed, for pickles that name a class in one of them.

``pydatatracker.__path__`` ends with this folder, and ``pydatatracker.history.__path__`` with the folder ``history`` in
it, so ``import pydatatracker._standins`` finds ``_standins.py`` here. A module here is imported by an old pickle alone,
and holds only the classes that could be pickled. When a class that can be pickled moves, add its old module here;
``tests/test_compatibility.py`` fails until it is there.
"""
