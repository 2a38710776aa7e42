"""What searches answer, as bytes and back. An answer with a point that expires ends with that point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from hanax.gateway.cache.codecs import Blobs, Codec
from hanax.gateway.grouping import Group, GroupedResult
from hanax.gateway.hits import Hit, SearchResult
from hanax.gateway.records import Record


def _dump_hits(hits: Sequence[Hit], blobs: Blobs) -> object:
    return [
        [
            hit.score,
            hit.record.id,
            _blob(hit.record.metadata, blobs),
            None if hit.record.vector is None else blobs.add(hit.record.vector.astype("<f4").tobytes()),
            hit.record.created_at_us,
            hit.record.updated_at_us,
            hit.record.version,
            hit.record.expires_at_us,
        ]
        for hit in hits
    ]


def _load_hits(rows: Iterable[Any], blobs: Blobs) -> list[Hit]:
    return [
        Hit(
            score,
            Record(
                id=id_,
                metadata=None if metadata is None else blobs[metadata],
                vector=None if vector is None else np.frombuffer(blobs[vector], "<f4"),
                created_at_us=created,
                updated_at_us=updated,
                version=version,
                expires_at_us=expires,
            ),
        )
        for score, id_, metadata, vector, created, updated, version, expires in rows
    ]


def _blob(data: bytes | None, blobs: Blobs) -> int | None:
    return None if data is None else blobs.add(data)


def _end_of_hits(hits: Iterable[Hit]) -> float:
    return min((hit.record.expires_at_us or math.inf for hit in hits), default=math.inf)


def _dump_result(result: SearchResult, blobs: Blobs) -> object:
    """Its explanation tells of one search, and is left out."""
    hits = _dump_hits(result.hits, blobs)
    return [hits, result.truncated, result.has_more, result.total, result.total_is_exact]


def _load_result(data: Any, blobs: Blobs) -> SearchResult:
    hits, truncated, has_more, total, total_is_exact = data
    return SearchResult(_load_hits(hits, blobs), truncated, has_more, total, total_is_exact)


SEARCH: Final[Codec[SearchResult]] = Codec(
    _dump_result, _load_result, lambda result: _end_of_hits(result.hits)
)
BATCH: Final[Codec[list[SearchResult]]] = Codec(
    lambda results, blobs: [_dump_result(result, blobs) for result in results],
    lambda data, blobs: [_load_result(result, blobs) for result in data],
    lambda results: min((_end_of_hits(result.hits) for result in results), default=math.inf),
)
GROUPS: Final[Codec[GroupedResult]] = Codec(
    lambda result, blobs: [
        [[blobs.add(group.value), _dump_hits(group.hits, blobs)] for group in result.groups],
        result.truncated,
    ],
    lambda data, blobs: GroupedResult(
        [Group(blobs[value], _load_hits(hits, blobs)) for value, hits in data[0]], data[1]
    ),
    lambda result: min((_end_of_hits(group.hits) for group in result.groups), default=math.inf),
)
