"""Result files: written in parts while tasks run, put together in the items' order at the end.

A part is a run of records with ascending numbers: in JSON lines what the result will have, for .npy a header
of the number and the dimension before each row, because items that failed leave a gap. Parts of one job
follow one another but for those of a retry, which fill gaps: they are merged by number.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import orjson

from hanax.batch_processor.points import Vector
from hanax.core.errors import DataLoss, ModelConflict
from hanax.core.ids import decode_id
from hanax.core.job_specs import ResultFormat
from hanax.metadata.jobs.task import FoundPart

# Of a result file, and of a part of one.
MAX_RESULT_BYTES: Final = 2**40

# A row's number and its dimension, before its numbers.
_HEADER: Final = struct.Struct("<QI")
# How a line of a part begins.
_LINE_START: Final = b'{"number":'
_WRITE_BYTES: Final = 1024 * 1024
_NPY_MAGIC: Final = b"\x93NUMPY\x01\x00"
_NPY_ALIGNMENT: Final = 64


class Record(NamedTuple):
    """id: encoded. vector: float32[dimension]."""

    number: int
    id: bytes
    vector: Vector


class ResultWriter(Protocol):
    def encode(self, records: Sequence[Record]) -> bytes:
        """Records in the form of a part."""
        ...


class JsonLinesWriter:
    def encode(self, records: Sequence[Record]) -> bytes:
        lines = [
            orjson.dumps(
                {"number": record.number, "id": decode_id(record.id), "embedding": record.vector},
                option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
            )
            for record in records
        ]
        return b"".join(lines)


class NpyWriter:
    def encode(self, records: Sequence[Record]) -> bytes:
        return b"".join(
            _HEADER.pack(record.number, len(record.vector)) + record.vector.astype("<f4").tobytes()
            for record in records
        )


def writer_of(told: ResultFormat) -> ResultWriter:
    return JsonLinesWriter() if told is ResultFormat.JSONL else NpyWriter()


# The bytes of one part.
ReadPart = Callable[[FoundPart], AsyncIterator[bytes]]


async def put_together(
    parts: Sequence[FoundPart], read: ReadPart, told: ResultFormat, total: int
) -> AsyncIterator[bytes]:
    """The result file of all parts, in portions of about a MiB. total: items of the job.

    Raises ModelConflict when rows of an array have several lengths, DataLoss for a part that is not whole.
    """
    records = _merged(parts, read, _lines if told is ResultFormat.JSONL else _rows)
    pieces = _values(records) if told is ResultFormat.JSONL else _array(records, total)
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _WRITE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


# A record's number, and its bytes in the form of the file.
_Numbered = tuple[int, bytes]
_Split = Callable[[AsyncIterator[bytes]], AsyncIterator[_Numbered]]


async def _merged(parts: Sequence[FoundPart], read: ReadPart, split: _Split) -> AsyncIterator[_Numbered]:
    """All records by number. A part is opened in its turn: nothing in it is before its task's first."""
    following = sorted(parts, key=lambda found: found.first)
    at = 0
    heap: list[tuple[int, int, bytes, AsyncIterator[_Numbered]]] = []
    while heap or at < len(following):
        while at < len(following) and (not heap or following[at].first <= heap[0][0]):
            records = split(read(following[at]))
            if (record := await anext(records, None)) is not None:
                heapq.heappush(heap, (record[0], at, record[1], records))
            at += 1
        if not heap:
            continue
        number, order, data, records = heap[0]
        yield number, data
        if (record := await anext(records, None)) is not None:
            heapq.heapreplace(heap, (record[0], order, record[1], records))
        else:
            heapq.heappop(heap)


async def _values(records: AsyncIterator[_Numbered]) -> AsyncIterator[bytes]:
    async for _, data in records:
        yield data


async def _array(records: AsyncIterator[_Numbered], total: int) -> AsyncIterator[bytes]:
    row_bytes = 0
    following = 0
    async for number, data in records:
        if not row_bytes:
            row_bytes = len(data)
            yield npy_header(total, row_bytes // 4)
        if len(data) != row_bytes:
            raise ModelConflict(
                f"the model was changed while the job ran: item {number} has {len(data) // 4} numbers, those "
                f"before have {row_bytes // 4}",
                expected=row_bytes // 4,
                got=len(data) // 4,
            )
        if number < following:
            raise _cut()
        while following < number:
            yield _gap(row_bytes)
            following += 1
        yield data
        following += 1
    while following < total:
        yield _gap(row_bytes)
        following += 1


def _gap(row_bytes: int) -> bytes:
    return np.full(row_bytes // 4, np.nan, dtype="<f4").tobytes()


def npy_header(rows: int, dimension: int) -> bytes:
    """Of a version 1.0 .npy file with float32[rows, dimension] (NumPy's format specification)."""
    told = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}"
    before = len(_NPY_MAGIC) + 2
    padding = -(before + len(told) + 1) % _NPY_ALIGNMENT
    text = told.encode() + b" " * padding + b"\n"
    return _NPY_MAGIC + struct.pack("<H", len(text)) + text


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[_Numbered]:
    left = b""
    async for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            yield _number_of(line), line + b"\n"
    if left:
        raise _cut()


def _number_of(line: bytes) -> int:
    if not line.startswith(_LINE_START):
        raise _cut()
    return int(line[len(_LINE_START) : line.index(b",")])


async def _rows(pieces: AsyncIterator[bytes]) -> AsyncIterator[_Numbered]:
    left = b""
    async for piece in pieces:
        data = left + piece
        at = 0
        while at + _HEADER.size <= len(data):
            number, dimension = _HEADER.unpack_from(data, at)
            end = at + _HEADER.size + 4 * dimension
            if end > len(data):
                break
            yield number, data[at + _HEADER.size : end]
            at = end
        left = data[at:]
    if left:
        raise _cut()


def _cut() -> DataLoss:
    return DataLoss("a part of the result file is damaged")
