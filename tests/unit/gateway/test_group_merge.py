"""Groups of several shards: merged, and asked for again, they equal the groups of everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric
from hanax.core.ids import encode_id
from hanax.gateway.grouping import best_groups, values_to_ask
from hanax.gateway.hits import Scale

SCALE = Scale(Metric.DOT, None)
Member = tuple[float, bytes]
# (shard, distance, group): few of each, so that ties and shared groups are common.
points = st.lists(st.tuples(st.integers(0, 3), st.integers(-4, 4), st.sampled_from("abcdef")), max_size=60)


def _members(found: list[tuple[int, int, str]], shard: int | None) -> dict[bytes, list[Member]]:
    members: dict[bytes, list[Member]] = {}
    for number, (place, distance, value) in enumerate(found):
        if shard in (None, place):
            members.setdefault(f'"{value}"'.encode(), []).append((float(distance), encode_id(number)))
    return {value: sorted(same) for value, same in members.items()}


def _ranked(members: dict[bytes, list[Member]]) -> list[bytes]:
    return sorted(members, key=lambda value: (members[value][0], value))


def _answer(members: dict[bytes, list[Member]], values: list[bytes], size: int) -> pb.SearchGroupsResponse:
    groups = []
    for value in values:
        same = members.get(value, [])[:size]
        if same:
            times = [0] * len(same)
            hits = pb.Points(ids=[id_ for _, id_ in same], created_at_us=times, updated_at_us=times)
            distances = [distance for distance, _ in same]
            groups.append(pb.Group(value_json=value, hits=pb.Hits(distances=distances, points=hits)))
    return pb.SearchGroupsResponse(groups=groups)


@given(points, st.integers(1, 7), st.integers(1, 4))
def test_two_rounds_find_what_one_place_would(
    found: list[tuple[int, int, str]], limit: int, size: int
) -> None:
    shards = {shard: _members(found, shard) for shard in range(4)}
    answers = {shard: _answer(members, _ranked(members)[:limit], size) for shard, members in shards.items()}
    first = best_groups(list(answers.values()), limit, size, SCALE)
    missing = values_to_ask(answers, first, limit)
    more = [_answer(shards[shard], values, size) for shard, values in missing.items()]
    chosen = {group.value for group in first}
    merged = best_groups([*answers.values(), *more], limit, size, SCALE, chosen)
    everything = _members(found, None)
    assert [(group.value, [encode_id(hit.record.id) for hit in group.hits]) for group in merged] == [
        (value, [id_ for _, id_ in everything[value][:size]]) for value in _ranked(everything)[:limit]
    ]


def test_a_shard_that_told_of_few_groups_is_not_asked_again() -> None:
    members = _members([(0, 1, "a"), (0, 2, "b")], 0)
    answers = {0: _answer(members, _ranked(members), 1), 1: pb.SearchGroupsResponse()}
    first = best_groups(list(answers.values()), 3, 1, SCALE)
    assert values_to_ask(answers, first, 3) == {}
