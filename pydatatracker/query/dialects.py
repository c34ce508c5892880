"""What the views need of the SQL of DuckDB, Spark and Trino.

Each `Dialect` turns an idea ("the elements of this JSON array, each as JSON text") into an expression. JSON is text in
all of them: its first character says what it is, and only strings are decoded.
"""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["DIALECTS", "Dialect"]


class Dialect(Protocol):
    """Expressions of one SQL dialect; arguments and results are SQL."""

    name: str
    view: str
    integer: str

    def text(self, value: str) -> str:
        """Return a literal."""

    def column(self, name: str) -> str:
        """Return a quoted identifier."""

    def items(self, array: str) -> str:
        """Return the elements of a JSON array as an array of JSON texts."""

    def item(self, array: str, n: int) -> str:
        """Return one element of a JSON array as JSON text."""

    def keys(self, json: str) -> str:
        """Return the keys of a JSON object as an array of texts."""

    def member(self, json: str, name: str) -> str:
        """Return a member of a JSON object as JSON text."""

    def scalar(self, json: str) -> str:
        """Return the text of a JSON string."""

    def length(self, json: str) -> str:
        """Return the number of elements of a JSON array."""

    def mapped(self, array: str, each: str, body: str) -> str:
        """Return an array with an expression for each element."""

    def sequence(self, start: str, count: str) -> str:
        """Return the array of count integers from start."""

    def slice_from_second(self, array: str) -> str:
        """Return an array without its first element."""

    def array(self, *items: str) -> str:
        """Return an array of texts."""

    def joined(self, array: str) -> str:
        """Return the texts of an array without a separator; NULL if one is NULL."""

    def unnested(self, array: str, alias: str, column: str) -> str:
        """Return what follows a comma-free FROM to get a row for each element."""

    def time(self, ns: str) -> str:
        """Return nanoseconds since 1970 as a time in UTC."""


class DuckDB:
    """DuckDB 1.1 and newer."""

    name = "duckdb"
    view = "CREATE OR REPLACE VIEW"
    integer = "BIGINT"

    def text(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    def column(self, name: str) -> str:
        return f'"{name}"'

    def items(self, array: str) -> str:
        return f"CAST(json_extract({array}, '$[*]') AS VARCHAR[])"

    def item(self, array: str, n: int) -> str:
        return f"CAST(json_extract({array}, '$[{n}]') AS VARCHAR)"

    def keys(self, json: str) -> str:
        return f"json_keys({json})"

    def member(self, json: str, name: str) -> str:
        return f"CAST(json_extract({json}, '$.\"{name}\"') AS VARCHAR)"

    def scalar(self, json: str) -> str:
        return f"json_extract_string({json}, '$')"

    def length(self, json: str) -> str:
        return f"CAST(json_array_length({json}) AS BIGINT)"

    def mapped(self, array: str, each: str, body: str) -> str:
        return f"list_transform({array}, lambda {each}: {body})"

    def sequence(self, start: str, count: str) -> str:
        return f"range({start}, {start} + {count})"

    def slice_from_second(self, array: str) -> str:
        return f"({array})[2:]"

    def array(self, *items: str) -> str:
        return f"[{', '.join(items)}]"

    def joined(self, array: str) -> str:
        each = self.mapped(array, "s", "s IS NULL")
        return f"CASE WHEN NOT list_contains({each}, true) THEN array_to_string({array}, '') END"

    def unnested(self, array: str, alias: str, column: str) -> str:
        return f"CROSS JOIN unnest({array}) AS {alias}({column})"

    def time(self, ns: str) -> str:
        return f"make_timestamp({ns} // 1000)"


class Spark:
    """Spark 4 and newer, which has VARIANT."""

    name = "spark"
    view = "CREATE OR REPLACE TEMPORARY VIEW"
    integer = "BIGINT"

    def text(self, value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def column(self, name: str) -> str:
        return f"`{name}`"

    def items(self, array: str) -> str:
        return f"transform(CAST(parse_json({array}) AS ARRAY<VARIANT>), e -> to_json(e))"

    def item(self, array: str, n: int) -> str:
        return f"to_json(variant_get(parse_json({array}), '$[{n}]', 'variant'))"

    def keys(self, json: str) -> str:
        return f"json_object_keys({json})"

    def member(self, json: str, name: str) -> str:
        return f"to_json(variant_get(parse_json({json}), '$[\"{name}\"]', 'variant'))"

    def scalar(self, json: str) -> str:
        return f"variant_get(parse_json({json}), '$', 'string')"

    def length(self, json: str) -> str:
        return f"CAST(json_array_length({json}) AS BIGINT)"

    def mapped(self, array: str, each: str, body: str) -> str:
        return f"transform({array}, {each} -> {body})"

    def sequence(self, start: str, count: str) -> str:
        return f"CASE WHEN {count} > 0 THEN sequence({start}, {start} + {count} - 1) ELSE array() END"

    def slice_from_second(self, array: str) -> str:
        return f"slice({array}, 2, greatest(size({array}) - 1, 0))"

    def array(self, *items: str) -> str:
        return f"array({', '.join(items)})"

    def joined(self, array: str) -> str:
        return f"CASE WHEN NOT exists({array}, s -> s IS NULL) THEN array_join({array}, '') END"

    def unnested(self, array: str, alias: str, column: str) -> str:
        return f"LATERAL VIEW explode({array}) {alias} AS {column}"

    def time(self, ns: str) -> str:
        return f"timestamp_micros({ns} div 1000)"


class Trino:
    """Trino with a Hive catalog."""

    name = "trino"
    view = "CREATE OR REPLACE VIEW"
    integer = "BIGINT"

    def text(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    def column(self, name: str) -> str:
        return f'"{name}"'

    def items(self, array: str) -> str:
        return f"transform(CAST(json_parse({array}) AS ARRAY(JSON)), e -> json_format(e))"

    def item(self, array: str, n: int) -> str:
        return f"json_format(json_extract({array}, '$[{n}]'))"

    def keys(self, json: str) -> str:
        return f"map_keys(CAST(json_parse({json}) AS MAP(VARCHAR, JSON)))"

    def member(self, json: str, name: str) -> str:
        return f"json_format(json_extract({json}, '$[\"{name}\"]'))"

    def scalar(self, json: str) -> str:
        return f"json_extract_scalar({json}, '$')"

    def length(self, json: str) -> str:
        return f"json_array_length({json})"

    def mapped(self, array: str, each: str, body: str) -> str:
        return f"transform({array}, {each} -> {body})"

    def sequence(self, start: str, count: str) -> str:
        return f"IF({count} > 0, sequence({start}, {start} + {count} - 1), CAST(ARRAY[] AS ARRAY(BIGINT)))"

    def slice_from_second(self, array: str) -> str:
        return f"slice({array}, 2, greatest(cardinality({array}) - 1, 0))"

    def array(self, *items: str) -> str:
        return f"CAST(ARRAY[{', '.join(items)}] AS ARRAY(VARCHAR))"

    def joined(self, array: str) -> str:
        return f"CASE WHEN NOT any_match({array}, s -> s IS NULL) THEN array_join({array}, '') END"

    def unnested(self, array: str, alias: str, column: str) -> str:
        return f"CROSS JOIN UNNEST({array}) AS {alias}({column})"

    def time(self, ns: str) -> str:
        return f"from_unixtime_nanos({ns})"


DIALECTS: Final[dict[str, Dialect]] = {each.name: each for each in (DuckDB(), Spark(), Trino())}
