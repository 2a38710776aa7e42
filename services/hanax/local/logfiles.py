"""What services print: one file each, bounded, with one older part kept beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# About a day of request logs at one line a second; two of them per service stay small.
MAX_LOG_BYTES = 16 * 1024 * 1024

_READ_BYTES = 65_536


def open_log(path: Path) -> BinaryIO:
    """Open for appending: who writes through it goes on at the start after `bound_log`."""
    return path.open("ab", buffering=0)


def bound_log(path: Path) -> None:
    """Move what is there to `<name>.1` once it is past MAX_LOG_BYTES.

    By copying and cutting, since a running process holds the file open; a line written between
    the two is lost.
    """
    try:
        if path.stat().st_size <= MAX_LOG_BYTES:
            return
    except FileNotFoundError:
        return
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)


def last_lines(path: Path, count: int) -> list[str]:
    """Return up to `count` lines from the end; none where there is no file."""
    text = b""
    try:
        with path.open("rb") as file:
            left = file.seek(0, os.SEEK_END)
            # The last line may end in one more.
            while left and text.count(b"\n") <= count:
                size = min(_READ_BYTES, left)
                left = file.seek(left - size)
                text = file.read(size) + text
    except FileNotFoundError:
        return []
    lines = text.decode(errors="replace").splitlines()
    return lines[-count:] if count > 0 else []


def older_lines(path: Path) -> Iterator[str]:
    """All that is kept of a log, the oldest first."""
    for part in (path.with_name(path.name + ".1"), path):
        with suppress(FileNotFoundError), part.open(encoding="utf-8", errors="replace") as file:
            yield from (line.rstrip("\n") for line in file)


class LogFollower:
    """Reads what is appended to one file. Bytes after the last line end wait for the rest."""

    def __init__(self, path: Path) -> None:
        """Start at the present end."""
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """Yield the lines that are new since the last call."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    self._offset, self._rest = 0, b""
                file.seek(self._offset)
                while part := file.read(_READ_BYTES):
                    self._offset += len(part)
                    *whole, self._rest = (self._rest + part).split(b"\n")
                    for line in whole:
                        yield line.decode(errors="replace")
        except FileNotFoundError:
            self._offset, self._rest = 0, b""
