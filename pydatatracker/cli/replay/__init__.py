"""Logs read and replayed for the commands.

- ``logs`` opens files and gives their lines, ``kept`` remembers where the lines of a root stand.
- ``rebuilt`` replays them to the data at a point; ``states`` compares, patches and undoes that data;
  ``verify`` checks that a log is complete and in order.
"""
