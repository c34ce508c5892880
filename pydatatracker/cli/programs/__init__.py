"""Programs that the command line starts: the user's own by ``launch``, the ``demo`` and its ``shop``."""
