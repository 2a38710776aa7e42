"""Packing and unpacking: whatever is packed comes out again, in portions of bounded size."""

from __future__ import annotations

import gzip
import random

import pytest
import zstandard

from hanax.core.errors import InvalidEncoding
from hanax.gateway.rest.compression import Encoding, packing
from hanax.gateway.rest.decompression import PORTION_BYTES, Unpacking, unpacking

ENCODINGS: list[Encoding] = ["gzip", "zstd"]


def opened(encoding: str) -> Unpacking:
    found = unpacking(encoding)
    assert found is not None
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_packed_portion_by_portion_can_be_read_so(encoding: Encoding) -> None:
    generator = random.Random(7)
    pack, unpack = packing(encoding), opened(encoding)
    for _ in range(50):
        line = generator.randbytes(generator.randrange(1, 5_000))
        assert b"".join(unpack.feed(pack.feed(line))) == line
    assert b"".join(unpack.feed(pack.end(b"last"))) == b"last"
    unpack.end()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_portion_is_larger_than_the_bound(encoding: Encoding) -> None:
    """Also of what unpacks to a thousand times its size, however it is cut."""
    whole = b"\0" * (9 * 1024 * 1024 + 7)
    packed = gzip.compress(whole) if encoding == "gzip" else zstandard.compress(whole)
    for step in (1, 7, 1_000, len(packed)):
        unpack = opened(encoding)
        sizes = [
            len(portion)
            for start in range(0, len(packed), step)
            for portion in unpack.feed(packed[start : start + step])
        ]
        unpack.end()
        assert sum(sizes) == len(whole)
        assert max(sizes) <= PORTION_BYTES


def test_a_window_past_what_http_allows_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=25)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(random.Random(7).randbytes(64 * 1024 * 1024)) + packer.flush()
    with pytest.raises(InvalidEncoding, match="not zstd"):
        for _ in opened("zstd").feed(packed):
            pass


def test_what_is_read() -> None:
    assert unpacking("x-gzip") is not None
    assert unpacking("br") is None
    assert unpacking("") is None
