"""What is asked of whoever keeps uploads.

An upload is written once, in order, by one writer. It counts from `finish` on; until then it is removed when
its writer leaves, or a while after its writer was last heard of. Ids are made here and never from a name that
a user gave. Each upload has a row in the database, wherever its bytes are, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol


class UploadWriter(Protocol):
    @property
    def id(self) -> str: ...

    async def write(self, data: bytes) -> None:
        """Take these bytes next. Raises BodyTooLarge past the limit, StorageFull, Unavailable."""
        ...

    async def flush(self) -> int:
        """Make all bytes so far durable; how many they are.

        They outlive the writer only once they count: by `finish`, or as a part of a job's result
        (metadata.jobs.task.Part).
        """
        ...

    async def finish(self) -> int:
        """Flush, and count from now on: how many bytes."""
        ...


class Uploads(Protocol):
    def create(self) -> AbstractAsyncContextManager[UploadWriter]:
        """A new one. Left without `finish`, it is removed, unless it is part of a job's result."""
        ...

    def opened(self, upload_id: str) -> AbstractAsyncContextManager[Path]:
        """The bytes as a file of this machine, to be read alone, until the context is left.

        Raises DataLoss when they are not there.
        """
        ...

    def read(self, upload_id: str, limit_bytes: int | None = None) -> AsyncIterator[bytes]:
        """The bytes, or the first limit_bytes of them, in portions of at most a MiB.

        Raises DataLoss when they are not there, or fewer.
        """
        ...

    async def size(self, upload_id: str) -> int:
        """Bytes of a finished one. Raises DataLoss when it is not there."""
        ...

    async def delete(self, upload_id: str) -> None:
        """Remove it. One that is not there is no error, and one that a job refers to stays."""
        ...

    async def sweep(self, older_than_s: float) -> int:
        """Remove some that no job refers to, and that nobody has written to for so long; how many."""
        ...
