"""Folders of days and hosts for what an exporter stores."""

from __future__ import annotations

import itertools
import socket
from typing import Self

from pydatatracker.exporters.sink import Item

__all__ = ["Folders"]


class Folders:
    """The folder of an item, as in ``day=2026-11-28/host=web-1``.

    :param partition: ``"day"``, ``"host"`` or both, in their order.
    :param host: by default the name of this machine.
    :raises ValueError: a name is none of these, or no folder can have the host.
    """

    def __init__(self, partition: str, host: str | None = None) -> None:
        from pydatatracker.query import partitions

        self._names = partitions.partition_names(partition)
        self._host = partitions.check_host(socket.gethostname() if host is None else host)
        self._folder_of = partitions.folder_of

    @classmethod
    def made(cls, partition: str | None, host: str | None) -> Self | None:
        """Return the folders, or None without a partition.

        Raises ValueError as the class does, and for a host that no folder would have.
        """
        if partition is None:
            if host is not None:
                raise ValueError('host= is a folder: it needs partition="day,host", or "host"')
            return None
        return cls(partition, host)

    def of(self, item: Item) -> str:
        """Return the folder of an item. O(1)."""
        return self._folder_of(self._names, item.time_ns, self._host)

    def parts(self, items: list[Item]) -> list[list[Item]]:
        """Return items in runs that have one folder. O(items)."""
        return [list(run) for _, run in itertools.groupby(items, self.of)]
