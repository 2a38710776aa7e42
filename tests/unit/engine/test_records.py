"""A record's payload: there and back, in the documented bytes, and refused when it does not add up."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from hanax.core.errors import DataLoss
from hanax.engine.storage.records import Kind, Record, decode_record, encode_record

IDS = [b"\x01" + bytes(8), b"\x03a", b"\x03" + b"x" * 128]
METADATA = [b"{}", b'{"a":1}', b'{"b":"' + b"y" * 500 + b'"}']
ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def payload_of(record: Record) -> bytes:
    return b"".join(encode_record(record))


UPSERT = Record(Kind.UPSERT, 1_700_000_000_000_001, IDS, METADATA, {"default": ROWS, "other": ROWS[:, :1]})
UPDATE = Record(Kind.METADATA, -5, IDS, METADATA, {})
DELETE = Record(Kind.DELETE, 7, IDS, [], {})
EXPIRIES = np.array([0, 5, 2**62])
MORTAL = Record(Kind.UPSERT, 7, IDS, METADATA, {"default": ROWS}, EXPIRIES)


@pytest.mark.parametrize("record", [UPSERT, UPDATE, DELETE], ids=lambda record: record.kind.name)
def test_there_and_back(record: Record) -> None:
    back = decode_record(payload_of(record))
    assert (back.kind, back.time_us, back.ids, back.metadata) == (
        record.kind,
        record.time_us,
        record.ids,
        record.metadata,
    )
    assert list(back.vectors) == list(record.vectors)
    for name, rows in record.vectors.items():
        assert back.vectors[name].dtype == np.float32
        np.testing.assert_array_equal(back.vectors[name], rows)


def test_the_bytes_are_those_of_the_format_document() -> None:
    expected = struct.pack("<BBHIq", 1, 2, 0, 3, 1_700_000_000_000_001)
    expected += bytes([9, 2, 129]) + b"".join(IDS)
    expected += struct.pack("<3I", *map(len, METADATA)) + b"".join(METADATA)
    expected += b"\x07default" + struct.pack("<I6f", 2, *range(6))
    expected += b"\x05other" + struct.pack("<I3f", 1, 0, 2, 4)
    assert payload_of(UPSERT) == expected
    assert payload_of(DELETE) == struct.pack("<BBHIq", 3, 0, 0, 3, 7) + bytes([9, 2, 129]) + b"".join(IDS)


def test_vectors_are_not_copied() -> None:
    last = encode_record(UPSERT)[2]
    assert isinstance(last, memoryview)
    assert np.shares_memory(np.frombuffer(last, np.float32), ROWS)


def test_times_of_expiry_come_before_the_vectors() -> None:
    back = decode_record(payload_of(MORTAL))
    assert back.expires_at_us is not None
    assert back.expires_at_us.tolist() == EXPIRIES.tolist()
    np.testing.assert_array_equal(back.vectors["default"], ROWS)
    assert decode_record(payload_of(UPSERT)).expires_at_us is None
    expected = struct.pack("<BBBxIq", 1, 1, 1, 3, 7) + bytes([9, 2, 129]) + b"".join(IDS)
    expected += struct.pack("<3I", *map(len, METADATA)) + b"".join(METADATA) + struct.pack("<3q", *EXPIRIES)
    assert payload_of(MORTAL) == expected + b"\x07default" + struct.pack("<I6f", 2, *range(6))


def test_sections_of_another_version_are_refused() -> None:
    payload = bytearray(payload_of(DELETE))
    payload[2] = 2
    with pytest.raises(DataLoss, match="sections"):
        decode_record(bytes(payload))


@pytest.mark.parametrize("record", [UPSERT, UPDATE, DELETE, MORTAL], ids=lambda record: record.kind.name)
def test_any_other_length_is_refused(record: Record) -> None:
    payload = payload_of(record)
    for cut in range(len(payload)):
        with pytest.raises(DataLoss, match="does not add up"):
            decode_record(payload[:cut])
    with pytest.raises(DataLoss, match="1 bytes are left over"):
        decode_record(payload + b"\0")


def test_an_unknown_kind_is_refused() -> None:
    payload = bytearray(payload_of(DELETE))
    payload[0] = 9
    with pytest.raises(DataLoss):
        decode_record(bytes(payload))
