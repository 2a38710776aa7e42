"""Bodies: JSON as orjson reads it, NaN as some clients write it, and clients that stall."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from hanax.core.errors import Cancelled, DeadlineExceeded, InvalidJson
from hanax.gateway import bodies
from hanax.gateway.bodies import decode_json, read_json

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"))
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(_values)
def test_what_json_writes_is_read_whatever_the_numbers(value: object) -> None:
    read = decode_json(json.dumps(value).encode())
    # NaN is not equal to itself; its text is.
    assert repr(read) == repr(value)


@given(st.binary(max_size=30))
def test_bytes_are_json_or_refused_by_name(raw: bytes) -> None:
    with contextlib.suppress(InvalidJson):
        decode_json(raw)


def test_numbers_past_64_bits_become_floats_on_either_way() -> None:
    assert decode_json(b"[100000000000000000000]") == [1e20]
    mixed: Any = decode_json(b"[NaN, 100000000000000000000, 1e999, -Infinity]")
    assert math.isnan(mixed[0])
    assert mixed[1:] == [1e20, math.inf, -math.inf]
    assert decode_json(b"[NaN, 1" + b"0" * 400 + b"]")[1] == math.inf  # type: ignore[index]


def _request(messages: list[Message]) -> Request:
    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_a_client_that_stalls_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.05)
    with pytest.raises(DeadlineExceeded, match="did not arrive"):
        await read_json(_request([{"type": "http.request", "body": b"[1", "more_body": True}]))


async def test_a_client_that_goes_away_is_no_defect() -> None:
    with pytest.raises(Cancelled):
        await read_json(_request([{"type": "http.disconnect"}]))


async def test_chunks_are_put_together() -> None:
    chunks = [b'{"a"', b": [1, ", b"2]}"]
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False
    assert await read_json(_request(messages)) == {"a": [1, 2]}
