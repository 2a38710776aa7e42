"""Answers that leave compressed: what a client accepts, and the packing itself."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final, Literal, Protocol

import zstandard

Encoding = Literal["gzip", "zstd"]

# Fast ones: what they save beyond is less than the time that slower ones take.
_GZIP_LEVEL: Final = 1
_ZSTD_LEVEL: Final = 3
_GZIP: Final = 31


class Packing(Protocol):
    def feed(self, data: bytes) -> bytes:
        """All of `data`, so that whoever reads on gets it now."""
        ...

    def end(self, data: bytes) -> bytes:
        """The last of it."""
        ...


class Gzip:
    def __init__(self) -> None:
        self._object = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)

    def feed(self, data: bytes) -> bytes:
        return self._object.compress(data) + self._object.flush(zlib.Z_SYNC_FLUSH)

    def end(self, data: bytes) -> bytes:
        return self._object.compress(data) + self._object.flush()


class Zstd:
    def __init__(self) -> None:
        self._object = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()

    def feed(self, data: bytes) -> bytes:
        return self._object.compress(data) + self._object.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self, data: bytes) -> bytes:
        return self._object.compress(data) + self._object.flush()


def packing(encoding: Encoding) -> Packing:
    return Gzip() if encoding == "gzip" else Zstd()


@lru_cache(maxsize=256)
def chosen(accepted: bytes) -> Encoding | None:
    """The best that an Accept-Encoding takes (RFC 9110, 12.5.3), zstd where both are as good; None: as it is.

    What can't be read of it counts as not said.
    """
    weights: dict[str, float] = {}
    for part in accepted.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip()] = _weight(parameters)
    other = weights.get("*", 0.0)
    zstd, gzip = weights.get("zstd", other), weights.get("gzip", weights.get("x-gzip", other))
    if max(zstd, gzip) <= 0.0 or weights.get("identity", 0.0) > max(zstd, gzip):
        return None
    return "zstd" if zstd >= gzip else "gzip"


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
