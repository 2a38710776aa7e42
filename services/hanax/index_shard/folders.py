"""The node's data directory.

    index-shard.lock                     held by the one process that owns the directory
    collections/<name>-<uid>/shard-<n>/  one shard each, as the engine keeps it
    trash/<random>/                      deleted collections, on their way out

A deleted collection is first moved to the trash, in one step, and then removed file by file: a
crash in between leaves no half collection, and the next start goes on with the trash.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from pathlib import Path
from typing import Final

import structlog

from hanax.core.errors import FailedPrecondition
from hanax.engine.storage.files import sync_folder

log = structlog.get_logger()

# A file that can't be removed now is tried again when this has passed.
_RETRY_S: Final = 30.0


class DataFolder:
    """Owns the directory and the thread that empties its trash."""

    def __init__(self, root: Path) -> None:
        """Raises FailedPrecondition when another process has the directory, OSError when it can't be made."""
        self._collections = root / "collections"
        self._trash = root / "trash"
        root.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(root / "index-shard.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise FailedPrecondition(
                f"another index-shard process uses {root}; give each a data directory of its own"
            ) from None
        self._changed = threading.Condition()
        self._full = True
        self._closed = False
        self._thread = threading.Thread(target=self._empty_trash, name="trash", daemon=True)
        try:
            for folder in (self._collections, self._trash):
                folder.mkdir(exist_ok=True)
            sync_folder(root)
        except OSError:
            os.close(self._lock)
            raise
        self._thread.start()

    def shard(self, name: str, uid: str, shard: int) -> Path:
        """Make the shard's folder, durably: what the engine keeps inside must not lose its way in."""
        collection = self._collections / f"{name}-{uid}"
        folder = collection / f"shard-{shard}"
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(collection)
            sync_folder(self._collections)
        return folder

    def discard(self, name: str, uid: str) -> bool:
        """Remove a collection's data, none of which is open. False when there is none.

        It is out of sight on return; its space comes back later.
        """
        folder = self._collections / f"{name}-{uid}"
        if not folder.exists():
            return False
        folder.rename(self._trash / uuid.uuid4().hex)
        sync_folder(self._trash)
        sync_folder(self._collections)
        with self._changed:
            self._full = True
            self._changed.notify()
        return True

    def close(self) -> None:
        """Let go of the directory. What is left in the trash is for the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        os.close(self._lock)

    def _empty_trash(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._full or self._closed)
                if self._closed:
                    return
                self._full = False
            if not self._remove_what_is_there():
                with self._changed:
                    self._changed.wait_for(lambda: self._full or self._closed, _RETRY_S)
                    self._full = True

    def _remove_what_is_there(self) -> bool:
        """Stops early when the directory is closed. False when something stayed."""
        clean = True
        for folder, _, names in os.walk(self._trash, topdown=False):
            if self._closed:
                return True
            try:
                for name in names:
                    Path(folder, name).unlink()
                if Path(folder) != self._trash:
                    Path(folder).rmdir()
            except OSError as error:
                clean = False
                log.warning("the trash is not empty", folder=folder, error=str(error))
        return clean
