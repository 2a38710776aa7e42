"""The rows of uploads: which there are, whether they count, and whether a job refers to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, exists, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import DataLoss, Unavailable
from hanax.metadata.database import Database
from hanax.metadata.jobs.tables import JOB_PARTS, JOBS
from hanax.metadata.uploads.tables import UPLOADS

Place = Literal["folder", "database"]

# Of one sweep.
_SWEPT_AT_ONCE: Final = 100


class UploadRecords:
    """now_us: microseconds since 1970 UTC."""

    def __init__(self, database: Database, place: Place, now_us: Callable[[], int]) -> None:
        self._database = database
        self._place = place
        self._now_us = now_us

    async def add(self) -> str:
        """A new one that does not count yet; its id."""
        now_us = self._now_us()
        row = {
            "id": uuid4().hex,
            "place": self._place,
            "bytes": 0,
            "finished": False,
            "created_at_us": now_us,
            "touched_at_us": now_us,
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(UPLOADS).values(row))

        await self._database.run(work)
        return str(row["id"])

    async def touch(self, upload_id: str, size: int, finished: bool = False) -> None:
        """Its writer is at work. Raises Unavailable where it was taken for dead, and swept."""
        await self._database.run(lambda connection: self.touch_within(connection, upload_id, size, finished))

    async def touch_within(
        self, connection: AsyncConnection, upload_id: str, size: int, finished: bool = False
    ) -> None:
        """The same as part of a transaction."""
        values = {"bytes": size, "finished": finished, "touched_at_us": self._now_us()}
        changed = await connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(values))
        if changed.rowcount == 0:
            raise Unavailable("the upload took so long between two portions that it was removed")

    async def finished_size(self, upload_id: str) -> int:
        """Raises DataLoss."""
        query = select(UPLOADS.c.bytes).where(UPLOADS.c.id == upload_id, UPLOADS.c.finished)
        rows = await self._database.ask(query)
        if not rows:
            raise gone(upload_id)
        return int(rows[0][0])

    async def is_referred(self, upload_id: str) -> bool:
        """Whether a job needs it, or shows it."""
        ((found,),) = await self._database.ask(select(_referred(upload_id)))
        return bool(found)

    async def forget(self, upload_id: str) -> None:
        """Remove the row, and its pieces; one that a job refers to stays."""

        async def work(connection: AsyncConnection) -> None:
            mine = (UPLOADS.c.id == upload_id, not_(_referred(upload_id)))
            await connection.execute(delete(UPLOADS).where(*mine))

        await self._database.run(work)

    async def old(self, older_than_s: float) -> Sequence[str]:
        """Some here that no job refers to, and whose writers were not heard of for so long."""
        before_us = self._now_us() - round(older_than_s * 1e6)
        query = (
            select(UPLOADS.c.id)
            .where(
                UPLOADS.c.place == self._place,
                UPLOADS.c.touched_at_us <= before_us,
                not_(_referred(UPLOADS.c.id)),
            )
            .order_by(UPLOADS.c.touched_at_us)
            .limit(_SWEPT_AT_ONCE)
        )
        return [upload_id for (upload_id,) in await self._database.ask(query)]


def gone(upload_id: str) -> DataLoss:
    return DataLoss(f"the upload {upload_id} is not there, or not whole", upload=upload_id)


def _referred(upload_id: object) -> ColumnElement[bool]:
    of_job = exists().where(or_(JOBS.c.upload_id == upload_id, JOBS.c.result_upload_id == upload_id))
    return or_(of_job, exists().where(JOB_PARTS.c.upload_id == upload_id))
