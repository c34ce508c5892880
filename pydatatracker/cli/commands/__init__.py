"""The commands, by what they are for. A command's module is imported when the command runs.

- ``record``: ``run``, ``demo``.
- ``show``: ``show``, ``stats``, ``verify``: lines as they stand in the log.
- ``history``: ``blame``, ``history``, ``at``, ``diff``, ``patch``, ``undo-script``: what the lines mean for the data.
- ``page``: ``report``, ``view``. ``export``: ``query``, ``convert``. ``meta``: ``schema``, ``completion``.
"""
