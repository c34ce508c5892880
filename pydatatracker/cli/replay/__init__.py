"""Logs read and replayed for the commands.

- ``logs`` opens files and yields their lines, ``follow`` those of a file that grows.
- ``roots`` groups the lines by the container that changed, ``line_index`` remembers where each line stands.
- ``rebuilt`` replays the lines of a root, ``compare`` compares two states, ``patch`` makes patches from changes,
  ``undo`` undoes changes, and ``verify`` checks that a log is complete and in order.
"""
