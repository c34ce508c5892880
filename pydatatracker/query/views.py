"""Views over logs for an engine that exists: DuckDB, Spark or Trino.

`view_statements` returns the SQL that makes two views. ``changes`` has one row per change. ``writes`` has one row for
each path that a change stored something at or removed, so a bulk change has several; it is what questions are asked of.

>>> statements = view_statements("duckdb", "logs/*.jsonl")
>>> statements[0].splitlines()[0]
'CREATE OR REPLACE VIEW changes AS'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pydatatracker.query import COLUMNS, LONGEST
from pydatatracker.query.dialects import DIALECTS, Dialect
from pydatatracker.query.partitions import PARTITIONS, partition_names

__all__ = ["VIEW_COLUMNS", "form_of", "view_statements"]

_LEFT_OUT: Final = ("extra",)  # of 0.1.0, and as text for people: nothing needs it here
VIEW_COLUMNS: Final = tuple(name for name in COLUMNS if name not in _LEFT_OUT)
_FILLED: Final = ("actor", "pointer", "method", "type", "root", "uuid")


def view_statements(
    dialect: str, source: str, *, form: str | None = None, partitions: Iterable[str] = (), catalog: str = "hive.default"
) -> list[str]:
    """Return the statements that make the views ``changes`` and ``writes``.

    O(1): nothing is read.

    :param dialect: ``duckdb``, ``spark`` or ``trino``.
    :param source: a file, a folder, a glob or ``s3://`` address, as the engine understands it. Trino takes a folder.
    :param form: ``jsonl`` or ``parquet``; by default what the name says.
    :param partitions: the folders of the layout, of ``day`` and ``host``, as in ``day=2026-11-28/host=a/``.
    :param catalog: of Trino: the Hive catalog and schema for the table ``changes_files``.
    :raises ValueError: an argument is none of these, or the form is not known.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}; write one of {', '.join(DIALECTS)}")
    folders = tuple(partitions)
    if folders:
        folders = partition_names(folders)
    form = form or form_of(source)
    if form is None:
        raise ValueError(
            f"{source}: the name does not say whether these are lines or Parquet; give form='jsonl' or form='parquet'"
        )
    if form not in ("jsonl", "parquet"):
        raise ValueError(f"unknown form {form!r}; write jsonl or parquet")
    if dialect == "trino" and not re.fullmatch(r"\w+\.\w+", catalog):
        raise ValueError(f"the catalog is {catalog!r}; write CATALOG.SCHEMA, such as hive.default")
    sql = DIALECTS[dialect]
    before, table = _TABLES[dialect](sql, source, form, folders, catalog)
    return [*before, _changes(sql, table, form, folders), _writes(sql)]


def form_of(source: str) -> str | None:
    """Return ``jsonl`` or ``parquet`` if a name says so, else None.

    O(length).

    >>> form_of("logs/*.jsonl.gz"), form_of("s3://bucket/lake/")
    ('jsonl', None)
    """
    if re.search(r"\.parquet$", source):
        return "parquet"
    if re.search(r"\.jsonl?(\.gz|\.zst)?$", source):
        return "jsonl"
    return None


# ---- the files as a table


def _duckdb(sql: Dialect, source: str, form: str, folders: tuple[str, ...], catalog: str) -> tuple[list[str], str]:
    name = source
    if not re.search(r"\.(parquet|jsonl?(\.gz|\.zst)?)$|[*?\[]", source):
        name = source.rstrip("/") + ("/**/*.parquet" if form == "parquet" else "/**/*.jsonl*")
    hive = "hive_partitioning = true, hive_types_autocast = false" if folders else "hive_partitioning = false"
    if form == "parquet":
        return [], f"read_parquet({sql.text(name)}, union_by_name = true, {hive})"
    fields = ", ".join(f"{sql.text(field)}: {sql.text(kind)}" for field, kind in COLUMNS.items())
    if folders:
        fields += "".join(f", {sql.text(folder)}: 'VARCHAR'" for folder in folders)
    return [], (
        f"read_json({sql.text(name)}, format = 'newline_delimited', columns = {{{fields}}},"
        f" ignore_errors = true, maximum_object_size = {LONGEST >> 4}, {hive})"
    )


