"""Modules of ``pydatatracker.history`` that were renamed."""
