"""The routing table in a file: written whole by one process, followed by the others.

A table is taken whole or not at all. A file that is missing, damaged or of an older revision
changes nothing: the last good table stays in force.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from hanax.core.routing import RoutingTable
from hanax.runtime.newer_tables import NewerTables

# A stat twenty times a second costs nothing and works on every file system.
_POLL_S = 0.05

# A time stamp is as coarse as the kernel's tick, and an inode's number is soon used again: while
# the file is this young its bytes are compared.
_YOUNG_NS = 1_000_000_000


def write_routing_file(path: Path, table: RoutingTable) -> None:
    """Replace the file by atomic rename, durable on return."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(table.model_dump_json(indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class RoutingFile:
    """Follow the file in a thread of its own and hand each newer table to `on_change`.

    `on_change` runs in that thread or in one that calls `look`, one call at a time, revisions
    ascending.
    """

    def __init__(self, path: Path, on_change: Callable[[RoutingTable], None]) -> None:
        self._path = path
        self._tables = NewerTables(on_change, path=str(path))
        self._seen: tuple[int, int] | None = None
        self._raw: bytes | None = None
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="routing", daemon=True)

    def start(self) -> None:
        """Take the table that is there now, before returning, and follow it from then on."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_S):
            self.look()

    def look(self) -> None:
        """Take the file's table if it is newer. `start` has a thread do so from then on."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        try:
            status = self._path.stat()
            mark = (status.st_mtime_ns, status.st_ino)
            if mark == self._seen:
                return
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self._tables.keep(f"the file can't be read: {error}")
            return
        if time.time_ns() - status.st_mtime_ns > _YOUNG_NS:
            self._seen = mark
        if raw == self._raw:
            return
        self._raw = raw
        self._take(raw)

    def _take(self, raw: bytes) -> None:
        try:
            table = RoutingTable.model_validate_json(raw)
        except ValidationError as error:
            self._tables.keep(str(error))
            return
        if not self._tables.offer(table):
            self._seen, self._raw = None, None
