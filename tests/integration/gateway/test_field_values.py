"""Orders, facets, groups and distinct values of metadata fields: exact over all shards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.ids import encode_id
from tests.integration.gateway.corpus import COUNT, DIMENSION, Corpus, make
from tests.integration.gateway.stack import Stack

EARLY = {"field": "n", "operator": "lt", "value": COUNT // 2}
FIELDS = ("n", "color", "year", "tags", "author.name", "author.age", "year.of", "nobody.has.it")
MISSING = object()


@pytest.fixture(scope="module")
def corpus(shards: Stack) -> Corpus:
    return make(shards, "field-values")


def _value(point: dict[str, Any], field: str) -> Any:
    value = point["metadata"]
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def _values(point: dict[str, Any], field: str) -> set[bytes]:
    """The values that a point has, as JSON; 2.0 is written 2."""
    value = _value(point, field)
    found = value if isinstance(value, list) else [] if value is MISSING else [value]
    whole = [int(one) if isinstance(one, float) and one.is_integer() else one for one in found]
    return {orjson.dumps(one) for one in whole if not isinstance(one, list | dict)}


def _early(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [point for point in points if point["metadata"]["n"] < COUNT // 2]


def _in_order(points: list[dict[str, Any]], field: str, descending: bool) -> list[Any]:
    """As docs/queries.md says: numbers, dates, other text, false and true, and the rest."""
    kinds: list[list[tuple[Any, bytes, Any]]] = [[], [], [], [], []]
    for point in points:
        value = _value(point, field)
        found = value if isinstance(value, list) else [value]
        by_kind: dict[int, list[Any]] = {}
        for one in found:
            if isinstance(one, bool):
                by_kind.setdefault(3, []).append(one)
            elif isinstance(one, int | float):
                by_kind.setdefault(0, []).append(one)
            elif isinstance(one, str):
                by_kind.setdefault(1 if one.startswith("200") else 2, []).append(one)
        kind = min(by_kind, default=4)
        best = (max if descending else min)(by_kind.get(kind, [0]))
        kinds[kind].append((best, encode_id(point["id"]), point["id"]))
    ordered: list[Any] = []
    for same in kinds:
        same.sort(key=lambda entry: entry[1])
        same.sort(key=lambda entry: entry[0], reverse=descending)
        ordered += [entry[2] for entry in same]
    return ordered


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_in_the_order_of_a_field(corpus: Corpus, field: str, direction: str) -> None:
    for condition, points in ((None, corpus.points), (EARLY, _early(corpus.points))):
        found, cursor, pages = [], None, 0
        while True:
            data = corpus.post(
                "scroll",
                order_by={"field": field, "direction": direction},
                limit=90,
                filter=condition,
                cursor=cursor,
            )
            found += [one["id"] for one in data["vectors"]]
            pages += 1
            cursor = data["next_cursor"]
            if cursor is None:
                break
        assert found == _in_order(points, field, direction == "desc")
        assert pages == -(-len(points) // 90)


def test_writes_between_pages_hide_and_repeat_nothing_that_stays(shards: Stack) -> None:
    shards.create("ordered-writes", dimension=2, shards=2)

    def put(numbers: range, rank: int | None = None) -> None:
        points = [
            {"id": number, "vector": [1, number], "metadata": {"rank": number // 3 if rank is None else rank}}
            for number in numbers
        ]
        shards.insert("ordered-writes", points)

    put(range(90))
    found, cursor = [], None
    for page in range(100):
        body = {"collection": "ordered-writes", "order_by": "rank", "limit": 7, "cursor": cursor}
        data = shards.data(shards.post("/api/v1/vectors/scroll", body))
        ids = [one["id"] for one in data["vectors"]]
        found += ids
        cursor = data["next_cursor"]
        if cursor is None:
            break
        # The last point of the page goes, one moves to the front, and another appears there.
        gone = {"collection": "ordered-writes", "ids": [ids[-1]]}
        shards.data(shards.post("/api/v1/vectors/delete", gone))
        put(range(ids[0], ids[0] + 1), -1)
        put(range(1_000 + page, 1_001 + page), -1)
    assert found == list(range(90))


@pytest.mark.parametrize("field", FIELDS)
def test_a_facet_counts_every_point_with_a_value_once(corpus: Corpus, field: str) -> None:
    for condition, points in ((None, corpus.points), (EARLY, _early(corpus.points))):
        counts = Counter(value for point in points for value in _values(point, field))
        data = corpus.post("facet", field=field, filter=condition, limit=1_000)
        assert {orjson.dumps(one["value"]): one["count"] for one in data["values"]} == counts
        assert (data["distinct"], data["matches"]) == (len(counts), len(points))
        falling = [one["count"] for one in data["values"]]
        assert falling == sorted(falling, reverse=True)
        top = corpus.post("facet", field=field, filter=condition, limit=3)
        assert top == {**data, "values": data["values"][:3]}


@pytest.mark.parametrize("field", FIELDS)
def test_distinct_values_come_in_pages_and_in_order(corpus: Corpus, field: str) -> None:
    expected = {value for point in _early(corpus.points) for value in _values(point, field)}
    found, cursor = [], None
    while True:
        data = corpus.post("distinct", field=field, filter=EARLY, limit=3, cursor=cursor)
        found += data["values"]
        cursor = data["next_cursor"]
        if cursor is None:
            break
    assert len(found) == len(expected)
    assert {orjson.dumps(value) for value in found} == expected

    def position(value: Any) -> tuple[int, Any]:
        if value is None:
            return 3, 0
        if isinstance(value, bool):
            return 2, value
        return (1, value) if isinstance(value, str) else (0, value)

    assert found == sorted(found, key=position)


def _groups(corpus: Corpus, field: str, scores: Any, groups: int, size: int) -> list[tuple[bytes, list[Any]]]:
    """Every value with the ids of its best points; best groups first."""
    members: dict[bytes, list[int]] = {}
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
        for value in sorted(_values(corpus.points[row], field)):
            members.setdefault(value, []).append(row)
    ranked = sorted(members, key=lambda value: (-scores[members[value][0]], value))
    return [(value, [corpus.points[row]["id"] for row in members[value][:size]]) for value in ranked[:groups]]


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "nobody.has.it"])
@pytest.mark.parametrize("shape", [(3, 2), (10, 5), (100, 10)])
def test_groups_are_full_and_in_the_order_of_their_best(
    corpus: Corpus, field: str, shape: tuple[int, int]
) -> None:
    groups, size = shape
    query = np.random.default_rng(8).normal(size=DIMENSION).round(4)
    scores = corpus.scores(query)
    data = corpus.post("search/groups", vector=query.tolist(), group_by=field, limit=groups, group_size=size)
    found = [(orjson.dumps(one["value"]), [hit["id"] for hit in one["results"]]) for one in data["groups"]]
    assert found == _groups(corpus, field, scores, groups, size)


def test_groups_under_a_filter_a_threshold_and_without_the_point_itself(corpus: Corpus) -> None:
    row = 12
    scores = corpus.scores(corpus.vectors[row])
    early = np.array([point["metadata"]["n"] < COUNT // 2 for point in corpus.points])
    early[row] = False
    kept = np.flatnonzero(early & (scores >= 0.2))
    part = Corpus(
        corpus.stack,
        corpus.name,
        corpus.metric,
        [corpus.points[index] for index in kept],
        corpus.vectors[kept],
    )
    data = corpus.post(
        "search/groups",
        id=corpus.points[row]["id"],
        group_by="author.name",
        limit=30,
        group_size=4,
        filter=EARLY,
        score_threshold=0.2,
    )
    found = [(orjson.dumps(one["value"]), [hit["id"] for hit in one["results"]]) for one in data["groups"]]
    assert found == _groups(part, "author.name", scores[kept], 30, 4)


def test_a_group_that_one_shard_did_not_tell_of_is_asked_for(shards: Stack) -> None:
    """With one group asked for, a shard whose nearest point is of another group holds some of its points."""
    shards.create("far-groups", dimension=2, metric="euclidean", shards=2)
    # One shard has the nearest point of all, of "a"; in the other, points of "b" are nearer than any of "a".
    points = [{"id": 0, "vector": [0, 0], "metadata": {"g": "a"}}]
    points += [{"id": n, "vector": [1 + n / 100, 0], "metadata": {"g": "b"}} for n in range(1, 21)]
    points += [{"id": n, "vector": [2 + n / 100, 0], "metadata": {"g": "a"}} for n in range(21, 41)]
    shards.insert("far-groups", points)
    body = {"collection": "far-groups", "vector": [0, 0], "group_by": "g", "limit": 1, "group_size": 9}
    data = shards.data(shards.post("/api/v1/vectors/search/groups", body))
    assert [(one["value"], [hit["id"] for hit in one["results"]]) for one in data["groups"]] == [
        ("a", [0, *range(21, 29)])
    ]
