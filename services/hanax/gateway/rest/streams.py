"""Streaming insert and scroll, as lines of JSON.

Insert: a line as soon as a batch is stored, `{"lines": [first, last], "inserted": ..., "errors": [...]}`, and
at the end `{"done": ...}`, or `{"error": ..., "line": ...}` where it ended early. A client that sends all
before it reads is not waited for: lines that it does not take are told as one.

Scroll: a line for each point, and at the end `{"done": ...}` or `{"error": ..., "next_cursor": ...}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import HanaxError, InvalidArgument
from hanax.gateway.bodies import read_json
from hanax.gateway.calls import Call
from hanax.gateway.failure_log import log_defect, log_failure
from hanax.gateway.insert_streams import InsertStreams, Outcome
from hanax.gateway.queries import ScrolledPage
from hanax.gateway.records import RecordColumns
from hanax.gateway.renderings.jobs import render_error
from hanax.gateway.renderings.points import render_record
from hanax.gateway.requests import ScrollRequest, parse_request
from hanax.gateway.rest.answers import call_of
from hanax.gateway.rest.lines import Lines, LinesAnswer, encode_line
from hanax.gateway.scroll_streams import ScrollStreams
from hanax.gateway.stream_requests import StreamRequest

log = structlog.get_logger()

# Of a client that does not read: more are counted alone.
MAX_ERRORS_WAITING: Final = 1_000


async def insert_lines(request: Request, streams: InsertStreams) -> Response:
    """Raises what is wrong before the first point is stored."""
    call = call_of(request)
    lines = Lines(request.receive)
    asked = await _asked(request, lines)
    outcomes = streams.run(call, asked, lines.parts(asked.batch_points))
    first = await anext(outcomes, None)
    if first is not None and first.failure is not None and not first.stored and not first.faults:
        await outcomes.aclose()  # type: ignore[attr-defined]
        raise first.failure
    return LinesAnswer(_told(request, first, outcomes))


async def _asked(request: Request, lines: Lines) -> StreamRequest:
    """The query's, and in its place or beside it that of a first line that names the collection."""
    told: dict[str, object] = dict(request.query_params)
    if "batch_points" in told and str(told["batch_points"]).isdecimal():
        told["batch_points"] = int(str(told["batch_points"]))
    if "urgent" in told and told["urgent"] in ("true", "false"):
        told["urgent"] = told["urgent"] == "true"
    head = await lines.first()
    if isinstance(head, dict) and "collection" in head:
        for name in told.keys() & head.keys():
            if told[name] != head[name]:
                raise InvalidArgument(f"{name}: the first line says another one than the query")
        told |= head
        lines.skip()
    return parse_request(StreamRequest, told)


async def _told(
    request: Request, first: Outcome | None, outcomes: AsyncIterator[Outcome]
) -> AsyncGenerator[bytes, None]:
    told = _Told()
    running = asyncio.ensure_future(told.follow(request, first, outcomes))
    try:
        while (line := await told.next_line()) is not None:
            yield line
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class _Told:
    """What waits to be told: one outcome, of all batches since the last line."""

    def __init__(self) -> None:
        self._waiting: Outcome | None = None
        self._errors_left_out = 0
        self._total = Outcome(0, 0)
        self._errors = 0
        self._end: bytes | None = None
        self._ended = False
        self._news = asyncio.Event()

    async def next_line(self) -> bytes | None:
        """None behind the last."""
        while True:
            await self._news.wait()
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                left_out, self._errors_left_out = self._errors_left_out, 0
                return encode_line(_render(waiting, left_out))
            if self._ended:
                end, self._end = self._end, None
                return end
            self._news.clear()

    async def follow(self, request: Request, first: Outcome | None, outcomes: AsyncIterator[Outcome]) -> None:
        """To the end of the stream, however it ends."""
        call = call_of(request)
        failure: HanaxError | None = None
        try:
            if first is not None:
                failure = self._add(first)
            async for outcome in outcomes:
                failure = self._add(outcome)
        except HanaxError as error:
            log_failure(error, call.request_id, request.url.path)
            failure = error
        except Exception as error:
            failure = log_defect(error, call.request_id, request.url.path)
        totals = {**_counts(self._total), "errors": self._errors, "lines": self._total.last}
        if failure is None:
            self._end = encode_line({"done": totals})
        else:
            self._end = encode_line({"error": render_error(failure), "stored": totals})
        self._ended = True
        self._news.set()

    def _add(self, outcome: Outcome) -> HanaxError | None:
        self._errors += len(outcome.faults)
        _merge(self._total, outcome)
        if self._waiting is None:
            self._waiting = Outcome(outcome.first, outcome.last)
        _merge(self._waiting, outcome)
        room = MAX_ERRORS_WAITING - len(self._waiting.faults)
        self._waiting.faults += outcome.faults[:room]
        self._errors_left_out += len(outcome.faults[room:])
        self._waiting.job_ids += outcome.job_ids
        self._news.set()
        return outcome.failure


