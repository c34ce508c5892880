"""Programs that the command line starts.

``launch`` starts the user's program, ``demo`` the example ``shop``.
"""