def _spark(sql: Dialect, source: str, form: str, folders: tuple[str, ...], catalog: str) -> tuple[list[str], str]:
    kind = "parquet" if form == "parquet" else "text"
    source = re.sub(r"^s3://", "s3a://", source)
    made = f"CREATE OR REPLACE TEMPORARY VIEW changes_files USING {kind} OPTIONS (path {sql.text(source)})"
    # a host such as 007 stays text
    return ["SET spark.sql.sources.partitionColumnTypeInference.enabled=false", made], "changes_files"


def _trino(sql: Dialect, source: str, form: str, folders: tuple[str, ...], catalog: str) -> tuple[list[str], str]:
    if re.search(r"[*?\[]|\.(parquet|jsonl?(\.gz|\.zst)?)$", source):
        raise ValueError(f"Trino reads folders: {source} is a file or a pattern")
    schema, _, name = catalog.partition(".")
    table = f"{catalog}.changes_files"
    if form == "parquet":
        rows = [f"  {sql.column(each)} {_trino_type(kind)}" for each, kind in COLUMNS.items()]
    else:
        rows = ["  line VARCHAR"]
    rows += [f"  {folder} VARCHAR" for folder in folders]
    options = [f"external_location = {sql.text(source.rstrip('/') + '/')}"]
    options.append(
        "format = 'PARQUET'" if form == "parquet" else "format = 'TEXTFILE', textfile_field_separator = U&'\\0001'"
    )
    if folders:
        options.append(f"partitioned_by = ARRAY[{', '.join(map(sql.text, folders))}]")
    made = f"CREATE TABLE IF NOT EXISTS {table} (\n" + ",\n".join(rows) + f"\n) WITH ({', '.join(options)})"
    if not folders:
        return [made], table
    find = f"CALL {schema}.system.sync_partition_metadata({sql.text(name)}, 'changes_files', 'FULL')"
    return [made, find], table


def _trino_type(kind: str) -> str:
    return "BIGINT" if kind == "BIGINT" else "VARCHAR"


_TABLES: Final = {"duckdb": _duckdb, "spark": _spark, "trino": _trino}


# ---- changes


def _changes(sql: Dialect, table: str, form: str, folders: tuple[str, ...]) -> str:
    parse = form == "jsonl" and sql.name != "duckdb"
    raw = "value" if sql.name == "spark" else "line"
    rows = []
    for name, kind in COLUMNS.items():
        if name in _LEFT_OUT:
            continue
        found = _field(sql, raw, name, kind) if parse else _cast(sql, name, kind)
        if name in _FILLED:
            found = f"coalesce({found}, '')"
        rows.append(f"  {found} AS {sql.column(name)}")
    fields = ",\n".join(rows)
    extra = [
        f"  {folder if folder in folders else 'CAST(NULL AS ' + _varchar(sql) + ')'} AS {folder}"
        for folder in PARTITIONS
    ]
    extra.append(f"  {raw if parse else 'CAST(NULL AS ' + _varchar(sql) + ')'} AS line")
    inner = f"SELECT\n{fields},\n" + ",\n".join(extra) + f"\n  FROM {table}"
    values = ", ".join(f"{_value(sql, name)} AS {name}" for name in ("before", "after"))
    others = ", ".join(
        sql.column(each) for each in (*VIEW_COLUMNS, *PARTITIONS, "line") if each not in ("before", "after")
    )
    return (
        f"{sql.view} changes AS\nSELECT {sql.time('time_ns')} AS {sql.column('time')}, {others}, {values}\n"
        f"FROM ({inner}\n) AS files\nWHERE action IS NOT NULL AND action <> 'gap' AND seq IS NOT NULL"
    )


def _varchar(sql: Dialect) -> str:
    return "STRING" if sql.name == "spark" else "VARCHAR"


def _cast(sql: Dialect, name: str, kind: str) -> str:
    column = sql.column(name)
    return f"CAST({column} AS VARCHAR)" if kind == "JSON" and sql.name == "duckdb" else column


