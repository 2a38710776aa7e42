"""Which requests come back most often, in bounded memory."""

from __future__ import annotations

import numpy as np
import orjson

from hanax.gateway.cache.frequent import MAX_REQUEST_BYTES, MAX_REQUESTS, PLACES, Frequent
from hanax.gateway.requests import CountRequest, SearchRequest, parse_request


def request(number: int) -> CountRequest:
    return CountRequest(collection=f"c{number}")


def test_the_most_frequent_are_found_among_many() -> None:
    """Zipf's law over 20,000 requests, of which no more than PLACES have a count at a time."""
    frequent = Frequent()
    numbers = np.random.default_rng(7).zipf(1.2, 20_000)
    for number in numbers.tolist():
        frequent.count(b"%d" % number, "count", request(number))
    found = [orjson.loads(one.body)["collection"] for one in frequent.most(5)]
    assert found == ["c1", "c2", "c3", "c4", "c5"]


def test_requests_that_never_come_back_are_not_written_down() -> None:
    frequent = Frequent()
    for number in range(5 * PLACES):
        frequent.count(b"%d" % number, "count", request(number))
    assert frequent.most(1_000) == []


def test_what_was_frequent_makes_room_for_what_is() -> None:
    frequent = Frequent()
    for name in (b"old", b"new"):
        for _ in range(2):
            for number in range(2 * MAX_REQUESTS):
                for _ in range(3):
                    frequent.count(name + b"%d" % number, name.decode(), request(number))
        assert len(frequent.most(1_000)) == MAX_REQUESTS
        for number in range(20 * PLACES):
            frequent.count(b"noise %s %d" % (name, number), "count", request(number))
    assert not any(one.operation == "old" for one in frequent.most(1_000))


def test_a_request_that_is_too_large_is_not_written_down() -> None:
    frequent = Frequent()
    large = SearchRequest(collection="docs", text="x" * MAX_REQUEST_BYTES)
    for _ in range(9):
        frequent.count(b"large", "search", large)
        frequent.count(b"small", "search", SearchRequest(collection="docs", text="x", limit=3))
    (one,) = frequent.most(1_000)
    assert orjson.loads(one.body) == {"collection": "docs", "text": "x", "limit": 3}
    assert (one.operation, one.count) == ("search", 9)


def test_vectors_that_came_packed_are_written_down_as_numbers() -> None:
    """So that asking again is asking the same."""
    frequent = Frequent()
    numbers = np.random.default_rng(3).standard_normal(5).astype("<f4")
    packed = parse_request(SearchRequest, {"collection": "docs", "vector": numbers.tobytes(), "limit": 3})
    for _ in range(3):
        frequent.count(b"packed", "search", packed)
    (one,) = frequent.most(1)
    told = orjson.loads(one.body)
    assert np.array_equal(np.array(told.pop("vector"), np.float32), numbers)
    assert told == {"collection": "docs", "limit": 3}
