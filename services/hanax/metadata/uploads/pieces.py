"""Uploads as rows: for gateways and processors that share a database and no folder."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import HanaxError, Unavailable
from hanax.metadata.database import Database
from hanax.metadata.uploads.limits import PORTION_BYTES, Size
from hanax.metadata.uploads.port import UploadWriter
from hanax.metadata.uploads.records import UploadRecords, gone
from hanax.metadata.uploads.tables import UPLOAD_PIECES


class PiecesUploads:
    """`Uploads` in the database. What is opened is copied into a file of this machine meanwhile."""

    def __init__(self, database: Database, records: UploadRecords, limit_bytes: int) -> None:
        self._database = database
        self._records = records
        self._limit_bytes = limit_bytes

    @asynccontextmanager
    async def create(self) -> AsyncIterator[UploadWriter]:
        writer = _PieceWriter(await self._records.add(), self._database, self._records, self._limit_bytes)
        try:
            yield writer
        finally:
            if not writer.finished:
                with suppress(HanaxError):
                    await asyncio.shield(self.delete(writer.id))

    @asynccontextmanager
    async def opened(self, upload_id: str) -> AsyncIterator[Path]:
        size = await self._records.finished_size(upload_id)
        with tempfile.TemporaryDirectory(prefix="hanax-upload-") as folder:
            path = Path(folder) / "upload"
            file: BinaryIO = await asyncio.to_thread(path.open, "wb")
            try:
                async for portion in self.read(upload_id, size):
                    await asyncio.to_thread(file.write, portion)
            except OSError as error:
                raise Unavailable(f"an upload can't be opened: {error.strerror}") from None
            finally:
                await asyncio.to_thread(file.close)
            yield path

    async def read(self, upload_id: str, limit_bytes: int | None = None) -> AsyncIterator[bytes]:
        left = limit_bytes if limit_bytes is not None else await self._records.finished_size(upload_id)
        number = 0
        while left > 0:
            piece = await self._piece(upload_id, number)
            if piece is None:
                raise gone(upload_id)
            yield piece[:left]
            left -= len(piece)
            number += 1

    async def size(self, upload_id: str) -> int:
        return await self._records.finished_size(upload_id)

    async def delete(self, upload_id: str) -> None:
        await self._records.forget(upload_id)

    async def sweep(self, older_than_s: float) -> int:
        ids = await self._records.old(older_than_s)
        for upload_id in ids:
            await self.delete(upload_id)
        return len(ids)

    async def _piece(self, upload_id: str, number: int) -> bytes | None:
        pieces = UPLOAD_PIECES
        query = select(pieces.c.body).where(pieces.c.upload_id == upload_id, pieces.c.number == number)
        rows = await self._database.ask(query)
        return rows[0][0] if rows else None


class _PieceWriter:
    def __init__(self, upload_id: str, database: Database, records: UploadRecords, limit_bytes: int) -> None:
        self.id = upload_id
        self.finished = False
        self._database = database
        self._records = records
        self._size = Size(limit_bytes)
        self._unkept = bytearray()
        self._number = 0

    async def write(self, data: bytes) -> None:
        self._size.add(len(data))
        self._unkept += data
        while len(self._unkept) >= PORTION_BYTES:
            await self._keep(PORTION_BYTES)

    async def flush(self) -> int:
        if self._unkept:
            await self._keep(len(self._unkept))
        return self._size.bytes

    async def finish(self) -> int:
        size = await self.flush()
        await self._records.touch(self.id, size, finished=True)
        self.finished = True
        return size

    async def _keep(self, count: int) -> None:
        row = {"upload_id": self.id, "number": self._number, "body": bytes(self._unkept[:count])}

        kept = self._size.bytes - len(self._unkept) + count

        async def work(connection: AsyncConnection) -> None:
            await self._records.touch_within(connection, self.id, kept)
            await connection.execute(insert(UPLOAD_PIECES).values(row))

        await self._database.run(work)
        del self._unkept[:count]
        self._number += 1