def _field(sql: Dialect, raw: str, name: str, kind: str) -> str:
    if kind == "JSON":
        return sql.member(raw, name)
    if sql.name == "trino":
        text = f"json_extract_scalar({raw}, '$[\"{name}\"]')"
        return f"TRY_CAST({text} AS BIGINT)" if kind == "BIGINT" else text
    return f"try_variant_get(try_parse_json({raw}), '$[\"{name}\"]', '{'bigint' if kind == 'BIGINT' else 'string'}')"


def _value(sql: Dialect, name: str) -> str:
    """Return a value: None as JSON null, NULL only if there is none.

    Files of Parquet, and readers of JSON, do not tell one from the other; the action does.
    """
    has = "'update', 'add'" if name == "after" else "'update', 'remove'"
    other = "splice IS NULL AND changes IS NULL AND " + sql.column("order") + " IS NULL"
    return f"CASE WHEN {name} IS NULL AND action IN ({has}) AND {other} THEN 'null' ELSE {name} END"


# ---- writes


def _writes(sql: Dialect) -> str:
    order = sql.column("order")
    fields = ", ".join(f"c.{sql.column(each)}" for each in _KEPT)
    none = sql.array(sql.text(_NONE))
    inserted = _indices(sql, _number(sql, sql.item("splice", 0)), sql.length(sql.item("splice", 2)))

    def held(written: str) -> str:  # a row also where nothing is written: an empty state ends what was known before
        return _concat(sql, none, written)

    keys = f"""CASE
    WHEN action = 'init' AND method = 'again' THEN {none}
    WHEN action = 'init' AND {_begins(sql, "after", "[")} THEN {held(_indices(sql, "0", sql.length("after")))}
    WHEN action = 'init' AND {_tagged(sql, "after", "$set", "$frozenset")} THEN {held(_elements(sql))}
    WHEN action = 'init' AND {_tagged(sql, "after", "$dict")} THEN {held(_row_keys(sql, sql.member("after", "$dict")))}
    WHEN action = 'init' AND {_begins(sql, "after", "{")} THEN {held(_texts(sql))}
    WHEN splice IS NOT NULL THEN {_concat(sql, none, inserted)}
    WHEN changes IS NOT NULL THEN {_row_keys(sql, "changes")}
    WHEN {order} IS NOT NULL THEN {none}
    WHEN action IN ('add', 'update', 'remove') THEN {sql.array("''")}
    ELSE {none} END"""
    own = sql.array(_place(sql, "root", "pointer"))
    paths = sql.mapped(sql.slice_from_second(sql.items("paths")), "p", _place(sql, "root", _pointer(sql, "p")))
    also = sql.mapped(
        sql.items("also"), "p",
        _place(sql, sql.scalar(sql.item("p", 0)), _pointer(sql, sql.item("p", 1))),
    )  # fmt: skip
    simple = f"splice IS NULL AND changes IS NULL AND {order} IS NULL AND action <> 'init'"
    of_place = _half(sql, "place", 2)
    holder = f"CASE WHEN {simple} THEN regexp_replace({of_place}, '/[^/]*$', '') ELSE {of_place} END"
    places = _concat(sql, own, f"coalesce({paths}, {sql.array()})", f"coalesce({also}, {sql.array()})")
    return f"""{sql.view} writes AS
SELECT {fields}, {_half(sql, "place", 1)} AS of_root, {holder} AS holder,
  CASE WHEN k <> '{_NONE}' THEN {_half(sql, "place", 2)} || k END AS written, k IS NULL AS opaque, moves_from, refers
FROM (
  SELECT c.*, {keys} AS written_keys, {places} AS places,
    {_moves(sql)} AS moves_from, {_refers(sql)} AS refers
  FROM changes c
) c {sql.unnested("places", "p", "place")} {sql.unnested("written_keys", "w", "k")}"""


_KEPT: Final = (
    *("time", "time_ns", "day", "host", "pid", "seq", "uuid", "actor", "action", "method", "type", "pointer"),
    *("before", "after", "splice", "changes", "order", "root", "tracked_item_uuid", "transaction", "also_cut"),
)


