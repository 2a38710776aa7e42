"""A table with a pgvector column, over asyncpg.

One read-only transaction with a repeatable view holds the whole copy; rows come through a server-side cursor
in the order of the primary key.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from hanax.cli.db.points import Row, Shape
from hanax.cli.db.sources.files import to_vector
from hanax.cli.db.sources.foreign import PAGE, Foreign
from hanax.core.errors import (
    HanaxError,
    InvalidArgument,
    InvalidMetadata,
    NotFound,
    PermissionDenied,
    Unavailable,
    UpstreamFailed,
)

if TYPE_CHECKING:
    import asyncpg

_VECTORS: Final = ("vector", "halfvec")
_JSON: Final = ("json", "jsonb")
# Of our own, of LangChain and of LlamaIndex.
_SPREAD: Final = ("metadata", "cmetadata", "metadata_")
_CONNECT_S: Final = 30.0

_COLUMNS: Final = """
SELECT a.attname AS name, t.typname AS type, a.atttypmod AS modifier,
       COALESCE(a.attnum = ANY(k.conkey), false) AS is_key, cardinality(k.conkey) AS key_size
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
# What an index of the column is for says which metric it was made with.
_OPERATORS: Final = """
SELECT o.opcname AS name FROM pg_index i
JOIN pg_opclass o ON o.oid = ANY(i.indclass)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
WHERE i.indrelid = $1::regclass AND a.attname = $2
"""
_METRICS: Final = {"cosine": "cosine", "ip": "dot", "l2": "euclidean", "l1": "manhattan"}


class Column(NamedTuple):
    name: str
    type: str
    modifier: int
    is_key: bool


