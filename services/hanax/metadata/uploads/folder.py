"""Uploads as files of a folder: of one machine, or of a volume that gateways and processors share.

`<id>.part` while it is written; `finish` syncs it, renames it to `<id>`, and syncs the folder. A part of a
job's result keeps the name it was written under.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from hanax.core.errors import DatabaseUnavailable, HanaxError, StorageFull, Unavailable
from hanax.metadata.folders import sync_folder
from hanax.metadata.uploads.limits import PORTION_BYTES, Size
from hanax.metadata.uploads.port import UploadWriter
from hanax.metadata.uploads.records import UploadRecords, gone

T = TypeVar("T")

# Bytes between two signs of life.
_TOUCH_BYTES: Final = 64 * PORTION_BYTES


class FolderUploads:
    """`Uploads` in a folder, which is made when it is first needed."""

    def __init__(self, folder: Path, records: UploadRecords, limit_bytes: int) -> None:
        self._folder = folder
        self._records = records
        self._limit_bytes = limit_bytes

    @asynccontextmanager
    async def create(self) -> AsyncIterator[UploadWriter]:
        upload_id = await self._records.add()
        file = await _in_thread(self._open, upload_id)
        writer = _FileWriter(upload_id, file, self._folder, self._records, self._limit_bytes)
        try:
            yield writer
        finally:
            await asyncio.to_thread(file.close)
            if not writer.finished:
                # Also when the request was cancelled; what can't be removed now is swept later.
                with suppress(HanaxError):
                    await asyncio.shield(self.delete(upload_id))

    @asynccontextmanager
    async def opened(self, upload_id: str) -> AsyncIterator[Path]:
        path = self._folder / upload_id
        size = await self._records.finished_size(upload_id)
        if await asyncio.to_thread(_size, path) != size:
            raise gone(upload_id)
        yield path

    async def read(self, upload_id: str, limit_bytes: int | None = None) -> AsyncIterator[bytes]:
        file = await _in_thread(self._open_to_read, upload_id)
        try:
            left = limit_bytes if limit_bytes is not None else await self._records.finished_size(upload_id)
            while left > 0:
                portion = await _in_thread(file.read, min(left, PORTION_BYTES))
                if not portion:
                    raise gone(upload_id)
                left -= len(portion)
                yield portion
        finally:
            await asyncio.to_thread(file.close)

    async def size(self, upload_id: str) -> int:
        return await self._records.finished_size(upload_id)

    async def delete(self, upload_id: str) -> None:
        # The row goes last: as long as it is there, the file is found again.
        if not await self._records.is_referred(upload_id):
            await _in_thread(self._remove, upload_id)
            await self._records.forget(upload_id)

    async def sweep(self, older_than_s: float) -> int:
        removed = 0
        failure: Unavailable | None = None
        for upload_id in await self._records.old(older_than_s):
            try:
                await self.delete(upload_id)
                removed += 1
            except DatabaseUnavailable:
                raise
            except Unavailable as error:
                # A file that can't be removed does not keep those behind it.
                failure = error
        if failure is not None:
            raise failure
        return removed

    def _open(self, upload_id: str) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        return _part(self._folder, upload_id).open("xb", buffering=0)

    def _open_to_read(self, upload_id: str) -> BinaryIO:
        for path in (self._folder / upload_id, _part(self._folder, upload_id)):
            with suppress(FileNotFoundError):
                return path.open("rb", buffering=0)
        raise gone(upload_id)

    def _remove(self, upload_id: str) -> None:
        for path in (self._folder / upload_id, _part(self._folder, upload_id)):
            path.unlink(missing_ok=True)


class _FileWriter:
    def __init__(
        self, upload_id: str, file: BinaryIO, folder: Path, records: UploadRecords, limit_bytes: int
    ) -> None:
        self.id = upload_id
        self.finished = False
        self._file = file
        self._folder = folder
        self._records = records
        self._size = Size(limit_bytes)
        self._touched = 0

    async def write(self, data: bytes) -> None:
        self._size.add(len(data))
        await _in_thread(_write_all, self._file, data)
        if self._size.bytes - self._touched >= _TOUCH_BYTES:
            await self._touch()

    async def flush(self) -> int:
        await _in_thread(os.fsync, self._file.fileno())
        return self._size.bytes

    async def finish(self) -> int:
        size = await self.flush()
        await _in_thread(_settle, self._folder, self.id)
        await self._records.touch(self.id, size, finished=True)
        self.finished = True
        return size

    async def _touch(self) -> None:
        await self._records.touch(self.id, self._size.bytes)
        self._touched = self._size.bytes


def _part(folder: Path, upload_id: str) -> Path:
    return folder / f"{upload_id}.part"


def _settle(folder: Path, upload_id: str) -> None:
    _part(folder, upload_id).rename(folder / upload_id)
    sync_folder(folder)


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Raises StorageFull, or Unavailable for what else a file system refuses."""
    try:
        return await asyncio.to_thread(function, *arguments)
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise StorageFull("there is no space left for uploads") from None
        raise Unavailable(f"uploads can't be kept: {error.strerror or type(error).__name__}") from None
