"""What `tracking_report` returns, for those that stand below `report`."""

from __future__ import annotations

import os
from typing import Protocol

__all__ = ["Report"]


class Report(Protocol):
    """The page of a container: see `pydatatracker.report.container.Report`."""

    @property
    def html(self) -> str:
        """The page, a whole HTML document."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file. Raises OSError."""

    def _repr_html_(self) -> str: ...
