"""A log as one page: a timeline, the data at any change, its writers.

``data`` turns lines into the JSON of the page. ``page`` joins it and the parts in ``assets/`` to one HTML file that
loads nothing. ``live`` serves the page and its later changes. ``pydatatracker report`` and ``view`` use them.
"""
