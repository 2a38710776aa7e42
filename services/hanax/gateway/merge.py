"""Exact merges of what shards answered. A point lives in one shard, so nothing appears twice."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count, islice, repeat
from typing import NamedTuple

from hanax.core.field_order import Entry, in_order, key_from_json
from hanax.core.ids import hash_of


class Place(NamedTuple):
    """Where a merged entry comes from: row `row` of the answer number `part`."""

    part: int
    row: int


def merge_nearest(
    parts: Sequence[tuple[Sequence[float], Sequence[bytes]]], limit: int
) -> list[tuple[float, Place]]:
    """The `limit` nearest of all parts, ascending by (distance, encoded id).

    Each part is (distances, ids), ascending by the same key.
    """
    if len(parts) == 1:
        (distances, _), *_ = parts
        return [(distance, Place(0, row)) for row, distance in enumerate(distances[:limit])]
    streams = [zip(distances, ids, repeat(number), count()) for number, (distances, ids) in enumerate(parts)]
    merged = islice(heapq.merge(*streams), limit)
    return [(distance, Place(part, row)) for distance, _, part, row in merged]


def merge_in_scroll_order(parts: Sequence[Sequence[bytes]], limit: int) -> list[Place]:
    """The first `limit` of all parts, ascending by (xxh3_64(id), id), as each part is."""
    if len(parts) == 1:
        return [Place(0, row) for row in range(min(limit, len(parts[0])))]

    def keyed(number: int, ids: Sequence[bytes]) -> Iterator[tuple[int, bytes, int, int]]:
        for row, encoded in enumerate(ids):
            yield hash_of(encoded), encoded, number, row

    streams = [keyed(number, ids) for number, ids in enumerate(parts)]
    return [Place(part, row) for _, _, part, row in islice(heapq.merge(*streams), limit)]


def merge_by_key(
    parts: Sequence[tuple[Sequence[bytes], Sequence[bytes]]], descending: bool, limit: int
) -> list[Place]:
    """The first `limit` of all parts in the order of a field. Each part is (keys as JSON, ids)."""
    entries = [
        Entry(key_from_json(key), encoded, number, row)
        for number, (keys, ids) in enumerate(parts)
        for row, (key, encoded) in enumerate(zip(keys, ids, strict=True))
    ]
    return [Place(entry.part, entry.row) for entry in in_order(entries, descending)[:limit]]
