"""Point ids: the stored form, which can't change, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.core.errors import InvalidId
from hanax.core.ids import PointId, decode_id, encode_id, hash_of, slot_of
from hanax.core.limits import MAX_ID_BYTES, SLOTS

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

# Written down by hand once: a change here moves every stored point to another place.
STORED = [
    (0, b"\x01" + bytes(8), 3547760990396968576, 640),
    (7, b"\x01" + bytes(7) + b"\x07", 7922164788655237382, 262),
    (2**64 - 1, b"\x01" + b"\xff" * 8, 6027492765397423756, 652),
    ("7", b"\x037", 5491629946382096169, 809),
    ("point é", b"\x03point \xc3\xa9", 4356330035153688130, 578),
    (UUID, b"\x02" + bytes.fromhex(UUID.replace("-", "")), 5805830725880869011, 147),
]


@pytest.mark.parametrize(("value", "stored", "digest", "slot"), STORED)
def test_stored_form(value: PointId, stored: bytes, digest: int, slot: int) -> None:
    assert encode_id(value) == stored
    assert decode_id(stored) == value
    assert hash_of(stored) == digest
    assert slot_of(stored) == slot == digest % SLOTS


def test_a_uuid_is_the_same_in_upper_case_and_answered_in_lower_case() -> None:
    assert encode_id(UUID.upper()) == encode_id(UUID)
    assert decode_id(encode_id(UUID.upper())) == UUID


@pytest.mark.parametrize(
    "text",
    [
        UUID.replace("-", ""),
        "{" + UUID + "}",
        UUID[:-1],
        UUID[:-1] + "g",
        UUID.replace("-", "_"),
        UUID.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
    ],
)
def test_other_forms_of_a_uuid_are_plain_strings(text: str) -> None:
    assert encode_id(text) == b"\x03" + text.encode()
    assert decode_id(encode_id(text)) == text


def test_length_is_counted_in_bytes() -> None:
    assert decode_id(encode_id("é" * (MAX_ID_BYTES // 2))) == "é" * (MAX_ID_BYTES // 2)
    with pytest.raises(InvalidId, match=f"has 1 to {MAX_ID_BYTES} UTF-8 bytes, this one has 129") as caught:
        encode_id("a" * (MAX_ID_BYTES + 1))
    assert caught.value.details == {"got_bytes": MAX_ID_BYTES + 1}
    with pytest.raises(InvalidId, match="this one has 130"):
        encode_id("é" * (MAX_ID_BYTES // 2 + 1))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "this one has 0"),
        ("\ud800", "valid Unicode"),
        (-1, r"between 0 and 2\^64 - 1, got -1$"),
        (2**64, r"between 0 and 2\^64 - 1"),
        (10**400, r"between 0 and 2\^64 - 1"),
        pytest.param(10**5000, "got one of 16610 bits", id="10^5000"),
        pytest.param(-(10**5000), "got one of 16610 bits", id="-10^5000"),
        (True, "got true"),
        (1.0, "got the number 1.0"),
        (None, "got null"),
        (b"x", "got bytes"),
        ([1], "got a list"),
    ],
)
def test_bad_ids_are_named(value: Any, message: str) -> None:
    with pytest.raises(InvalidId, match=message) as caught:
        encode_id(value)
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x00abc",
        b"\x04abc",
        b"\x01",
        b"\x01" + bytes(7),
        b"\x01" + bytes(9),
        b"\x02" + bytes(15),
        b"\x02" + bytes(17),
        b"\x03",
        b"\x03" + b"a" * (MAX_ID_BYTES + 1),
        b"\x03\xff",
        b"\x03" + UUID.encode(),
        b"\x03" + UUID.upper().encode(),
    ],
)
def test_bytes_that_are_no_stored_form(stored: bytes) -> None:
    with pytest.raises(InvalidId):
        decode_id(stored)


ids = (
    st.integers(0, 2**64 - 1)
    | st.uuids().map(str)
    | st.text(st.characters(codec="utf-8"), min_size=1, max_size=32)
)


@given(ids)
def test_an_id_survives_its_stored_form(value: PointId) -> None:
    assert decode_id(encode_id(value)) == value
    assert type(decode_id(encode_id(value))) is type(value)


@given(ids, ids)
def test_different_ids_are_stored_differently(one: PointId, other: PointId) -> None:
    assert (encode_id(one) == encode_id(other)) is (one == other)


@given(st.binary(max_size=40))
def test_what_decodes_encodes_to_the_same_bytes(stored: bytes) -> None:
    try:
        value = decode_id(stored)
    except InvalidId:
        return
    assert encode_id(value) == stored


def test_slots_fill_evenly() -> None:
    counts = [0] * SLOTS
    for number in range(100 * SLOTS):
        counts[slot_of(encode_id(number))] += 1
    assert min(counts) > 50
    assert max(counts) < 150
