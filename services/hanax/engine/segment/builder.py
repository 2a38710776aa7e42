"""Writing a sealed segment from rows of other segments.

Rows are copied in runs, so that memory in use does not grow with the segment; the files appear
under a draft name and are renamed together when all of them are durable.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled
from hanax.engine.filters.collecting import Collector
from hanax.engine.schema import Schema, inverse_norms
from hanax.engine.segment.drafts import drafted
from hanax.engine.segment.metadata_indexes import write_files
from hanax.engine.segment.protocol import Hashes, Rows, Segment
from hanax.engine.segment.sealed import DOCUMENT, EXPIRIES, EXPIRING_ROWS, FORMAT
from hanax.engine.storage.files import write_document, write_durably

_RUN_ROWS = 2_048


class Part(NamedTuple):
    """Rows to take of one segment, in this order."""

    segment: Segment
    rows: Rows


def build_segment(folder: Path, schema: Schema, parts: Sequence[Part], stopped: threading.Event) -> None:
    """Write `folder`, durable and whole on return.

    Raises StorageFull, and Cancelled soon after `stopped` is set; both leave nothing behind.
    """
    with drafted(folder, "a segment") as draft:
        _write_files(draft, schema, parts, stopped)


def _write_files(folder: Path, schema: Schema, parts: Sequence[Part], stopped: threading.Event) -> None:
    files: dict[str, dict[str, Any]] = {}

    def runs() -> Iterator[Part]:
        for run in _runs(parts):
            if stopped.is_set():
                raise Cancelled("the shard is closing")
            yield run

    def write(name: str, pieces: Iterable[bytes | NDArray[Any]]) -> None:
        size, checksum = write_durably(folder / name, pieces)
        files[name] = {"bytes": size, "checksum": checksum}

    collector = Collector(schema.payload_indexes)

    def read_metadata(segment: Segment, rows: Rows) -> list[bytes]:
        found = segment.metadata(rows)
        collector.add(found)
        return found

    for name, read in (("ids", _read_ids), ("metadata", read_metadata)):
        lengths: list[NDArray[np.uint64]] = [np.zeros(1, "<u8")]

        def blobs(read: Any = read, lengths: list[NDArray[np.uint64]] = lengths) -> Iterator[bytes]:
            for segment, rows in runs():
                found = read(segment, rows)
                lengths.append(np.fromiter(map(len, found), "<u8", len(found)))
                yield b"".join(found)

        write(f"{name}.bytes", blobs())
        write(f"{name}.offsets", iter([np.cumsum(np.concatenate(lengths), dtype="<u8")]))
    write_files(collector.finish(stopped), write)
    hashes, order = _hash_order(parts)
    write("hashes", iter([hashes]))
    write("hash_rows", iter([order.astype("<u4")]))
    del hashes, order
    write("created", (segment.created_at_us(rows) for segment, rows in runs()))
    write("updated", (segment.updated_at_us(rows) for segment, rows in runs()))
    write("versions", (segment.versions(rows) for segment, rows in runs()))
    expires, expiring = _expiries(parts)
    if len(expiring):
        write(EXPIRIES, iter([expires]))
        write(EXPIRING_ROWS, iter([expiring.astype("<u4")]))
    del expires, expiring
    for number, (column, field) in enumerate(schema.fields.items()):
        write(f"vectors.{number}", (s.vectors(column, r) for s, r in runs()))
        if field.metric is Metric.COSINE:
            norms = (inverse_norms(s.vectors(column, r)) for s, r in runs())
            write(f"inverse_norms.{number}", norms)
    write_document(
        folder / DOCUMENT,
        {
            "format": FORMAT,
            "rows": sum(len(part.rows) for part in parts),
            "columns": [{"name": name, **data} for name, data in schema.to_data().items()],
            "files": files,
        },
    )


def _runs(parts: Sequence[Part]) -> Iterator[Part]:
    for segment, rows in parts:
        for first in range(0, len(rows), _RUN_ROWS):
            yield Part(segment, rows[first : first + _RUN_ROWS])


def _read_ids(segment: Segment, rows: Rows) -> list[bytes]:
    return segment.ids(rows)


def _hash_order(parts: Sequence[Part]) -> tuple[Hashes, Rows]:
    """Hashes ascending and the new row of each; ties by id, then by row."""
    hashes = np.concatenate([segment.hashes(rows) for segment, rows in parts])
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    starts, ends = np.append(0, edges), np.append(edges, len(ordered))
    tied = ends - starts > 1
    for start, end in zip(starts[tied].tolist(), ends[tied].tolist(), strict=True):
        order[start:end] = sorted(order[start:end].tolist(), key=partial(_id_of, parts))
    return ordered, order


def _expiries(parts: Sequence[Part]) -> tuple[NDArray[np.int64], Rows]:
    """When each new row expires, 0 for never; those that do, ascending by that time, then by row."""
    times = [segment.expires_at_us(rows) for segment, rows in parts]
    if all(one is None for one in times):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    expires = np.concatenate(
        [
            np.zeros(len(part.rows), "<i8") if one is None else one
            for part, one in zip(parts, times, strict=True)
        ]
    )
    expiring = np.flatnonzero(expires)
    return expires, expiring[np.argsort(expires[expiring], kind="stable")]


def _id_of(parts: Sequence[Part], row: int) -> bytes:
    """The id of a row of the new segment."""
    for segment, rows in parts:
        if row < len(rows):
            return segment.ids(rows[row : row + 1])[0]
        row -= len(rows)
    raise IndexError(row)
