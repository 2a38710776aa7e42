"""Writing an index of a sealed segment.

The index's arrays lie in mapped files from the start, so that a build needs little memory of its own;
the files appear under a draft name and are renamed together when all of them are durable.
"""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from hanax.core.errors import Cancelled
from hanax.engine.index import factory
from hanax.engine.index.factory import Plan
from hanax.engine.index.protocol import Index, Work
from hanax.engine.index.tuning import Aim, tune
from hanax.engine.segment.drafts import drafted
from hanax.engine.segment.indexes import DOCUMENT, FORMAT, SegmentIndex, describe, open_index
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.storage.files import (
    bytes_of,
    link_durably,
    read_document,
    write_document,
    write_durably,
)


class Order(NamedTuple):
    """An index to be built: of which column, how, and for which recall."""

    segment: SealedSegment
    column: str
    plan: Plan
    aim: Aim


def build_index(folder: Path, order: Order, stopped: threading.Event, threads: int) -> SegmentIndex:
    """Write `folder`, durable and whole on return, and open it.

    Raises StorageFull, and Cancelled soon after `stopped` is set; both leave nothing behind.
    """
    source = order.segment.sources[order.column]
    with drafted(folder, "an index") as draft:
        arrays = _MappedArrays(draft)
        index = factory.build(order.plan, source, Work(arrays.allocate, stopped, threads))
        tuned = tune(index, source, order.aim, stopped)
        body = describe(order.column, order.plan, order.aim.target, tuned)
        files = arrays.finish(index)
        rest = {"rows": order.segment.rows, "parameters": index.parameters, "arrays": files}
        _check(stopped)
        write_document(draft / DOCUMENT, body | rest)
    return open_index(folder, order.segment.sources)


def retune_index(folder: Path, order: Order, known: Path, stopped: threading.Event) -> SegmentIndex:
    """Write `folder` with the arrays of the index in `known` and efforts that are measured anew."""
    old = open_index(known, order.segment.sources)
    body = read_document(known / DOCUMENT, FORMAT)
    tuned = tune(old.index, order.segment.sources[order.column], order.aim, stopped)
    with drafted(folder, "an index") as draft:
        for name in body["arrays"]:
            link_durably(known / name, draft / name)
        write_document(draft / DOCUMENT, body | describe(order.column, order.plan, order.aim.target, tuned))
    return open_index(folder, order.segment.sources)


def _check(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise Cancelled("the shard is closing")


class _Mapped(NamedTuple):
    memory: mmap.mmap
    array: NDArray[Any]


class _MappedArrays:
    """Arrays in files of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mapped: dict[str, _Mapped] = {}

    def allocate(self, name: str, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """An array of zeros in a file. Raises OSError when there is no room: later that would be a signal."""
        empty: NDArray[Any] = np.empty(0, dtype)
        size = empty.itemsize * int(np.prod(shape, dtype=np.int64))
        if size == 0:
            return np.zeros(shape, dtype)
        with (self._folder / name).open("w+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            memory = mmap.mmap(file.fileno(), size)
        array = np.frombuffer(memory, empty.dtype).reshape(shape)
        self._mapped[name] = _Mapped(memory, array)
        return array

    def finish(self, index: Index) -> dict[str, dict[str, Any]]:
        """Make the index's arrays durable, under their names. Returns what the document says of each.

        An array may lie at the front of what was allocated under its name, or elsewhere. What was
        allocated and is no array of the index is removed.
        """
        files: dict[str, dict[str, Any]] = {}
        for name, array in index.arrays.items():
            mapped = self._mapped.pop(name, None)
            path = self._folder / name
            if mapped is not None and _begins_at(array, mapped.array):
                mapped.memory.flush()
                with path.open("r+b") as file:
                    file.truncate(array.nbytes)
                    os.fsync(file.fileno())
                checksum = xxhash.xxh3_64(bytes_of(array)).hexdigest()
            else:
                path.unlink(missing_ok=True)
                _, checksum = write_durably(path, [np.ascontiguousarray(array)])
            files[name] = {
                "dtype": array.dtype.str,
                "shape": list(array.shape),
                "bytes": array.nbytes,
                "checksum": checksum,
            }
        for name in self._mapped:
            (self._folder / name).unlink()
        return files


def _begins_at(array: NDArray[Any], mapped: NDArray[Any]) -> bool:
    return (
        array.ctypes.data == mapped.ctypes.data
        and array.flags.c_contiguous
        and 0 < array.nbytes <= mapped.nbytes
    )
