"""Values as data: how they are written in a log, read back, addressed by pointers and withheld.

- ``encode`` turns a value into JSON data, ``decode`` turns it back; ``standins`` stand for what cannot come back.
- ``pointer`` has JSON pointers (RFC 6901) and globs over them; ``redact`` has what `tracking_redact` takes.
"""
