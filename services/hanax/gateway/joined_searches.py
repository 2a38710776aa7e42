"""Searches that ask the same of the same collection, put to its shards together.

A question to a shard costs as much as looking for what is near, and one with a dozen queries hardly more than
one with a single query. So while some are under way, those that come wait and then go together. Nobody waits
for others to come: whoever finds the way free goes at once, alone. Nor does anybody wait for a question that
hangs: after a tenth of a second it no longer keeps others back.

Only queries may differ: filter, limit, what is answered and how hard the index tries are the same. Together
they ask for no more points than one search may.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import DeadlineExceeded, HanaxError, ResourceExhausted, Unavailable
from hanax.core.limits import MAX_BATCH_QUERIES, MAX_SEARCH_LIMIT
from hanax.core.routing import CollectionRoute
from hanax.gateway.calls import Call
from hanax.gateway.failure_log import log_defect
from hanax.gateway.shards import Shards, for_each_shard
from hanax.gateway.vectors import Matrix, float32_le

# Questions of one kind under way at once: a shard computes some while another is on its way.
_AT_ONCE: Final = 2
_KEEPS_BACK_S: Final = 0.1

_Key = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True)
class Answered:
    """Of each shard its answer, in which this query's hits are those of number `row`."""

    answers: list[pb.SearchResponse]
    row: int

    @property
    def hits(self) -> list[pb.Hits]:
        return [answer.results[self.row] for answer in self.answers]


@dataclass(slots=True)
class _Waiting:
    """end: None: it had better ask alone."""

    call: Call
    matrix: Matrix
    end: asyncio.Future[Answered | None]


@dataclass(slots=True)
class _Line:
    """Those who ask the same."""

    route: CollectionRoute
    question: pb.SearchRequest
    under_way: int = 0
    waiting: deque[_Waiting] = field(default_factory=deque)

    def take(self) -> list[_Waiting]:
        """Those who go together next; whoever has left in the meantime is left out."""
        most = max(1, min(MAX_BATCH_QUERIES, MAX_SEARCH_LIMIT // self.question.limit))
        taken: list[_Waiting] = []
        while self.waiting and len(taken) < most:
            one = self.waiting.popleft()
            if not one.end.done():
                taken.append(one)
        return taken


class _Way:
    """One question under way, which keeps others back until it ends or has taken too long."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left
        self._patience = asyncio.get_running_loop().call_later(_KEEPS_BACK_S, self.leave)
        self._is_left = False

    def leave(self) -> None:
        """The first time counts."""
        if not self._is_left:
            self._is_left = True
            self._patience.cancel()
            self._left()


class JoinedSearches:
    """For one event loop. `clock` is in seconds, as deadlines are."""

    def __init__(self, shards: Shards, clock: Callable[[], float]) -> None:
        self._shards = shards
        self._clock = clock
        self._lines: dict[_Key, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(
        self, call: Call, route: CollectionRoute, question: pb.SearchRequest, matrix: Matrix
    ) -> Answered:
        """One query, float32[1, d], to every shard. Raises as `Shards.ask`."""
        if question.explain or call.caller.forced is not None:
            # What is told of one search, and of a caller's own points, is for nobody else.
            return Answered(await self.ask_alone(call, route, question, matrix), 0)
        key = (route.uid, route.generation, question.SerializeToString(deterministic=True))
        line = self._lines.setdefault(key, _Line(route, question))
        if line.under_way >= _AT_ONCE:
            answered = await self._wait(call, line, matrix)
            if answered is not None:
                return answered
            return Answered(await self.ask_alone(call, route, question, matrix), 0)
        way = self._enter(key, line)
        try:
            return Answered(await self.ask_alone(call, route, question, matrix), 0)
        finally:
            way.leave()

    async def ask_alone(
        self, call: Call, route: CollectionRoute, question: pb.SearchRequest, matrix: Matrix
    ) -> list[pb.SearchResponse]:
        """The question for these queries, float32[q, d], to every shard."""
        queries = float32_le(matrix)

        def addressed(ref: pb.ShardRef) -> pb.SearchRequest:
            copy = pb.SearchRequest(ref=ref, queries_float32_le=queries)
            copy.MergeFrom(question)
            return copy

        questions = for_each_shard(route, addressed)
        answers = await self._shards.ask(call, route, lambda stub: stub.Search, questions)
        call.engine_s = max(answer.shard_seconds for answer in answers)
        return answers

    async def _wait(self, call: Call, line: _Line, matrix: Matrix) -> Answered | None:
        """None: it had better ask alone."""
        waiting = _Waiting(call, matrix, asyncio.get_running_loop().create_future())
        line.waiting.append(waiting)
        with call.waiting("shard"):
            try:
                async with asyncio.timeout(max(0.0, call.deadline - self._clock())):
                    return await waiting.end
            except TimeoutError:
                raise DeadlineExceeded("the request's time is over") from None

    def _enter(self, key: _Key, line: _Line) -> _Way:
        line.under_way += 1
        return _Way(lambda: self._left(key, line))

    def _left(self, key: _Key, line: _Line) -> None:
        """One of those under way has ended or hangs; whoever waits goes next."""
        line.under_way -= 1
        if taken := line.take():
            task = asyncio.get_running_loop().create_task(
                self._ask_together(line, taken, self._enter(key, line))
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif not line.under_way:
            self._lines.pop(key, None)

    async def _ask_together(self, line: _Line, taken: list[_Waiting], way: _Way) -> None:
        together = Call("joined", self._clock)
        together.deadline = max(one.call.deadline for one in taken)
        failure: HanaxError | None = Unavailable("the gateway stops")
        answers: list[pb.SearchResponse] = []
        try:
            matrix = np.concatenate([one.matrix for one in taken])
            answers = await self.ask_alone(together, line.route, line.question, matrix)
            failure = None
        except HanaxError as error:
            failure = error
        except Exception as error:
            # Logged once, though all who wait are told.
            failure = log_defect(error, taken[0].call.request_id, "joined searches")
        finally:
            for row, one in enumerate(taken):
                if one.end.done():
                    continue
                one.call.engine_s = together.engine_s
                if failure is None:
                    one.end.set_result(Answered(answers, row))
                elif isinstance(failure, ResourceExhausted):
                    # Alone it may not be too much.
                    one.end.set_result(None)
                else:
                    one.end.set_exception(type(failure)(failure.message, **failure.details))
            way.leave()
