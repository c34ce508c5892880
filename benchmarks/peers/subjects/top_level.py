"""Watch ``data``: run by reactive.py, which gives the names."""

from watchpoints import watch

if "key" in globals():
    watch(data[key], callback=call)  # noqa: F821
else:
    watch(data, callback=call, track="object", **options)  # noqa: F821
