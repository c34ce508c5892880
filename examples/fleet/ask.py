"""Ask DuckDB the three questions of a fleet.

    python ask.py lake

The lake is a folder that ``convert --partition day,host`` wrote, or an ``s3://`` address that DuckDB can read.
"""

import datetime
import sys
import time
from typing import Any

import duckdb

from pydatatracker import replay
from pydatatracker.query.questions import actor_query, blame_query, line_of, lines_query
from pydatatracker.query.views import view_statements

Row = dict[str, Any]


class Lake:
    """The logs of a fleet in DuckDB."""

    def __init__(self, location: str) -> None:
        self.engine = duckdb.connect()
        for statement in view_statements("duckdb", location, form="parquet", partitions=("day", "host")):
            self.engine.execute(statement)

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of an answer."""
        answer = self.engine.execute(sql)
        names = [name for name, *_ in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def last_writers(self, pointer: str, root: str | None = None) -> list[Row]:
        """Return who wrote a path last: one row for each root, newest first."""
        return self.rows(blame_query("duckdb", pointer, root=root))

    def changes_of(self, actor: str, since: int, until: int) -> list[Row]:
        """Return all changes of an actor in a span, in nanoseconds since 1970."""
        return self.rows(actor_query("duckdb", actor, since=since, until=until, partitioned=True))

    def state(self, root: str, at: datetime.datetime) -> Any:
        """Return the state of a root at a time."""
        return replay(map(line_of, self.rows(lines_query("duckdb", root))), at=at, root=root)


def main() -> None:
    """Print the answers."""
    lake = Lake(sys.argv[1])
    print("Who wrote the price of tea last?")
    writers = lake.last_writers("/prices/tea")
    for row in writers:
        print(f"  {row['host']:8} {row['time']} {row['actor']}: {row['before']} -> {row['after']}")
    print("What did ann change in the last hour?")
    now = time.time_ns()
    for row in lake.changes_of("ann", now - 3600 * 10**9, now)[:5]:
        print(f"  {row['host']:8} {row['time']} {row['action']} {row['pointer']}")
    print("What was the state when that price was written?")
    if writers:
        first = writers[-1]
        print(f"  {first['host']:8} {lake.state(first['of_root'], first['time'].replace(tzinfo=datetime.UTC))}")


if __name__ == "__main__":
    main()
