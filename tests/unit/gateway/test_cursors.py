"""Cursors come back as they went, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.core.errors import InvalidCursor
from hanax.core.ids import encode_id
from hanax.gateway.cursors import decode_cursor, encode_cursor

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
