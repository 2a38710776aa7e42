"""Tables of vectors: what goes as columns is what the same rows come to one by one, whatever the file."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from hanax.batch_processor.batches import Batch
from hanax.batch_processor.columns import TableReader
from hanax.batch_processor.feeds import FileFeed, Sizes, TableFeed
from hanax.batch_processor.points import PointReader, Shape
from hanax.batch_processor.sources.matrices import Fvecs, Npy
from hanax.batch_processor.sources.parquet import Parquet
from hanax.batch_processor.sources.tables import TableSource
from hanax.batch_processor.targets import Into, encode_insert
from hanax.core.distances import Metric
from hanax.core.job_specs import BulkInsert, JobKind
from hanax.metadata.jobs.job import Job, JobState

JOB = Job(uuid.UUID(int=7).hex, JobKind.BULK_INSERT, JobState.RUNNING, {}, 5, 1_000_000, 0, collection="a")
SPEC = BulkInsert(kind=JobKind.BULK_INSERT, collection="a")
SHAPE = Shape(3, Metric.COSINE)
SIZES = Sizes(4)


async def both(source: TableSource, most: int = 4) -> tuple[list[Batch], list[Batch]]:
    """Batches by columns, and row by row."""
    rows = PointReader(JOB, SPEC, SHAPE)
    (part,) = source.divide(1_000, None)
    table_feed = TableFeed(source, part, TableReader(JOB, SPEC, SHAPE, rows), SIZES)
    table_feed._most = most
    by_columns = [batch async for batch in table_feed.batches(1, None)]
    one_by_one = [batch async for batch in FileFeed(source, part, rows, SIZES).batches(1, None)]
    return by_columns, one_by_one


def points_of(batches: Sequence[Batch]) -> list[tuple[bytes, list[float], bytes]]:
    found: list[tuple[bytes, list[float], bytes]] = []
    for batch in batches:
        if (columns := batch.columns) is not None:
            metadata = columns.metadata or [b""] * len(columns.ids)
            found += zip(columns.ids, columns.vectors.tolist(), metadata, strict=True)
        for point in batch.points:
            assert point.vector is not None
            found.append((point.id, point.vector.tolist(), point.metadata))
    return found


def failed_of(batches: Sequence[Batch]) -> list[tuple[int, str]]:
    return [(failed.number, failed.code) for batch in batches for failed in batch.failed]


def vectors(bad: dict[int, Any]) -> npt.NDArray[np.float64]:
    found = np.random.default_rng(3).standard_normal((10, 3))
    for row, value in bad.items():
        found[row] = value
    return found


@pytest.mark.parametrize("bad", [{}, {2: 0.0}, {5: np.nan, 6: 1e39}, {9: 1e-17}, {9: [1e18, 0, 0]}])
async def test_what_is_wrong_with_a_row_takes_its_table_row_by_row(
    tmp_path: Path, bad: dict[int, Any]
) -> None:
    np.save(tmp_path / "a.npy", vectors(bad))
    by_columns, one_by_one = await both(Npy(tmp_path / "a.npy", "vector"))
    assert points_of(by_columns) == points_of(one_by_one)
    assert failed_of(by_columns) == failed_of(one_by_one)
    # Rows 1 to 4, 5 to 8, and 9.
    assert [batch.columns is None for batch in by_columns] == [
        any(row in bad for row in rows) for rows in ((1, 2, 3, 4), (5, 6, 7, 8), (9,))
    ]
    assert sum(batch.items for batch in by_columns) == 9


async def test_a_vector_of_another_length_in_fvecs_fails_alone(tmp_path: Path) -> None:
    framed = np.empty((10, 4), "<f4")
    framed[:, 1:] = vectors({})
    framed[:, 0] = np.full(10, 3, "<i4").view("<f4")
    framed[7, 0] = np.full(1, 2, "<i4").view("<f4")[0]
    (tmp_path / "a.fvecs").write_bytes(framed.tobytes())
    by_columns, one_by_one = await both(Fvecs(tmp_path / "a.fvecs", "vector"))
    assert failed_of(by_columns) == failed_of(one_by_one) == [(7, "dimension_mismatch")]
    assert points_of(by_columns) == points_of(one_by_one)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"id": list(range(10))},
        {"id": ["a", None, "b", "c", None, "d", "e", "f", "g", "h"], "year": list(range(10))},
        {"id": [1, 2, 2, 3, 4, 5, 6, 6, 7, -8], "title": [None, "x"] * 5},
        {"other": [[1.0, 2.0]] * 10},
        {"raw": [b"x"] + [None] * 9},
        {"raw": [None] * 6 + [b"x"] * 4},
    ],
)
async def test_columns_of_parquet_come_to_what_its_rows_come_to(
    tmp_path: Path, columns: dict[str, list[Any]]
) -> None:
    table = {**columns, "vector": pa.array(vectors({}).tolist(), pa.list_(pa.float64()))}
    pq.write_table(pa.table(table), tmp_path / "a.parquet", row_group_size=7)
    by_columns, one_by_one = await both(Parquet(tmp_path / "a.parquet"))
    assert points_of(by_columns) == points_of(one_by_one)
    assert failed_of(by_columns) == failed_of(one_by_one)
    assert sum(batch.items for batch in by_columns) == 9


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
async def test_a_call_is_the_message_that_a_gateway_reads(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", vectors({}).astype(dtype))
    (first, *_), _ = await both(Npy(tmp_path / "a.npy", "vector"), 9)
    assert first.columns is not None
    into = Into("docs", "uid-1", "insert")
    expected = pb.InsertVectorsRequest(
        collection="docs",
        collection_uid="uid-1",
        mode=pb.INSERT_MODE_INSERT,
        ids=first.columns.ids,
        vectors=pb.Vectors(dimension=3, float32_le=vectors({})[1:].astype(dtype).astype("<f4").tobytes()),
        long_texts=pb.LONG_TEXT_RULE_TRUNCATE,
    )
    assert pb.InsertVectorsRequest.FromString(encode_insert(into, first.columns)) == expected


async def test_rows_of_columns_are_there_to_be_told_apart(tmp_path: Path) -> None:
    """For when the gateway refuses one of them."""
    np.save(tmp_path / "a.npy", vectors({}))
    by_columns, one_by_one = await both(Npy(tmp_path / "a.npy", "vector"), 9)
    (whole,) = by_columns
    apart = list(whole.rows())
    assert [len(batch.points) for batch in apart] == [4, 4, 1]
    assert points_of(apart) == points_of(by_columns) == points_of(one_by_one)
