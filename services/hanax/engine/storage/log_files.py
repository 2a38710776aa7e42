"""Files of the log: what stands in one, and reading it (docs/formats/shard.md).

A file is a header and records, and a record a header and its payload. Each header ends in its checksum.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import xxhash

from hanax.core.errors import DataLoss
from hanax.engine.storage.records import Buffer

_FORMAT = 1

_FILE_HEADER = struct.Struct("<8sIIQ")
_RECORD_HEADER = struct.Struct("<4sIQQQ")
_CHECKSUM = struct.Struct("<Q")
_FILE_MAGIC = b"HANAXLOG"
_RECORD_MAGIC = b"HXRC"
FILE_HEADER_BYTES = _FILE_HEADER.size + _CHECKSUM.size
RECORD_HEADER_BYTES = _RECORD_HEADER.size + _CHECKSUM.size
# What a file system leaves unwritten after a power cut reads as zeros, page by page. A few zeros at
# the edge of a page may be data.
_PAGE_BYTES = 4096
_TELLING_ZEROS = 64


def file_header(first: int) -> bytes:
    """first: the sequence of the file's first record."""
    header = _FILE_HEADER.pack(_FILE_MAGIC, _FORMAT, 0, first)
    return header + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(header))


def record_header(sequence: int, durable: int, payload: Sequence[Buffer]) -> bytes:
    """What stands before the payload. durable: the last sequence that was synced when this was written."""
    digest = xxhash.xxh3_64()
    length = 0
    for piece in payload:
        digest.update(piece)
        length += len(piece)
    header = _RECORD_HEADER.pack(_RECORD_MAGIC, length, sequence, durable, digest.intdigest())
    return header + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(header))


class LogFileReader:
    """Reads one file from start to end, and cuts a torn tail when it is the last one."""

    def __init__(self, path: Path, is_last: bool) -> None:
        self._path = path
        self._is_last = is_last
        self._data = path.read_bytes()
        self.first_sequence = self._read_header()

    def _read_header(self) -> int | None:
        header = self._data[:FILE_HEADER_BYTES]
        # The header is durable before the first record is written.
        begun = len(self._data) == len(header) and not any(header)
        if self._is_last and (begun or len(header) < FILE_HEADER_BYTES):
            return None
        fields, checksum = header[: _FILE_HEADER.size], header[_FILE_HEADER.size :]
        if checksum != _CHECKSUM.pack(xxhash.xxh3_64_intdigest(fields)):
            raise self._damage(0, "its header is damaged")
        magic, version, _, first = _FILE_HEADER.unpack(fields)
        if magic != _FILE_MAGIC or version != _FORMAT or int(self._path.stem) != first:
            raise self._damage(0, f"it is not a log of format {_FORMAT} that starts at its name")
        return int(first)

    def records(self) -> Iterator[tuple[int, bytes]]:
        assert self.first_sequence is not None
        data, at, expected = self._data, FILE_HEADER_BYTES, self.first_sequence
        while at < len(data):
            header = _parse_record_header(data, at)
            if header is None:
                self._cut_or_raise(at, len(data), expected)
                return
            end = at + RECORD_HEADER_BYTES + header.length
            if header.sequence != expected:
                raise self._damage(at, f"expected sequence {expected}, found {header.sequence}")
            payload = data[at + RECORD_HEADER_BYTES : end]
            if len(payload) < header.length or xxhash.xxh3_64_intdigest(payload) != header.checksum:
                self._cut_or_raise(at, end, expected)
                return
            yield expected, payload
            at, expected = end, expected + 1

    def _cut_or_raise(self, at: int, end: int, sequence: int) -> None:
        """Cut the tail at `at` if it is the torn write of records that were never acknowledged."""
        torn = end > len(self._data) or len(self._data) - at < RECORD_HEADER_BYTES
        if self._is_last and (torn or self._has_unwritten_page(at)) and not self._was_durable(at, sequence):
            with self._path.open("r+b") as file:
                file.truncate(at)
                os.fsync(file.fileno())
            return
        raise self._damage(at, f"record {sequence} is damaged")

    def _has_unwritten_page(self, at: int) -> bool:
        size = len(self._data)
        for start in (at, *range(-(-at // _PAGE_BYTES) * _PAGE_BYTES, size, _PAGE_BYTES)):
            part = self._data[start : (start // _PAGE_BYTES + 1) * _PAGE_BYTES]
            # No record begins with zeros.
            telling = len(_RECORD_MAGIC) if start == at else _TELLING_ZEROS
            if len(part) >= telling and not any(part):
                return True
        return False

    def _was_durable(self, at: int, sequence: int) -> bool:
        """Whether a later record says that `sequence` had been synced before it was written."""
        while (at := self._data.find(_RECORD_MAGIC, at + 1)) >= 0:
            header = _parse_record_header(self._data, at)
            if header is not None and header.durable >= sequence:
                return True
        return False

    def _damage(self, at: int, what: str) -> DataLoss:
        return DataLoss(f"{self._path} at byte {at}: {what}", path=str(self._path), offset=at)


class _RecordHeader(NamedTuple):
    length: int
    sequence: int
    durable: int
    checksum: int


def _parse_record_header(data: bytes, at: int) -> _RecordHeader | None:
    """None when there is no whole header."""
    header = data[at : at + RECORD_HEADER_BYTES]
    if len(header) < RECORD_HEADER_BYTES or header[:4] != _RECORD_MAGIC:
        return None
    fields, checksum = header[: _RECORD_HEADER.size], header[_RECORD_HEADER.size :]
    if checksum != _CHECKSUM.pack(xxhash.xxh3_64_intdigest(fields)):
        return None
    _, length, sequence, durable, digest = _RECORD_HEADER.unpack(fields)
    return _RecordHeader(length, sequence, durable, digest)
