"""Points that come as a stream of any length: stored batch by batch, while the next one is read.

At most one batch is being stored and one waits for it; nothing more is read meanwhile, so that who sends is
slowed down to what the shards take. Batches are stored in the order in which they came, and of a point that
comes twice the later one stays. Of a batch that has points which are wrong, the others are stored.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from hanax.core.errors import (
    FailedPrecondition,
    HanaxError,
    InvalidArgument,
    Overloaded,
    RateLimited,
    Unavailable,
    VersionConflict,
)
from hanax.core.ids import encode_id
from hanax.core.specs import CollectionSpec
from hanax.gateway.batches import parse_batch
from hanax.gateway.calls import Call
from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.points import Points
from hanax.gateway.requests import InsertRequest
from hanax.gateway.routing import Routing
from hanax.gateway.stream_requests import StreamRequest

# Each holds two batches, and a connection.
MAX_STREAMS: Final = 32
# Refused for now, of shards or of a model: a stream waits, as nobody else can tell its sender to.
_TRIES: Final = 20
_LONGEST_PAUSE_S: Final = 2.0

Answer = TypeVar("Answer")

# A point with its number.
Row = tuple[int, object]

_PLACE: Final = re.compile(r"vectors\[\d+\]")


@dataclass(frozen=True, slots=True)
class Fault:
    """A point that was not stored. number: of the line that it came in, from 1 on."""

    number: int
    error: HanaxError


@dataclass(frozen=True, slots=True)
class Part:
    """Points of a batch as `batches.parse_batch` takes them, their numbers, and lines that are none."""

    numbers: Sequence[int]
    points: Sequence[object]
    faults: Sequence[Fault] = ()


@dataclass(slots=True)
class Outcome:
    """What became of a batch: all of it that is counted is durable.

    first, last: the numbers that are decided. job_ids: of points whose texts were queued. failure: why the
    stream ends behind this batch; lines from `last` on were not stored.
    """

    first: int
    last: int
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    truncated: int = 0
    split: int = 0
    queued: int = 0
    job_ids: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failure: HanaxError | None = None

    @property
    def stored(self) -> int:
        return self.inserted + self.updated


class InsertStreams:
    """Of one gateway: so many at once."""

    def __init__(self, points: Points, routing: Routing, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._points = points
        self._routing = routing
        self._now_us = now_us
        self._count = 0
        self._ending = asyncio.Event()

    def end(self) -> None:
        """The gateway stops: what has come is stored, and the rest has to be sent elsewhere."""
        self._ending.set()

    async def run(
        self, call: Call, request: StreamRequest, parts: AsyncIterator[Part]
    ) -> AsyncIterator[Outcome]:
        """Store what comes; how each batch ended, in order. The last may say why it is the last.

        Raises what `Routing.writable` does before anything is read, Overloaded, and what `parts` raises.
        """
        self._routing.writable(call.caller, request.collection)
        running: set[asyncio.Future[Any]] = set()
        with self.place():
            try:
                async for outcome in self._run(call, request, parts, running):
                    yield outcome
                    if outcome.failure is not None:
                        return
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the streams that there may be, of all doors together. Raises Overloaded."""
        if self._count >= MAX_STREAMS:
            raise Overloaded(f"the gateway takes {MAX_STREAMS} streams already", limit=MAX_STREAMS)
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    async def _run(
        self,
        call: Call,
        request: StreamRequest,
        parts: AsyncIterator[Part],
        running: set[asyncio.Future[Any]],
    ) -> AsyncIterator[Outcome]:
        """running: what has to be ended when this is."""

        async def read() -> Part | None:
            return await anext(parts, None)

        reading: asyncio.Future[Part | None] | None = asyncio.ensure_future(read())
        storing: asyncio.Future[Outcome] | None = None
        waiting: Part | None = None
        ending = asyncio.ensure_future(self._ending.wait())
        while reading is not None or storing is not None or waiting is not None:
            if ending.done() and storing is None:
                raise Unavailable("the gateway stops: send what is not decided again")
            if storing is None and waiting is not None:
                storing = asyncio.ensure_future(self._store(call, request, waiting))
                waiting = None
                reading = reading or asyncio.ensure_future(read())
            running.clear()
            running.update(task for task in (reading, storing, ending) if task is not None)
            await self._wait(call, running - ({ending} if ending.done() else set()), idle=storing is None)
            if storing is not None and storing.done():
                yield storing.result()
                storing = None
            if reading is not None and reading.done():
                if storing is not None and reading.exception() is not None:
                    # What was read before is decided first.
                    yield await storing
                waiting = reading.result()
                reading = None

    async def _wait(self, call: Call, running: set[asyncio.Future[Any]], idle: bool) -> None:
        if not idle:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            return
        # Nothing is worked on while its sender makes us wait.
        with call.away():
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)

    async def _store(self, call: Call, request: StreamRequest, part: Part) -> Outcome:
        numbers = [*part.numbers, *(fault.number for fault in part.faults)]
        outcome = Outcome(min(numbers), max(numbers), faults=list(part.faults))
        rows = list(zip(part.numbers, part.points, strict=True))
        if part.faults and request.on_error == "stop":
            rows = _stop_at(outcome, rows)
        for run in _without_repeats(rows):
            before = outcome.failure
            try:
                await self._store_run(call, request, run, outcome)
            except HanaxError as error:
                _end_before(outcome, run[0][0], error)
            if outcome.failure is not before:
                break
        return outcome

    async def _store_run(self, call: Call, request: StreamRequest, rows: list[Row], outcome: Outcome) -> None:
        """Raises what ends the stream; `outcome` tells what was stored until then."""
        while rows:
            try:
                await self._insert(call, request, [point for _, point in rows], outcome)
                return
            except VersionConflict as error:
                rows = _count_conflicts(rows, error, outcome)
            except (InvalidArgument, FailedPrecondition) as error:
                bad = await self._bad_rows(call, request, rows, error)
                if not bad:
                    raise
                outcome.faults += [
                    Fault(rows[place][0], _located(found, rows[place][0])) for place, found in bad.items()
                ]
                rows = [row for place, row in enumerate(rows) if place not in bad]
            if request.on_error == "stop":
                rows = _stop_at(outcome, rows)

    async def _insert(
        self, call: Call, request: StreamRequest, points: list[object], outcome: Outcome
    ) -> None:
        insertion = InsertRequest.model_validate(
            {
                "collection": request.collection,
                "mode": request.mode,
                "vectors": points,
                "long_texts": request.long_texts,
                "urgent": request.urgent,
            }
        )
        done = await patiently(lambda: self._points.insert(call, insertion))
        if isinstance(done, Queued):
            outcome.queued += len(points)
            outcome.job_ids.append(done.job.id)
            return
        outcome.inserted += done.inserted
        outcome.updated += done.updated
        outcome.skipped += len(done.skipped_rows)
        outcome.truncated += len(done.texts.truncated)
        outcome.split += len(done.texts.split)

    async def _bad_rows(
        self, call: Call, request: StreamRequest, rows: list[Row], error: HanaxError
    ) -> dict[int, HanaxError]:
        """Every row that can't be stored, by its place; empty: the error is not of rows."""
        if isinstance(texts := error.details.get("indexes"), list):
            return dict.fromkeys(texts, error)
        index = error.details.get("index")
        if not isinstance(index, int):
            return {}
        spec = self._routing.writable(call.caller, request.collection).spec
        bad = await asyncio.to_thread(find_bad, [point for _, point in rows], spec, self._now_us())
        # Alone it may be right: such as an id that two points have.
        return bad or {index: error}


