"""Lines of a text file, with their places: no line is held that is longer than a row may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from hanax.batch_processor.sources import MAX_ROW_BYTES
from hanax.core.errors import DataLoss

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_SKIPPED_AT_ONCE: Final = 64 * 1024


class Line(NamedTuple):
    """offset: of its first byte; number: from 1 on. data: without the end of line, which is `end`; too_long:
    cut.
    """

    offset: int
    number: int
    data: bytes
    too_long: bool
    end: bytes


class Lines:
    """Goes forward through a file from a place where a line begins. Close it.

    Raises DataLoss for a file that is gone, or can't be read.
    """

    def __init__(self, path: Path, offset: int = 0, number: int = 1) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise _unreadable(error) from None
        self._offset = offset
        self._number = number
        if offset == 0 and self._file.read(len(_UTF8_MARK)) == _UTF8_MARK:
            self._offset = len(_UTF8_MARK)
        self._file.seek(self._offset)

    def seek(self, offset: int, number: int) -> None:
        self._file.seek(offset)
        self._offset = offset
        self._number = number

    def next(self) -> Line | None:
        """None: the file is over."""
        try:
            data = self._file.readline(MAX_ROW_BYTES + 1)
        except OSError as error:
            raise _unreadable(error) from None
        if not data:
            return None
        offset, size = self._offset, len(data)
        too_long = not data.endswith(b"\n") and size > MAX_ROW_BYTES
        if too_long:
            size += self._skip_rest()
        text = data.rstrip(b"\r\n")
        line = Line(offset, self._number, text, too_long, data[len(text) :])
        self._offset += size
        self._number += 1
        return line

    def _skip_rest(self) -> int:
        skipped = 0
        while piece := self._file.readline(_SKIPPED_AT_ONCE):
            skipped += len(piece)
            if piece.endswith(b"\n"):
                break
        return skipped

    def __iter__(self) -> Iterator[Line]:
        while (line := self.next()) is not None:
            yield line

    def close(self) -> None:
        self._file.close()


def _unreadable(error: OSError) -> DataLoss:
    return DataLoss(f"the upload can't be read: {error.strerror}")
