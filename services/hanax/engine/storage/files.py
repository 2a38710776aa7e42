"""Files that are whole or absent, and documents that carry their own checksum."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from hanax.core.errors import DataLoss, HanaxError, StorageFull

_READ_BYTES = 4 * 1024 * 1024


@contextmanager
def full_disk_named(what: str) -> Iterator[None]:
    """Raise StorageFull for the errors that a full disk or quota gives."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(f"no space left for {what}: {error.strerror}") from error
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def bytes_of(piece: bytes | NDArray[Any]) -> memoryview:
    """The bytes of an array as they lie in memory, uncopied. Arrays are C-contiguous."""
    if isinstance(piece, bytes):
        return memoryview(piece)
    return piece.data.cast("B") if piece.size else memoryview(b"")


def write_durably(path: Path, pieces: Iterable[bytes | NDArray[Any]]) -> tuple[int, str]:
    """Create a file and sync it. Returns its size in bytes and the xxh3 of its content, hex."""
    digest = xxhash.xxh3_64()
    size = 0
    with path.open("wb") as file:
        for piece in pieces:
            view = bytes_of(piece)
            file.write(view)
            digest.update(view)
            size += view.nbytes
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def link_durably(source: Path, target: Path) -> None:
    """Give an immutable file a second name: a hard link, or a synced copy where that can't be."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
            raise
        # Another file system, or one without hard links.
        shutil.copyfile(source, target)
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def checked_size(path: Path, size: int, checksum: str) -> None:
    """Read a file once. Raises DataLoss when it is missing or differs."""
    digest = xxhash.xxh3_64()
    buffer = bytearray(min(_READ_BYTES, size + 1))
    read = 0
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(memoryview(buffer)[:count])
                read += count
    except FileNotFoundError:
        raise DataLoss(f"{path} is missing", path=str(path)) from None
    if read != size:
        raise DataLoss(f"{path} has {read} bytes instead of {size}", path=str(path))
    if digest.hexdigest() != checksum:
        raise DataLoss(f"{path} is damaged: its checksum differs", path=str(path))


def map_array(path: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file as a read-only array; an empty file gives an empty array."""
    if 0 in shape:
        return np.empty(shape, dtype)
    # As text: of a Path, memmap looks up every folder on the way.
    array: NDArray[Any] = np.asarray(np.memmap(str(path), dtype=dtype, mode="r", shape=shape))
    return array


def map_bytes(path: Path) -> mmap.mmap | bytes:
    """Map a file to be sliced into bytes."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def write_document(path: Path, body: dict[str, Any]) -> None:
    """Replace a JSON document by atomic rename; durable on return."""
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    text = b'{"checksum":"%s","body":%s}\n' % (
        xxhash.xxh3_64_hexdigest(canonical).encode(),
        canonical,
    )
    draft = path.with_name(path.name + ".new")
    write_durably(draft, [text])
    draft.replace(path)
    sync_folder(path.parent)


def read_document(path: Path, *formats: int) -> dict[str, Any]:
    """Read what `write_document` wrote. Raises DataLoss, also for a format that is not one of `formats`."""
    try:
        outer = orjson.loads(path.read_bytes())
        body = outer["body"]
        checksum = xxhash.xxh3_64_hexdigest(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
        if checksum != outer["checksum"]:
            raise DataLoss(f"{path} is damaged: its checksum differs", path=str(path))
        if body["format"] not in formats:
            known = " and ".join(map(str, sorted(formats)))
            raise DataLoss(
                f"{path} has format {body['format']}; this version reads {known}",
                path=str(path),
            )
    except HanaxError:
        raise
    except FileNotFoundError:
        raise DataLoss(f"{path} is missing", path=str(path)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataLoss(f"{path} is damaged: {error}", path=str(path)) from None
    assert isinstance(body, dict)
    return body
