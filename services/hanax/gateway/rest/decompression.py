"""Bodies that come compressed, in portions of bounded size whatever they unpack to.

gzip: RFC 1952, any number of members up to MAX_PARTS; zstd: RFC 8878, frames, with windows up to 8 MiB as
RFC 9659 has it for HTTP. Neither trusts the size that a body says it has.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import zstandard

from hanax.core.errors import InvalidEncoding

# Of one portion that is handed on.
PORTION_BYTES: Final = 256 * 1024
# An empty member takes 20 bytes: a body of nothing else would unpack to nothing, at length.
MAX_PARTS: Final = 1_024

# 16 more than the window's 15: with the head and checksum of gzip.
_GZIP: Final = 31
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
# A block of 128 KiB may take 4 bytes, and the library unpacks all that it is given: at most 8 MiB of this.
_ZSTD_SLICE: Final = 256


class Unpacking(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` unpacks to, in portions. Raises InvalidEncoding."""
        ...

    def end(self) -> None:
        """No more comes. Raises InvalidEncoding where something is missing."""
        ...


class Gzip:
    def __init__(self) -> None:
        self._object = zlib.decompressobj(_GZIP)
        self._parts = 1
        self._began = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._object.eof:
                self._parts = _one_more(self._parts)
                self._object = zlib.decompressobj(_GZIP)
            self._began = True
            try:
                portion = self._object.decompress(data, PORTION_BYTES)
            except zlib.error as error:
                raise InvalidEncoding(f"the body is not gzip: {error}") from None
            data = self._object.unused_data if self._object.eof else self._object.unconsumed_tail
            if portion:
                yield portion
        # A full portion may have left more inside.
        while self._began and not self._object.eof:
            portion = self._object.decompress(b"", PORTION_BYTES)
            if not portion:
                return
            yield portion

    def end(self) -> None:
        if not self._object.eof:
            raise InvalidEncoding("the body is not gzip: it ends too early")


class Zstd:
    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._object = self._context.decompressobj()
        self._parts = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            yield from self._slice(data[start : start + _ZSTD_SLICE])

    def _slice(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._object.eof:
                self._parts = _one_more(self._parts)
                self._object = self._context.decompressobj()
            try:
                portion = self._object.decompress(data)
            except zstandard.ZstdError as error:
                raise InvalidEncoding(f"the body is not zstd: {error}") from None
            data = self._object.unused_data if self._object.eof else b""
            for begin in range(0, len(portion), PORTION_BYTES):
                yield portion[begin : begin + PORTION_BYTES]

    def end(self) -> None:
        if not self._object.eof:
            raise InvalidEncoding("the body is not zstd: it ends too early")


def unpacking(encoding: str) -> Unpacking | None:
    """For a Content-Encoding in small letters; None: it is not read here."""
    if encoding in ("gzip", "x-gzip"):
        return Gzip()
    return Zstd() if encoding == "zstd" else None


def _one_more(parts: int) -> int:
    if parts == MAX_PARTS:
        raise InvalidEncoding(f"the body has more than {MAX_PARTS} compressed parts")
    return parts + 1