def _merge(into: Outcome, outcome: Outcome) -> None:
    into.last = outcome.last
    into.inserted += outcome.inserted
    into.updated += outcome.updated
    into.skipped += outcome.skipped
    into.truncated += outcome.truncated
    into.split += outcome.split
    into.queued += outcome.queued


def _counts(outcome: Outcome) -> dict[str, int]:
    return {
        "inserted": outcome.inserted,
        "updated": outcome.updated,
        "skipped": outcome.skipped,
        "truncated": outcome.truncated,
        "split": outcome.split,
        "queued": outcome.queued,
    }


def _render(outcome: Outcome, errors_left_out: int) -> dict[str, Any]:
    told: dict[str, Any] = {"lines": [outcome.first, outcome.last], **_counts(outcome)}
    told["errors"] = [
        {"line": fault.number, **render_error(fault.error)}
        for fault in sorted(outcome.faults, key=lambda fault: fault.number)
    ]
    if errors_left_out:
        told["errors_left_out"] = errors_left_out
    if outcome.job_ids:
        told["job_ids"] = outcome.job_ids
    return told


async def scroll_lines(request: Request, scrolls: ScrollStreams) -> Response:
    """All points, or as many as the body's limit says. Raises what is wrong with the first page."""
    call = call_of(request)
    body = await read_json(request)
    asked = parse_request(ScrollRequest, body)
    most = asked.limit if "limit" in asked.model_fields_set else None
    pages = scrolls.pages(call, asked, most)
    first = await anext(pages)
    return LinesAnswer(_records(request, call, asked, _Pages(first, pages)))


class _Pages:
    """A first page, and those behind it."""

    def __init__(self, first: ScrolledPage, others: AsyncIterator[ScrolledPage]) -> None:
        self._first = first
        self._others = others

    async def __aiter__(self) -> AsyncIterator[ScrolledPage]:
        yield self._first
        async for page in self._others:
            yield page


async def _records(
    request: Request, call: Call, asked: ScrollRequest, pages: _Pages
) -> AsyncGenerator[bytes, None]:
    count = 0
    cursor: str | None = asked.cursor
    try:
        async for page in pages:
            count += len(page.places)
            cursor = page.next_cursor
            if page.places:
                yield _render_page(page, asked.collection)
            # Many clients that read as fast as they can leave the others their turns.
            await asyncio.sleep(0)
    except HanaxError as error:
        log_failure(error, call.request_id, request.url.path)
        yield encode_line({"error": render_error(error), "points": count, "next_cursor": cursor})
        return
    yield encode_line({"done": {"points": count, "next_cursor": cursor}})


def _render_page(page: ScrolledPage, collection: str) -> bytes:
    columns = [RecordColumns(answer.points) for answer in page.answers]
    model = page.route.spec.embedding_model
    return b"".join(
        encode_line(render_record(columns[place.part].record(place.row), collection, model))
        for place in page.places
    )