def _begins(sql: Dialect, json: str, sign: str) -> str:
    return f"substr({json}, 1, 1) = {sql.text(sign)}"


def _tagged(sql: Dialect, json: str, *tags: str) -> str:
    return "(" + " OR ".join(f"{json} LIKE {sql.text('{' + chr(34) + tag + chr(34) + ':%')}" for tag in tags) + ")"


def _number(sql: Dialect, json: str) -> str:
    return f"CAST({json} AS {sql.integer})"


def _string(sql: Dialect) -> str:
    return "STRING" if sql.name == "spark" else "VARCHAR"


def _indices(sql: Dialect, start: str, count: str) -> str:
    return sql.mapped(sql.sequence(start, count), "n", f"'/' || CAST(n AS {_string(sql)})")


def _escaped(text: str) -> str:
    return f"'/' || replace(replace({text}, '~', '~0'), '/', '~1')"


def _segment(sql: Dialect, json: str) -> str:
    """Return a key as a segment of a pointer, NULL if SQL cannot tell."""
    quote, brace = sql.text('"'), sql.text("{")
    return (
        f"CASE substr({json}, 1, 1) WHEN {quote} THEN {_escaped(sql.scalar(json))} WHEN {brace} THEN NULL"
        f" WHEN '[' THEN NULL WHEN 't' THEN '/True' WHEN 'f' THEN '/False' WHEN 'n' THEN '/None' ELSE '/' || {json} END"
    )


def _texts(sql: Dialect) -> str:
    return sql.mapped(sql.keys("after"), "t", _escaped("t"))


def _elements(sql: Dialect) -> str:
    array = f"coalesce({sql.member('after', '$set')}, {sql.member('after', '$frozenset')})"
    return sql.mapped(sql.items(array), "j", _segment(sql, "j"))


def _row_keys(sql: Dialect, rows: str) -> str:
    return sql.mapped(sql.items(rows), "r", _segment(sql, sql.item("r", 0)))


def _pointer(sql: Dialect, path: str) -> str:
    return sql.joined(sql.mapped(sql.items(path), "j", _segment(sql, "j")))


_MARK: Final = "|"  # no id of a root has it


def _place(sql: Dialect, root: str, pointer: str) -> str:
    return f"{root} || '{_MARK}' || {pointer}"


def _half(sql: Dialect, place: str, n: int) -> str:
    where = f"instr({place}, '{_MARK}')" if sql.name != "trino" else f"strpos({place}, '{_MARK}')"
    return f"substr({place}, 1, {where} - 1)" if n == 1 else f"substr({place}, {where} + 1)"


def _concat(sql: Dialect, *arrays: str) -> str:
    if sql.name == "duckdb":
        return f"list_concat({', '.join(arrays)})"
    return f"concat({', '.join(arrays)})"


_LAST_INDEX: Final = r"[\[,] *(\d+) *\]$"
_NONE: Final = "?"  # instead of a segment: the change wrote no path


def _moves(sql: Dialect) -> str:
    """Return the index from which a change moved items, NULL if none.

    A dict with integers for keys may be taken for a list: then an answer is called inexact that is not.
    """
    order = sql.column("order")
    start, removed, inserted = (sql.item("splice", n) for n in range(3))
    last = f"regexp_extract(path, {sql.text(_LAST_INDEX)}, 1)"
    index = f"TRY_CAST({last} AS {sql.integer})"
    return f"""CASE
      WHEN {order} IS NOT NULL THEN 0
      WHEN splice IS NOT NULL THEN CASE WHEN {sql.length(removed)} <> {sql.length(inserted)}
        THEN {_number(sql, start)} + {sql.length(inserted)} END
      WHEN changes IS NOT NULL THEN CASE WHEN changes LIKE {sql.text('%"$missing"%')} THEN 0 END
      WHEN action = 'add' THEN {index} + 1
      WHEN action = 'remove' THEN {index} END"""


def _refers(sql: Dialect) -> str:
    at = sql.text('%"$at"%')
    return " OR ".join(f"coalesce({name}, '') LIKE {at}" for name in ("after", "splice", "changes"))
