"""A log as one page: a timeline, the data at any change, who wrote what; for `pydatatracker report` and `view`.

``data`` turns lines into what the page needs, ``page`` puts it and the parts in ``assets/`` into one HTML file that
needs nothing else, ``live`` serves the same and what comes later.
"""
