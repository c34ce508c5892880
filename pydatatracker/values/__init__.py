"""Values as data: written to a log, read back, addressed and redacted.

- ``encode`` turns a value into JSON data, ``decode`` turns it back; ``standins`` has the objects that stand for what
  cannot be restored.
- ``pointer`` has JSON pointers (RFC 6901) and globs over them, ``redact`` the option `tracking_redact`.
- ``compare`` compares values deeply, ``text`` shows them to people.

The modules are internal: the package has no public names of its own.
"""

__all__: list[str] = []
