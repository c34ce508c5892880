"""The commands, one module per purpose, imported when a command runs.

- ``record``: ``run``, ``demo``.
- ``show``: ``show``, ``stats``, ``verify``: the lines of a log.
- ``history``: ``blame``, ``history``: the changes of a path.
- ``states``: ``at``, ``diff``, ``patch``, ``undo-script``: the data at a point, and what leads from one to another.
- ``page``: ``report``, ``view``. ``export``: ``query``, ``convert``. ``meta``: ``schema``, ``completion``.
"""
