"""Lines of a body, however it is cut on its way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive

from hanax.core.errors import Cancelled, InvalidArgument
from hanax.gateway.insert_streams import Part
from hanax.gateway.rest.lines import MAX_LINE_BYTES, Lines


def receiving(pieces: Sequence[bytes]) -> Receive:
    left = iter(pieces)

    async def receive() -> Message:
        piece = next(left, None)
        if piece is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": piece, "more_body": True}

    return receive


async def read(pieces: Sequence[bytes], most: int) -> list[Part]:
    return [part async for part in Lines(receiving(pieces)).parts(most)]


LINES = st.lists(
    st.sampled_from([b'{"id": 1}', b"", b"  ", b"no json", b'{"id": "\xc3\xa9"}', b"[1, 2]", b"7"])
)


@given(lines=LINES, cuts=st.lists(st.integers(0, 200)), most=st.integers(1, 4), ends=st.booleans())
def test_every_line_comes_once_with_its_number(
    lines: list[bytes], cuts: list[int], most: int, ends: bool
) -> None:
    body = b"\n".join(lines) + (b"\n" if ends else b"")
    places = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(places)]
    parts = asyncio.run(read(pieces, most))
    assert all(0 < len(part.points) + len(part.faults) <= most for part in parts)
    found = {number: point for part in parts for number, point in zip(part.numbers, part.points, strict=True)}
    wrong = {fault.number for part in parts for fault in part.faults}
    expected = {number: line for number, line in enumerate(lines, 1) if line.strip()}
    assert found == {number: orjson.loads(line) for number, line in expected.items() if line != b"no json"}
    assert wrong == {number for number, line in expected.items() if line == b"no json"}


async def test_the_first_line_stays_to_be_read() -> None:
    lines = Lines(receiving([b'{"collect', b'ion": "a"}\n{"id"', b": 1}\n"]))
    assert await lines.first() == {"collection": "a"}
    assert await lines.first() == {"collection": "a"}
    lines.skip()
    (part,) = [part async for part in lines.parts(10)]
    assert (part.numbers, part.points) == ([2], [{"id": 1}])
    assert await Lines(receiving([])).first() is None
    assert await Lines(receiving([b"no json\n"])).first() is None


async def test_a_line_has_an_end() -> None:
    with pytest.raises(InvalidArgument, match="line 1: a line has at most"):
        await read([b"x" * 65_536] * (MAX_LINE_BYTES // 65_536 + 1), 10)


async def test_a_client_that_is_gone_ends_the_lines() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(Cancelled):
        await anext(Lines(receive).parts(10))
