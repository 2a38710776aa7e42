"""Result files: parts of tasks, of those who took over, and of retries make one file in the items' order."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanax.batch_processor.results import Record, put_together, writer_of
from hanax.core.errors import DataLoss, ModelConflict
from hanax.core.ids import encode_id
from hanax.core.job_specs import ResultFormat
from hanax.metadata.jobs.task import FoundPart, Part

TOTAL = 40


def record(number: int, dimension: int = 3) -> Record:
    return Record(number, encode_id(f"id-{number}"), np.full(dimension, number, "f4"))


class Parts:
    """Parts in memory, told in pieces of a few bytes."""

    def __init__(self, told: ResultFormat) -> None:
        self.told = told
        self.found: list[FoundPart] = []
        self.data: dict[str, bytes] = {}

    def add(self, first: int, numbers: list[int]) -> None:
        data = writer_of(self.told).encode([record(number) for number in numbers])
        name = f"part-{len(self.found)}"
        self.data[name] = data
        self.found.append(FoundPart(len(self.found), first, Part(name, len(data))))

    async def read(self, found: FoundPart) -> AsyncIterator[bytes]:
        data = self.data[found.part.upload_id]
        for at in range(0, len(data), 17):
            yield data[at : at + 17]

    async def together(self, total: int = TOTAL) -> bytes:
        found = sorted(self.found, key=lambda one: one.first)
        return b"".join([piece async for piece in put_together(found, self.read, self.told, total)])


@settings(max_examples=80, deadline=None)
@given(st.sets(st.integers(0, TOTAL - 1)), st.sampled_from(list(ResultFormat)), st.integers(0, 99))
async def test_all_records_are_there_once_in_order_whoever_wrote_them(
    missing: set[int], told: ResultFormat, seed: int
) -> None:
    rng = random.Random(seed)
    there = [number for number in range(TOTAL) if number not in missing]
    retried = sorted(rng.sample(there, len(there) // 4))
    parts = Parts(told)
    for first in range(0, TOTAL, 10):
        numbers = [n for n in there if first <= n < first + 10 and n not in retried]
        # Of one task there may be two: somebody took over.
        cut = rng.randrange(len(numbers) + 1)
        parts.add(first, numbers[:cut])
        parts.add(first, numbers[cut:])
    if retried:
        parts.add(retried[0], retried)
    data = await parts.together()
    if told is ResultFormat.JSONL:
        lines = [orjson.loads(line) for line in data.splitlines()]
        assert lines == [{"number": n, "id": f"id-{n}", "embedding": [float(n)] * 3} for n in there]
    elif there:
        rows = np.load(io.BytesIO(data), allow_pickle=False)
        assert rows.shape == (TOTAL, 3)
        assert rows.dtype == np.float32
        expected = [[number if number in there else np.nan] * 3 for number in range(TOTAL)]
        assert np.array_equal(rows, np.array(expected, "f4"), equal_nan=True)


@pytest.mark.parametrize("told", list(ResultFormat))
async def test_a_part_that_is_cut_is_no_end_of_it(told: ResultFormat) -> None:
    parts = Parts(told)
    parts.add(0, list(range(TOTAL)))
    parts.data["part-0"] = parts.data["part-0"][:-3]
    with pytest.raises(DataLoss):
        await parts.together()


async def test_records_that_are_not_in_order_are_no_array() -> None:
    parts = Parts(ResultFormat.NPY)
    parts.add(0, [0, 2, 1])
    with pytest.raises(DataLoss):
        await parts.together()


async def test_rows_of_several_lengths_are_no_array() -> None:
    parts = Parts(ResultFormat.NPY)
    parts.add(0, [0, 1])
    parts.data["part-0"] += writer_of(ResultFormat.NPY).encode([record(2, dimension=4)])
    with pytest.raises(ModelConflict):
        await parts.together()
