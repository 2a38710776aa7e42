"""Searches that ask the same go together, and each gets its own answer, failure or end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import DeadlineExceeded, Internal, ResourceExhausted, Unavailable
from hanax.core.limits import SLOTS
from hanax.core.routing import CollectionRoute, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.joined_searches import JoinedSearches
from hanax.gateway.shards import Shards
from tests.integration.waiting import until

ROUTE = CollectionRoute(
    uid="u",
    spec=CollectionSpec(name="docs", dimension=1),
    shards=(ShardRoute(shard=0, first_slot=0, last_slot=SLOTS - 1, replicas=("shard-0",)),),
)


class Line(Shards):
    """A shard that holds each question until it is let go, and answers each query with its own number."""

    def __init__(self) -> None:
        self.asked: list[list[float]] = []
        self.may_go = asyncio.Event()
        self.failures: list[Exception] = []

    async def ask(
        self, call: Call, route: CollectionRoute, method: Callable[..., Any], questions: Mapping[int, Any]
    ) -> list[Any]:
        queries = np.frombuffer(questions[0].queries_float32_le, "<f4").tolist()
        self.asked.append(queries)
        await self.may_go.wait()
        if self.failures and len(queries) > 1:
            raise self.failures.pop()
        return [pb.SearchResponse(results=[pb.Hits(distances=[query]) for query in queries])]


def _call(seconds: float = 60.0) -> Call:
    call = Call("r", time.monotonic)
    call.grant(seconds)
    return call


async def _search(joined: JoinedSearches, number: float, limit: int = 10, call: Call | None = None) -> float:
    question = pb.SearchRequest(limit=limit)
    answered = await joined.ask(call or _call(), ROUTE, question, np.array([[number]], np.float32))
    (hits,) = answered.hits
    return float(hits.distances[0])


async def _begin(joined: JoinedSearches, numbers: range, limit: int = 10) -> list[asyncio.Task[float]]:
    tasks = [asyncio.create_task(_search(joined, number, limit)) for number in numbers]
    # One turn of the event loop: each is asked, or waits.
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_others_are_under_way_goes_with_those_who_wait() -> None:
    line = Line()
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(7))
    assert line.asked == [[0.0], [1.0]]
    line.may_go.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5, 6]
    assert line.asked == [[0.0], [1.0], [2.0, 3.0, 4.0, 5.0, 6.0]]


async def test_what_is_not_asked_alike_does_not_go_together() -> None:
    line = Line()
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(3), limit=10) + await _begin(joined, range(3, 6), limit=11)
    line.may_go.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5]
    assert sorted(map(len, line.asked)) == [1] * 6


async def test_together_they_ask_for_no_more_than_one_may() -> None:
    line = Line()
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(9), limit=400)
    line.may_go.set()
    await asyncio.gather(*tasks)
    assert max(map(len, line.asked)) == 2


async def test_each_is_told_of_a_failure_and_the_next_are_asked() -> None:
    line = Line()
    line.failures = [Unavailable("gone", shard=0)]
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(5))
    line.may_go.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert ended[:2] == [0, 1]
    failures = [one for one in ended[2:] if isinstance(one, Unavailable)]
    assert [(one.message, one.details) for one in failures] == [("gone", {"shard": 0})] * 3
    assert len({id(one) for one in failures}) == 3
    assert await _search(joined, 9) == 9


async def test_a_defect_is_told_as_one_to_all_who_went_together() -> None:
    line = Line()
    line.failures = [TypeError("expected another thing")]
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(4))
    line.may_go.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended[2:]] == [Internal, Internal]
    assert await _search(joined, 9) == 9


async def test_what_is_too_much_together_is_asked_one_by_one() -> None:
    line = Line()
    line.failures = [ResourceExhausted("too large an answer")]
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(4))
    line.may_go.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3]
    assert sorted(map(len, line.asked)) == [1, 1, 1, 1, 2]


async def test_who_leaves_is_left_out_and_holds_up_nobody() -> None:
    line = Line()
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(5))
    tasks[0].cancel()
    tasks[3].cancel()
    line.may_go.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == [1, 2, 4]
    assert line.asked[2:] == [[2.0, 4.0]]


async def test_who_waits_has_a_deadline_of_its_own() -> None:
    line = Line()
    joined = JoinedSearches(line, time.monotonic)
    tasks = await _begin(joined, range(2))
    with pytest.raises(DeadlineExceeded):
        await _search(joined, 3, call=_call(0.01))
    line.may_go.set()
    assert await asyncio.gather(*tasks) == [0, 1]


async def test_a_question_that_hangs_holds_up_nobody_else() -> None:
    line = Line()
    joined = JoinedSearches(line, time.monotonic)
    hang = await _begin(joined, range(2))
    waiting = [asyncio.create_task(_search(joined, number)) for number in range(2, 5)]
    await until("those that waited are asked", lambda: len(line.asked) == 3)
    assert line.asked == [[0.0], [1.0], [2.0, 3.0, 4.0]]
    line.may_go.set()
    assert await asyncio.gather(*hang, *waiting) == [0, 1, 2, 3, 4]
    assert await _search(joined, 9) == 9