class PgvectorSource:
    """`PointSource` of one table with a primary key of one column.

    The key is the id; a JSON column of _SPREAD is the metadata, in which the other columns are fields by
    their names.
    """

    def __init__(self, url: str, foreign: Foreign) -> None:
        """Raises InvalidArgument where asyncpg is not installed."""
        if find_spec("asyncpg") is None:
            raise InvalidArgument("pgvector needs asyncpg: pip install hana-x-vector[metadata]")
        self._url = url
        self._table = foreign.source_collection or ""
        self._wanted = foreign.source_vector
        self._left_out = frozenset(foreign.leave_out or ())
        self._connection: asyncpg.Connection | None = None
        self._columns: list[Column] = []

    async def shape(self) -> Shape:
        """Raises Unavailable, NotFound, PermissionDenied; InvalidArgument: such a table can't be copied."""
        with _translated(self._table):
            if self._connection is None:
                self._connection = await self._connected()
            self._columns = await self._read_columns(self._connection)
            vector, table = self._vector(), self._quoted()
            self._key()
            # Rows without a vector are no points.
            count = await self._connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE {_quote(vector.name)} IS NOT NULL"
            )
            operators = await self._connection.fetch(_OPERATORS, table, vector.name)
        metrics = {
            metric for one in operators for part, metric in _METRICS.items() if f"_{part}_" in one["name"]
        }
        metric = metrics.pop() if len(metrics) == 1 else None
        return Shape(vector.modifier if vector.modifier > 0 else None, metric, count)

    async def pages(self, skip: int) -> AsyncGenerator[Sequence[Row], None]:
        assert self._connection is not None
        with _translated(self._table):
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                cursor = await self._connection.cursor(self._query(), skip)
                number = skip
                while records := await cursor.fetch(PAGE):
                    yield [self._row(number + place, record) for place, record in enumerate(records, 1)]
                    number += len(records)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> asyncpg.Connection:
        import asyncpg

        try:
            return await asyncpg.connect(self._url, timeout=_CONNECT_S)
        except (ValueError, asyncpg.InterfaceError) as error:
            raise InvalidArgument(f"PostgreSQL: {error}") from None

    async def _read_columns(self, connection: asyncpg.Connection) -> list[Column]:
        told = await connection.fetch(_COLUMNS, self._quoted())
        if any((one["key_size"] or 0) > 1 for one in told):
            raise InvalidArgument(
                f"{self._table} has a primary key of several columns, which is no id of a point"
            )
        return [Column(one["name"], one["type"], one["modifier"], one["is_key"]) for one in told]

    def _vector(self) -> Column:
        found = [one for one in self._columns if one.type in _VECTORS]
        if self._wanted is not None:
            found = [one for one in found if one.name == self._wanted]
        if len(found) != 1:
            names = ", ".join(one.name for one in self._columns if one.type in _VECTORS) or "none"
            raise InvalidArgument(
                f"say which column of {self._table}: --source-vector; it has of type vector: {names}"
            )
        return found[0]

    def _key(self) -> Column:
        for one in self._columns:
            if one.is_key:
                return one
        raise InvalidArgument(f"{self._table} has no primary key, of which ids could be made")

    def _others(self) -> list[Column]:
        vector, key = self._vector(), self._key()
        return [
            one
            for one in self._columns
            if one not in (vector, key) and one.name not in self._left_out and one.type not in _VECTORS
        ]

    def _query(self) -> str:
        """Vectors come as arrays of floats, JSON as its text. Names are quoted, values are parameters."""
        vector, key = _quote(self._vector().name), _quote(self._key().name)
        others = "".join(
            f", {_quote(one.name)}{'::text' if one.type in _JSON else ''}" for one in self._others()
        )
        return (
            f"SELECT {key}, {vector}::real[]{others} FROM {self._quoted()} "
            f"WHERE {vector} IS NOT NULL ORDER BY {key} OFFSET $1"
        )

    def _quoted(self) -> str:
        return ".".join(_quote(part.strip('"')) for part in self._table.split("."))

    def _row(self, number: int, record: Sequence[Any]) -> Row:
        row = Row(number, f"row {record[0]}")
        try:
            identity = _json(record[0], self._key().name)
            row.point["id"] = identity if isinstance(identity, int) and identity >= 0 else str(identity)
            row.vector = to_vector(list(record[1]), self._vector().name)
            if metadata := self._metadata(record[2:]):
                row.point["metadata"] = metadata
        except HanaxError as fault:
            row.fault = fault
        return row

    def _metadata(self, values: Sequence[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for column, value in zip(self._others(), values, strict=True):
            if value is None:
                continue
            plain = orjson.loads(value) if column.type in _JSON else _json(value, column.name)
            spread = column.name in _SPREAD and isinstance(plain, dict)
            _merge(found, plain if spread else {column.name: plain})
        return found


@contextmanager
def _translated(table: str) -> Iterator[None]:
    """What PostgreSQL, or the way to it, says is wrong."""
    import asyncpg

    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise NotFound(f"there is no table {table!r}") from None
    except asyncpg.InvalidCatalogNameError as error:
        raise NotFound(f"PostgreSQL: {error}") from None
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError) as error:
        raise PermissionDenied(f"PostgreSQL: {error}") from None
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise Unavailable(f"PostgreSQL does not answer: {str(error) or type(error).__name__}") from None
    except asyncpg.PostgresError as error:
        raise UpstreamFailed(f"PostgreSQL: {error}") from None


def _merge(found: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if name in found and found[name] != value:
            raise InvalidMetadata(f"{name!r} is a column and a metadata field: --leave-out one of them")
        found[name] = value


def _json(value: Any, name: str) -> Any:
    """The value as JSON has it. Raises InvalidMetadata for what it has no form for."""
    match value:
        case float() | decimal.Decimal() if not math.isfinite(value):
            raise InvalidMetadata(f"column {name}: {value} has no form in JSON; --leave-out {name}")
        case bool() | int() | str() | float() | None:
            return value
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case uuid.UUID():
            return str(value)
        case list() | tuple():
            return [_json(one, name) for one in value]
        case dict():
            return {str(key): _json(one, name) for key, one in value.items()}
        case _:
            raise InvalidMetadata(
                f"column {name}: {type(value).__name__} has no form in JSON; --leave-out {name}"
            )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