async def patiently(insert: Callable[[], Awaitable[Answer]]) -> Answer:
    """Store a batch of a stream: a refusal for now is waited out, for a while. Raises what `insert` does."""
    for _ in range(_TRIES - 1):
        try:
            return await insert()
        except (Overloaded, RateLimited) as error:
            asked_s = float(error.details.get("retry_after_s", 0.1))
        await asyncio.sleep(min(asked_s, _LONGEST_PAUSE_S))
    return await insert()


def find_bad(points: Sequence[object], spec: CollectionSpec, now_us: int) -> dict[int, HanaxError]:
    """What is wrong with each point by itself, by its place."""
    bad: dict[int, HanaxError] = {}
    for place, point in enumerate(points):
        try:
            parse_batch([point], spec, now_us)
        except HanaxError as error:
            bad[place] = error
    return bad


def _without_repeats(rows: list[Row]) -> Iterator[list[Row]]:
    """Runs in which no id comes twice: one batch has each id once, a stream has them as often as it likes."""
    run: list[Row] = []
    seen: set[bytes] = set()
    for row in rows:
        encoded = _id_of(row[1])
        if encoded is not None and encoded in seen:
            yield run
            run, seen = [], set()
        if encoded is not None:
            seen.add(encoded)
        run.append(row)
    if run:
        yield run


def _id_of(point: object) -> bytes | None:
    """None: it has none, or it is none; then the batch is refused for it."""
    value = point.get("id") if isinstance(point, dict) else None
    if value is None:
        return None
    try:
        return encode_id(value)
    except InvalidArgument:
        return None


def _stop_at(outcome: Outcome, rows: list[Row]) -> list[Row]:
    """The first fault ends the stream; the rows before it."""
    fault = min(outcome.faults, key=lambda fault: fault.number)
    outcome.faults = [fault]
    outcome.last = fault.number
    outcome.failure = fault.error
    return [row for row in rows if row[0] < fault.number]


def _end_before(outcome: Outcome, number: int, error: HanaxError) -> None:
    """Nothing is decided of the rows from `number` on, though some of them may be stored."""
    outcome.failure = error
    outcome.last = number - 1
    outcome.faults = [fault for fault in outcome.faults if fault.number < number]


def _count_conflicts(rows: list[Row], error: VersionConflict, outcome: Outcome) -> list[Row]:
    """Rows that are to be sent again: they share a shard with points that have other versions."""
    told = error.details
    outcome.inserted += told.get("inserted", 0)
    outcome.updated += told.get("updated", 0)
    conflicts = {encode_id(one["id"]): one for one in told["conflicts"]}
    failed = {encode_id(one["id"]) for one in told.get("failed", ())}
    again: list[Row] = []
    for number, point in rows:
        encoded = _id_of(point)
        if (found := None if encoded is None else conflicts.get(encoded)) is not None:
            message = f"line {number}: expected version {found['expected']}, found {found['found']}"
            outcome.faults.append(Fault(number, VersionConflict(message, **found)))
        elif encoded in failed:
            again.append((number, point))
    return again


def _located(error: HanaxError, number: int) -> HanaxError:
    """The same of a line in place of a point of a batch."""
    details = {name: value for name, value in error.details.items() if name not in ("index", "indexes")}
    message = _PLACE.sub(f"line {number}", error.message, count=1)
    return type(error)(message if message != error.message else f"line {number}: {message}", **details)
