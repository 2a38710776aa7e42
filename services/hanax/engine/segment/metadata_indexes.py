"""The metadata index of a sealed segment in files (docs/formats/shard.md).

A segment is written with one. When other fields are pinned, another takes its place, in a folder of its
own: it is derived data, and where its files are missing or damaged the segment's own serves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.errors import Cancelled, DataLoss
from hanax.engine.filters.collecting import Collector
from hanax.engine.filters.metadata_index import MetadataIndex
from hanax.engine.segment.drafts import drafted
from hanax.engine.segment.protocol import Segment
from hanax.engine.storage.files import checked_size, map_array, read_document, write_document, write_durably

FORMAT = 1
DOCUMENT = "metadata_index.json"
ARRAYS_FILE = "metadata_index.arrays"
PATHS_FILE = "metadata_index.paths"
_RUN_ROWS: Final = 2_048

# Writes a file of a folder: its name, and its content piece by piece.
Write = Callable[[str, Iterable[bytes | NDArray[Any]]], None]
# What a document says of each file: bytes and checksum, by name.
Files = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SegmentMetadataIndex:
    """name: of its folder, empty where it is part of the segment. bytes: of the files in that folder."""

    index: MetadataIndex
    name: str = ""
    bytes: int = 0


def write_files(index: MetadataIndex, write: Write) -> None:
    document, arrays = index.saved()
    # No file where there are no metadata.
    if document["paths"]:
        write(ARRAYS_FILE, arrays)
    write(PATHS_FILE, [orjson.dumps(document)])


def map_files(folder: Path, files: Files) -> MetadataIndex | None:
    """The index whose files are among `files`, mapped; None when there is none."""
    if PATHS_FILE not in files:
        return None
    size = files.get(ARRAYS_FILE, {"bytes": 0})["bytes"]
    arrays = map_array(folder / ARRAYS_FILE, "u1", (size,))
    return MetadataIndex.load(orjson.loads((folder / PATHS_FILE).read_bytes()), arrays)


def build_metadata_index(
    folder: Path, segment: Segment, rows: int, pins: Mapping[str, str], stopped: threading.Event
) -> SegmentMetadataIndex:
    """Write `folder`, durable and whole on return, and open it.

    rows: of the segment. Raises StorageFull, and Cancelled soon after `stopped` is set; both leave nothing
    behind.
    """
    index = _collect(segment, rows, pins, stopped)
    with drafted(folder, "an index of metadata") as draft:
        files: dict[str, dict[str, Any]] = {}

        def write(name: str, pieces: Iterable[bytes | NDArray[Any]]) -> None:
            size, checksum = write_durably(draft / name, pieces)
            files[name] = {"bytes": size, "checksum": checksum}

        write_files(index, write)
        write_document(draft / DOCUMENT, {"format": FORMAT, "rows": rows, "files": files})
    return open_metadata_index(folder, rows)


def open_metadata_index(folder: Path, rows: int) -> SegmentMetadataIndex:
    """Map the files of `folder`, of a segment with so many rows.

    Raises DataLoss when one is missing or differs from its checksum.
    """
    body = read_document(folder / DOCUMENT, FORMAT)
    for name, file in body["files"].items():
        checked_size(folder / name, file["bytes"], file["checksum"])
    index = map_files(folder, body["files"])
    if index is None or body["rows"] != rows:
        raise DataLoss(f"{folder} is an index of another segment", path=str(folder))
    return SegmentMetadataIndex(index, folder.name, sum(file["bytes"] for file in body["files"].values()))


def _collect(segment: Segment, rows: int, pins: Mapping[str, str], stopped: threading.Event) -> MetadataIndex:
    collector = Collector(pins)
    for run in _runs(rows):
        if stopped.is_set():
            raise Cancelled("the index of metadata is not wanted any more")
        collector.add(segment.metadata(run))
    return collector.finish(stopped)


def _runs(rows: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, rows, _RUN_ROWS):
        yield np.arange(first, min(first + _RUN_ROWS, rows), dtype=np.int64)
