"""Cursors come back as they went, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.core.errors import InvalidCursor
from hanax.core.field_order import TEXT_KEY, Key, key_to_json
from hanax.core.ids import encode_id
from hanax.gateway.cursors import (
    OrderedStart,
    decode_cursor,
    decode_ordered,
    decode_value_cursor,
    encode_cursor,
    encode_ordered,
    encode_value_cursor,
)

ids = st.integers(0, 2**64 - 1) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=32)


@given(ids, st.uuids())
def test_a_cursor_comes_back(point_id: int | str, uid: object) -> None:
    encoded = encode_id(point_id)
    assert decode_cursor(encode_cursor(str(uid), encoded), str(uid)) == encoded


def test_a_cursor_is_safe_in_a_url() -> None:
    cursor = encode_cursor("uid", b"\x03" + "\u00ff\u00fe".encode() * 20)
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60))
def test_no_text_passes_for_a_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(text, "uid")


@given(ids, st.data())
def test_a_changed_cursor_is_refused(point_id: int | str, data: st.DataObject) -> None:
    cursor = encode_cursor("uid", encode_id(point_id))
    # The last character may carry bits that decode to nothing.
    place = data.draw(st.integers(0, len(cursor) - 2))
    other = data.draw(st.sampled_from("ABCDwxyz0189-_").filter(lambda c: c != cursor[place]))
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor[:place] + other + cursor[place + 1 :], "uid")


def test_a_cursor_of_another_collection_is_told_apart() -> None:
    with pytest.raises(InvalidCursor, match="another collection"):
        decode_cursor(encode_cursor("one", encode_id(7)), "two")


def test_an_endless_cursor_is_refused_undecoded() -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor("A" * 10_000_000, "uid")


keys = (
    st.builds(
        Key, st.just(0), st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    )
    | st.builds(Key, st.just(1), st.integers(-(2**55), 2**55))
    | st.builds(Key, st.just(2), st.text(st.characters(codec="utf-8"), max_size=TEXT_KEY))
    | st.builds(Key, st.just(3), st.integers(0, 1))
    | st.just(Key(4, 0))
)


@given(keys, ids)
def test_a_cursor_of_an_order_comes_back(key: Key, point_id: int | str) -> None:
    last = OrderedStart(key_to_json(key), encode_id(point_id))
    assert decode_ordered(encode_ordered("uid", "asc year", last), "uid", "asc year") == last


def test_the_longest_key_fits_a_cursor() -> None:
    for character in ("\U0010ffff", "\x01", "\u20ac"):
        last = OrderedStart(key_to_json(Key(2, character * TEXT_KEY)), encode_id("i" * 128))
        assert decode_ordered(encode_ordered("uid", "asc a", last), "uid", "asc a") == last


@pytest.mark.parametrize("value", [b"null", b"true", b"-7", b"0.5", b'"' + b"x" * 65_000 + b'"'])
def test_a_cursor_of_values_comes_back(value: bytes) -> None:
    assert decode_value_cursor(encode_value_cursor("uid", "tags", value), "uid", "tags") == value


@given(st.text(max_size=60))
def test_no_text_passes_for_the_other_cursors(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_ordered(text, "uid", "asc year")
    with pytest.raises(InvalidCursor):
        decode_value_cursor(text, "uid", "year")


def test_a_cursor_of_another_order_is_told_apart() -> None:
    cursor = encode_ordered("uid", "asc year", OrderedStart(b"[0,1]", encode_id(7)))
    with pytest.raises(InvalidCursor, match="another field, or in another direction"):
        decode_ordered(cursor, "uid", "desc year")
    with pytest.raises(InvalidCursor, match="another order"):
        decode_cursor(cursor, "uid")
    with pytest.raises(InvalidCursor, match="another collection"):
        decode_ordered(cursor, "other", "asc year")
