"""The retrieval of a library's query: the nearest chunks, of one moment.

What a search finds is checked against the registry: a point that is no chunk now, because a change of its
document is under way or has just ended, is left out, and the search is made again without such points. So
an answer has chunks that all were there at one moment, and k of them where k match. Shards are not searched
at one moment: where a change was committed meanwhile, the library's clock tells, and they are searched again.
Where that never ends, the query is refused as Unavailable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from hanax.core.errors import InvalidFilter, Unavailable
from hanax.core.library_names import collection_of
from hanax.core.limits import MAX_FILTER_BYTES
from hanax.gateway.calls import Call
from hanax.gateway.hits import Hit
from hanax.gateway.libraries.contents import CHANGE
from hanax.gateway.libraries.ids import point_of
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.requests import SearchRequest, encode_filter
from hanax.gateway.searches import Searches
from hanax.gateway.vectors import Matrix
from hanax.metadata.libraries.query_rows import QueryRows
from hanax.metadata.libraries.rows import Chunk, Clock, Library, shown_id

# Searches of one retrieval. The second knows all changes under way: only those that end meanwhile make
# a third.
_MOST_ROUNDS: Final = 10

# Of each kind that is left out by name: changes, and points.
_MOST_NAMED: Final = 3_000
# What a filter leaves for these names, of which one look at the database tells 1,000 of each kind; and what
# one of each kind, and the frame around them, take of it.
_NAMES_BYTES: Final = 98_304
_PAIR_BYTES: Final = 80
_FRAME_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Sought:
    """wanted: chunks to retrieve. named: changes, and points, that a search may leave out beside the filter,
    as `check_filter` says. clock: the library's, before anything is searched; None where a search sees
    all points at one moment, because they are on one shard.
    """

    library: Library
    request: QueryRequest
    wanted: int
    needs_vectors: bool
    named: int
    clock: Clock | None


@dataclass(frozen=True, slots=True)
class Found:
    hit: Hit
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Of one search: points by their change, and by their ids; first those that matter most, where there are
    more than a filter has room for.
    """

    changes: Iterable[str]
    points: Iterable[str]


class Retrieval:
    def __init__(self, rows: QueryRows, searches: Searches) -> None:
        self._rows = rows
        self._searches = searches

    async def nearest(self, call: Call, sought: Sought, vector: Matrix) -> list[Found]:
        """Chunks by falling score. vector: float32[1, dimension]."""
        clock = sought.clock
        # What will never be a chunk again is left out of all that follow, other points of the next alone.
        gone: set[str] = set()
        gone_points: set[str] = set()
        met: set[str] = set()
        under_way: list[str] = []
        for _ in range(_MOST_ROUNDS):
            left_out = _LeftOut(
                [*sorted(under_way), *sorted(gone)], [*sorted(met), *sorted(gone_points - met)]
            )
            hits = await self._search(call, sought, vector, left_out)
            ids = [point_of(hit.record.id) for hit in hits]
            checked = await self._rows.check(sought.library.id, ids)
            current = checked.current
            stale = [hit for hit, id in zip(hits, ids, strict=True) if id not in current]
            if not stale and _is_of_one_moment(clock, checked.clock, current.values()):
                return [Found(hit, current[id]) for hit, id in zip(hits, ids, strict=True)]
            clock = checked.clock
            under_way = checked.left_out.under_way
            gone.update(checked.left_out.gone)
            gone_points.update(checked.left_out.gone_points)
            met.update(point_of(hit.record.id) for hit in stale if _change(hit) not in under_way)
        raise Unavailable(f"library {sought.library.name!r} changes all the time; ask again")

    async def _search(self, call: Call, sought: Sought, vector: Matrix, left_out: _LeftOut) -> list[Hit]:
        request = sought.request
        changes = list(islice(left_out.changes, sought.named))
        points = [shown_id(id) for id in islice(left_out.points, sought.named)]
        asked = SearchRequest(
            collection=collection_of(sought.library.id),
            vector=vector[0].tolist(),
            limit=sought.wanted,
            score_threshold=request.min_score,
            filter=_without(request.filter, changes, points),
            include_vectors=sought.needs_vectors,
            exact=request.exact,
        )
        return (await self._searches.search(call, asked)).hits


def check_filter(condition: Any) -> int:
    """How many names of each kind a later round may add, so that it is not refused then.

    Raises InvalidFilter.
    """
    own = len(encode_filter(condition))
    most = MAX_FILTER_BYTES - _NAMES_BYTES
    if own > most:
        raise InvalidFilter(f"a library's filter has at most {most} bytes, got {own}")
    encode_filter(_without(condition, [""], [shown_id("0" * 32)]))
    return min(_MOST_NAMED, (MAX_FILTER_BYTES - own - _FRAME_BYTES) // _PAIR_BYTES)


def _is_of_one_moment(before: Clock | None, after: Clock, found: Iterable[Chunk]) -> bool:
    """Whether shards that were not searched at one moment answer as if they had been.

    A change that was committed meanwhile may have been seen in part (then something of it was found), or
    its old points not any more and its new ones not yet (then it moved some).
    """
    return before is None or (before.moves == after.moves and not any(map(before.is_behind, found)))


def _change(hit: Hit) -> str:
    """The change that wrote a point."""
    change: str = orjson.loads(hit.record.metadata or b"{}").get(CHANGE, "")
    return change


def _without(condition: Any, changes: Sequence[str], points: Sequence[str]) -> Any:
    """The filter, that leaves out points of these changes and with these ids."""
    parts: list[Any] = []
    if changes:
        parts.append({"field": CHANGE, "operator": "not_in", "value": list(changes)})
    if points:
        parts.append({"not": {"has_id": list(points)}})
    if not parts:
        return condition
    if condition is not None:
        parts.append({"and": condition} if isinstance(condition, list) else condition)
    return {"and": parts}
