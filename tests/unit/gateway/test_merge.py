"""Merges of what shards answered equal the order of everything together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hanax.core.ids import encode_id, hash_of
from hanax.gateway.merge import merge_in_scroll_order, merge_nearest

# Few distances, so that ties are common; each id lives in one of up to five shards.
points = st.lists(
    st.tuples(
        st.sampled_from([-1.5, 0.0, 0.25, 0.25, 1.0, 3.0e38]),
        st.integers(0, 2**64 - 1) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        st.integers(0, 4),
    ),
    unique_by=lambda point: encode_id(point[1]),
    max_size=60,
)


@given(points, st.integers(1, 70))
def test_nearest_is_the_global_top_k(points: list[tuple[float, int | str, int]], k: int) -> None:
    shards: list[list[tuple[float, bytes]]] = [[] for _ in range(5)]
    for distance, point_id, shard in points:
        shards[shard].append((distance, encode_id(point_id)))
    # A shard answers its own k nearest.
    parts = [sorted(shard)[:k] for shard in shards]
    columns = [([d for d, _ in part], [i for _, i in part]) for part in parts]
    merged = [(distance, columns[place.part][1][place.row]) for distance, place in merge_nearest(columns, k)]
    expected = sorted((distance, encode_id(point_id)) for distance, point_id, _ in points)[:k]
    assert merged == expected


@given(points, st.integers(1, 70))
def test_scroll_order_is_the_global_one(points: list[tuple[float, int | str, int]], k: int) -> None:
    shards: list[list[bytes]] = [[] for _ in range(5)]
    for _, point_id, shard in points:
        shards[shard].append(encode_id(point_id))

    def key(encoded: bytes) -> tuple[int, bytes]:
        return hash_of(encoded), encoded

    parts = [sorted(shard, key=key)[:k] for shard in shards]
    merged = [parts[place.part][place.row] for place in merge_in_scroll_order(parts, k)]
    assert merged == sorted((encoded for shard in shards for encoded in shard), key=key)[:k]


def test_no_shard_and_no_hits() -> None:
    assert merge_nearest([], 10) == []
    assert merge_nearest([([], []), ([], [])], 10) == []
    assert merge_in_scroll_order([[], []], 10) == []
