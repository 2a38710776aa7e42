"""What a folder would look like after a kill or a power cut at each step of some work.

`Steps` has a function called before every change of names in the file system: a file is created,
renamed, removed. `Disk` follows what was synced: after a power cut only that is sure to be there.
"""

from __future__ import annotations

import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Steps:
    """Audit hooks can't be taken back, so there is one of these, idle most of the time."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._before: Callable[[str], None] = lambda what: None
        sys.addaudithook(self._hook)

    @contextmanager
    def watched(self, before: Callable[[str], None]) -> Iterator[None]:
        """Call `before` ahead of every change that this thread makes in the block."""
        self._before, self._thread = before, threading.get_ident()
        try:
            yield
        finally:
            self._thread = None

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self._thread != threading.get_ident():
            return
        writes = event == "open" and isinstance(args[2], int) and args[2] & _WRITING
        if writes or event in _CHANGES:
            thread, self._thread = self._thread, None
            try:
                self._before(f"{event} {args[0]}")
            finally:
                self._thread = thread


STEPS = Steps()


class Disk:
    """The durable part of a folder: contents as of each file's last sync, names as of each folder's.

    Strict, as POSIX has it: a file's sync says nothing of its name. Handles are kept, so that no
    inode is used again.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._kept: dict[int, int] = {}
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {folder.stat().st_ino: {}}
        self._folders: set[int] = set()

    @contextmanager
    def followed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for name in ("fsync", "fdatasync"):
                patch.setattr(os, name, self._recording(getattr(os, name)))
            try:
                yield
            finally:
                for handle in self._kept.values():
                    os.close(handle)

    def _recording(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        def record(handle: int) -> None:
            sync(handle)
            self.take(handle)

        return record

    def take(self, handle: int) -> None:
        """What the handle leads to is durable now."""
        status = os.fstat(handle)
        path = f"/proc/self/fd/{handle}"
        if status.st_ino not in self._kept:
            self._kept[status.st_ino] = os.open(path, os.O_RDONLY)
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = self._listed(Path(path))
        else:
            self._contents[status.st_ino] = Path(path).read_bytes()

    def _listed(self, folder: Path) -> dict[str, int]:
        found = {}
        for entry in os.scandir(folder):
            found[entry.name] = entry.inode()
            if entry.is_dir():
                self._folders.add(entry.inode())
                if entry.inode() not in self._kept:
                    self._kept[entry.inode()] = os.open(entry.path, os.O_RDONLY)
        return found

    def after_power_cut(self, target: Path, source: random.Random, late: float) -> None:
        """Write to `target` what may be left.

        With the chance `late` a folder shows its names as they are now, else as of its last sync. Either
        may lead to a file that was never synced.
        """
        self._write(self._root.stat().st_ino, self._root, target, source, late)

    def _write(self, inode: int, now: Path | None, target: Path, source: random.Random, late: float) -> None:
        target.mkdir()
        names = self._names.get(inode, {})
        current = self._listed(now) if now is not None else None
        if current is not None and source.random() < late:
            names = current
        for name, child in names.items():
            path = (
                now / name if now is not None and current is not None and current.get(name) == child else None
            )
            if child in self._folders:
                self._write(child, path, target / name, source, late)
            else:
                (target / name).write_bytes(self._contents.get(child, b""))
