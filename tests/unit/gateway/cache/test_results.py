"""Answers as bytes: every field of every point comes back as it was."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.gateway.cache.codecs import Unreadable
from hanax.gateway.cache.results import BATCH, GROUPS, SEARCH
from hanax.gateway.grouping import Group, GroupedResult
from hanax.gateway.hits import Hit, SearchResult
from hanax.gateway.records import Record

METADATA = b'{"a":18446744073709551615,"b":1e400,"c":"\\u00e9","a":1}'


def record(number: int, **fields: Any) -> Record:
    random = np.random.default_rng(number)
    full: dict[str, Any] = {
        "id": 2**64 - 1 - number,
        "metadata": METADATA,
        "vector": random.standard_normal(5).astype(np.float32),
        "created_at_us": 1_700_000_000_000_001,
        "updated_at_us": 1_700_000_000_000_002,
        "version": 2**63 + number,
        "expires_at_us": None,
    }
    return Record(**{**full, **fields})


def same(left: Record, right: Record) -> bool:
    for field in dataclasses.fields(Record):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if isinstance(one, np.ndarray):
            if one.dtype != other.dtype or one.tobytes() != other.tobytes():
                return False
        elif one != other or type(one) is not type(other):
            return False
    return True


RESULT = SearchResult(
    [
        Hit(0.1 + 0.2, record(1)),
        Hit(-1e-300, record(2, id="a string", expires_at_us=1_900_000_000_000_000)),
        Hit(0.0, record(3, id="f0e1d2c3-0000-4000-8000-000000000000", metadata=None, vector=None)),
        Hit(0.0, record(4, version=None, metadata=b"{}")),
    ],
    truncated=True,
    has_more=False,
    total=12,
    total_is_exact=False,
)


def test_every_field_of_a_result_comes_back() -> None:
    """What a search tells of itself is not kept; a field that is new has to find its place in the codec."""
    back = SEARCH.decode(SEARCH.encode(RESULT))
    for field in dataclasses.fields(SearchResult):
        if field.name != "hits":
            assert getattr(back, field.name) == getattr(RESULT, field.name), field.name
    assert [hit.score for hit in back.hits] == [hit.score for hit in RESULT.hits]
    assert all(same(one.record, other.record) for one, other in zip(back.hits, RESULT.hits, strict=True))


def test_batches_and_groups_come_back() -> None:
    empty = SearchResult([])
    results = BATCH.decode(BATCH.encode([RESULT, empty]))
    assert len(results[0].hits) == 4
    assert results[1] == empty
    grouped = GroupedResult([Group(b'"Ann"', RESULT.hits), Group(b"7", [])], False)
    back = GROUPS.decode(GROUPS.encode(grouped))
    assert [(group.value, len(group.hits)) for group in back.groups] == [(b'"Ann"', 4), (b"7", 0)]
    assert same(back.groups[0].hits[3].record, RESULT.hits[3].record)


def test_an_answer_ends_with_the_first_of_its_points() -> None:
    assert SEARCH.ends_at_us(SearchResult([])) == math.inf
    assert SEARCH.ends_at_us(RESULT) == 1_900_000_000_000_000
    assert BATCH.ends_at_us([SearchResult([]), RESULT]) == 1_900_000_000_000_000
    assert GROUPS.ends_at_us(GroupedResult([Group(b"1", RESULT.hits)], False)) == 1_900_000_000_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        bytes(40),
        b"\xff\xff\xff\xff{}",
        SEARCH.encode(RESULT)[:-1],
        SEARCH.encode(RESULT) + b"x",
        SEARCH.encode(RESULT)[:50],
        *(
            len(document).to_bytes(4, "little") + document
            for document in (
                orjson.dumps({"lengths": [], "data": data})
                for data in (None, [], [[[1]], 0, 0, 0, 0], [[[0.5, 1, 3, None, 0, 0, 0, 0]], 0, 0, 0, 0])
            )
        ),
    ],
)
def test_bytes_that_are_no_answer_are_told(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        SEARCH.decode(raw)
