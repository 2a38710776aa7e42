"""Write-ahead log of one shard in files (docs/formats/shard.md).

Invariants: sequences are dense from 1; `append` returns after fdatasync; a torn tail is cut on
open; damage anywhere else raises DataLoss. Only the shard's one writer calls append and rotate.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from hanax.core.errors import DataLoss, Unavailable
from hanax.engine.storage.files import full_disk_named, sync_folder
from hanax.engine.storage.log_files import (
    FILE_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    LogFileReader,
    file_header,
    record_header,
)
from hanax.engine.storage.records import Buffer

# IOV_MAX of Linux; a group of writes may have more pieces.
_PIECES_PER_WRITE = 1024


class Log(Protocol):
    """A durable, ordered sequence of records: in files here, elsewhere for replicated shards."""

    @property
    def last_sequence(self) -> int: ...

    def append(self, payloads: Sequence[Sequence[Buffer]]) -> int:
        """Add one record per payload, all durable on return. Returns the first one's sequence."""

    def rotate(self) -> None:
        """Begin a new file: those before are closed for good."""

    def release(self, covered: int) -> None:
        """Records at or below this sequence are needed no more."""

    def close(self) -> None: ...


class FileLog:
    """The log in a folder.

    Opening only reads; `replay` must be run to its end once before the first append.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file: int | None = None
        self._open_path: Path | None = None
        self._size = 0
        # Bytes of each closed file, so that nobody has to ask the file system.
        self._closed_sizes: dict[Path, int] = {}
        self._last = 0
        # Bytes of records that were replayed and appended since the folder was opened.
        self.record_bytes = 0
        self._broken: str | None = None

    @property
    def last_sequence(self) -> int:
        return self._last

    @property
    def size_bytes(self) -> int:
        """Of all files, as far as they are written."""
        open_bytes = self._size if self._file is not None else 0
        return open_bytes + sum(list(self._closed_sizes.values()))

    def files(self) -> list[Path]:
        """All files, oldest first."""
        return sorted(self._folder.glob("*.log"))

    def closed_files(self) -> list[Path]:
        """Those that are never written again. The writer must not run meanwhile."""
        files = self.files()
        return [path for path in files if path != self._open_path]

    def replay(self, covered: int) -> Iterator[tuple[int, bytes]]:
        """Yield (sequence, payload) of every record after `covered`, and make the log ready to append.

        Raises DataLoss for damage or a gap. A torn tail of the last file is cut off.
        """
        files = self.files()
        self._last = covered
        expected: int | None = None
        for number, path in enumerate(files):
            reader = LogFileReader(path, is_last=number == len(files) - 1)
            first = reader.first_sequence
            if first is None:
                # The process ended while it made this file: nothing was ever written to it.
                path.unlink()
                continue
            if expected is None and first > covered + 1:
                raise DataLoss(
                    f"the log starts at {first}, sequences from {covered + 1} are missing",
                    path=str(path),
                )
            if expected is not None and first != expected:
                raise DataLoss(f"{path}: expected sequence {expected}, it starts at {first}", path=str(path))
            expected = first
            for sequence, payload in reader.records():
                expected = sequence + 1
                if sequence > covered:
                    self._last = sequence
                    self.record_bytes += RECORD_HEADER_BYTES + len(payload)
                    yield sequence, payload
            self._closed_sizes[path] = path.stat().st_size
            if number == len(files) - 1:
                # A process that was killed may have left whole records in the page cache alone. They
                # count from now on, and later files will rely on them.
                _sync_file(path)
        if expected is not None and expected - 1 < covered:
            raise DataLoss(
                f"the log ends at {expected - 1}, the manifest covers {covered}",
                path=str(self._folder),
            )
        # A last file without records has the name of the file that comes next.
        self._next_path().unlink(missing_ok=True)
        self._closed_sizes.pop(self._next_path(), None)

    def append(self, payloads: Sequence[Sequence[Buffer]]) -> int:
        """Raises StorageFull when the disk is full: nothing was added. Unavailable once the log is broken."""
        if self._broken is not None:
            raise Unavailable(f"the log takes no writes until the shard is reopened: {self._broken}")
        pieces: list[Buffer] = []
        for number, payload in enumerate(payloads):
            pieces.append(record_header(self._last + 1 + number, self._last, payload))
            pieces.extend(payload)
        with full_disk_named("the log"):
            handle = self._file if self._file is not None else self._open_next()
            try:
                written = _write_all(handle, pieces)
                os.fdatasync(handle)
            except BaseException:
                self._undo(handle)
                raise
        first = self._last + 1
        self._size += written
        self.record_bytes += written
        self._last += len(payloads)
        return first

    def rotate(self) -> None:
        """Close the file that has records; the next append makes a new one."""
        if self._file is not None and self._open_path is not None and self._size > FILE_HEADER_BYTES:
            self._closed_sizes[self._open_path] = self._size
            os.close(self._file)
            self._file = self._open_path = None

    def release(self, covered: int) -> None:
        """Runs beside the writer, which only adds past `covered`; so the order of these reads matters.

        A listed file that is open is seen as such, or it was closed since, with records past `covered`.
        """
        files = self.files()
        open_path = self._open_path
        ends = [*(int(path.stem) - 1 for path in files[1:]), self._last]
        for path, end in zip(files, ends, strict=False):
            if path != open_path and end <= covered:
                # A file whose creation failed is gone already.
                path.unlink(missing_ok=True)
                self._closed_sizes.pop(path, None)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._broken = "it is closed"

    def _undo(self, handle: int) -> None:
        """Go back to the last whole record. What was durable before stays so: it was synced."""
        try:
            os.ftruncate(handle, self._size)
            os.fsync(handle)
        except OSError as error:
            self._broken = f"the log could not be restored after a failed write: {error}"

    def _next_path(self) -> Path:
        return self._folder / f"{self._last + 1:020d}.log"

    def _open_next(self) -> int:
        path = self._open_path = self._next_path()
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_APPEND, 0o644)
        try:
            _write_all(handle, [file_header(self._last + 1)])
            os.fsync(handle)
            sync_folder(self._folder)
        except BaseException:
            os.close(handle)
            path.unlink()
            self._open_path = None
            raise
        self._file, self._size = handle, FILE_HEADER_BYTES
        return handle


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, pieces: Sequence[Buffer]) -> int:
    """Write every byte; returns their number."""
    total = 0
    for start in range(0, len(pieces), _PIECES_PER_WRITE):
        pending = [memoryview(piece) for piece in pieces[start : start + _PIECES_PER_WRITE] if len(piece)]
        while pending:
            written = os.writev(handle, pending)
            total += written
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if written:
                pending[0] = pending[0][written:]
    return total
