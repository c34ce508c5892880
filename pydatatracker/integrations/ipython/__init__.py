"""IPython and Jupyter: which cell changed the data, and changes as tables.

``%load_ext pydatatracker`` begins it. ``%watch config`` remembers the changes of an object, ``%blame config['port']``
says which run of which cell changed a value, ``%%actor ann`` names whoever makes the changes of a cell. Histories, and
the dict that ``tracking_blame()`` returns, are shown as tables; they stay plain lists and dicts.

- ``extension`` connects the parts with a shell; ``magics`` has the commands.
- ``cells`` knows which cell ran when; ``expressions`` finds the container that an expression leads into; ``results``
  is what ``%blame`` returns.

Loading it needs IPython. `table` does without the extension.
"""

from __future__ import annotations

try:
    import IPython as _IPython  # noqa: F401 - here, so that the error says what to do
except ImportError as error:
    raise ImportError("pydatatracker.integrations.ipython needs IPython: pip install ipython") from error

from pydatatracker.integrations.ipython.extension import load_ipython_extension, unload_ipython_extension
from pydatatracker.integrations.ipython.results import CellBlame, ChangeTable, table

__all__ = ["CellBlame", "ChangeTable", "load_ipython_extension", "table", "unload_ipython_extension"]
