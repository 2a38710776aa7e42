"""Batches, groups, examples, orders and facets that are refused: the status, the code, and what is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.refusals import NAN, Case, check_error, check_refused
from tests.integration.gateway.stack import Stack

V = [1, 0, 0]
TWO = {"queries": [{"vector": V}, {"vector": V}]}


def _case(path: str, name: str, body: dict[str, Any], code: str, mentions: str, status: int = 422) -> Case:
    return Case(f"{path} {name}", f"vectors/{path}", {"collection": "bad"} | body, status, code, mentions)


def _search(name: str, body: dict[str, Any], code: str, mentions: str, status: int = 422) -> Case:
    return _case("search", name, {"vector": V} | body, code, mentions, status)


def _batch(name: str, queries: Any, code: str, mentions: str, status: int = 422) -> Case:
    return _case("search/batch", name, {"queries": queries}, code, mentions, status)


def _groups(name: str, body: dict[str, Any], code: str, mentions: str) -> Case:
    return _case("search/groups", name, {"vector": V, "group_by": "a"} | body, code, mentions)


def _recommend(name: str, body: dict[str, Any], code: str, mentions: str, status: int = 422) -> Case:
    return _case("recommend", name, body, code, mentions, status)


@pytest.fixture(scope="module")
def wordless(shards: Stack) -> Stack:
    """With a collection in which no field is pinned as text."""
    shards.create("no-words", payload_indexes={"a": "keyword"})
    shards.insert("no-words", [{"id": 1, "vector": V, "metadata": {"a": "word"}}])
    return shards


CASES = [
    _search("offset negative", {"offset": -1}, "invalid_limit", "offset"),
    _search("offset text", {"offset": "1"}, "invalid_limit", "offset"),
    _search(
        "page too far",
        {"offset": 995, "limit": 10},
        "invalid_limit",
        "offset + limit is at most 1000, got 1005",
    ),
    _search("id and vector", {"id": 1}, "invalid_argument", "got vector and id"),
    _case(
        "search", "id of no point", {"id": 404}, "point_not_found", "id: collection 'bad' has no point", 404
    ),
    _case("search", "id negative", {"id": -1}, "invalid_id", "id: an integer id"),
    _case("search", "id true", {"id": True}, "invalid_id", "id: an id is"),
    _case("search", "id list", {"id": [1]}, "invalid_id", "got a list"),
    _search("mmr text", {"mmr": "yes"}, "invalid_argument", "mmr"),
    _search("mmr diversity", {"mmr": {"diversity": 1.5}}, "invalid_argument", "mmr.diversity"),
    _search("mmr NaN", {"mmr": {"diversity": NAN}}, "invalid_argument", "mmr.diversity"),
    _search(
        "mmr unknown key",
        {"mmr": {"lambda": 1}},
        "invalid_argument",
        "expected one of: diversity, candidates",
    ),
    _search("mmr too many", {"mmr": {"candidates": 1_001}}, "invalid_argument", "mmr.candidates"),
    _search("mmr too few", {"mmr": {"candidates": 9}}, "invalid_limit", "at least offset + limit, 10, got 9"),
    _search("explain text", {"explain": "yes"}, "invalid_argument", "explain"),
    _search("total text", {"include_total": 1}, "invalid_argument", "include_total"),
    _search("metadata fields", {"include_metadata": ["a", 1]}, "invalid_argument", "include_metadata: [1]"),
    _search("metadata path", {"include_metadata": ["a..b"]}, "invalid_argument", "joined by '.'"),
    _search("metadata many", {"include_metadata": ["a"] * 65}, "invalid_argument", "up to 64 names"),
    _search("vector name", {"include_vectors": ["other"]}, "invalid_argument", "no vector 'other'"),
    _batch("none", [], "invalid_argument", "queries"),
    _batch("no list", {"vector": V}, "invalid_argument", "queries"),
    _batch("too many", [{"vector": V}] * 101, "invalid_argument", "queries"),
    _batch(
        "unknown key", [{"vector": V}, {"vektor": V}], "invalid_argument", "expected one of: vector, text, id"
    ),
    _batch("neither", [{"vector": V}, {}], "invalid_argument", "queries[1]: expected one of"),
    _batch("one empty", [{}], "invalid_argument", "queries[0]: expected one of"),
    _batch("short", [{"vector": V}, {"vector": [1]}], "dimension_mismatch", "queries[1].vector"),
    _batch("text", [{"text": ""}], "invalid_text", "queries[0].text"),
    _batch("missing point", [{"vector": V}, {"id": 404}], "point_not_found", "queries[1].id", 404),
    _case("search/batch", "page", TWO | {"offset": 999, "limit": 9}, "invalid_limit", "offset"),
    _case("search/batch", "mmr", TWO | {"mmr": {}}, "invalid_argument", "mmr"),
    _groups("field empty", {"group_by": ""}, "invalid_argument", "group_by"),
    _groups("field no text", {"group_by": 7}, "invalid_argument", "group_by"),
    _groups("limit", {"limit": 101}, "invalid_limit", "limit"),
    _groups("size 0", {"group_size": 0}, "invalid_limit", "group_size"),
    _groups("size beyond", {"group_size": 101}, "invalid_limit", "group_size"),
    _groups("filter", {"filter": 7}, "invalid_filter", "filter"),
    _groups("unknown key", {"skip": 1}, "invalid_argument", "skip"),
    _case("search/groups", "no field", {"vector": V}, "invalid_argument", "group_by: field required"),
    _recommend("nothing", {}, "invalid_argument", "at least one example"),
    _recommend("nothing for the best", {"strategy": "best_score"}, "invalid_argument", "1 to 100 examples"),
    _recommend("negative alone", {"negative": [V]}, "invalid_argument", "positive: average_vector needs"),
    _recommend("too many", {"positive": [V] * 101}, "invalid_argument", "got 101"),
    _recommend("no list", {"positive": 7}, "invalid_argument", "positive: expected a list"),
    _recommend("text is no list", {"positive": "seven"}, "invalid_argument", "positive: expected a list"),
    _recommend("null", {"positive": [None]}, "invalid_id", "positive[0]"),
    _recommend("short", {"positive": [V], "negative": [[1]]}, "dimension_mismatch", "negative[0]"),
    _recommend("NaN", {"positive": [[1, NAN, 0]]}, "non_finite_vector", "positive[0]"),
    _recommend("missing point", {"positive": [V, 404]}, "point_not_found", "positive[1]", 404),
    _recommend("cancel out", {"positive": [V, [-1, 0, 0]]}, "zero_vector", "the examples make no vector"),
    _recommend(
        "strategy",
        {"positive": [V], "strategy": "sum"},
        "invalid_argument",
        "'average_vector' or 'best_score'",
    ),
    _recommend(
        "diverse best", {"positive": [V], "strategy": "best_score", "mmr": {}}, "invalid_argument", "mmr"
    ),
    _case("facet", "no field", {}, "invalid_argument", "field: field required"),
    _case("facet", "field", {"field": "a."}, "invalid_argument", "joined by '.'"),
    _case("facet", "limit", {"field": "a", "limit": 1_001}, "invalid_limit", "limit"),
    _case("facet", "filter", {"field": "a", "filter": []}, "invalid_filter", "at least one"),
    _case(
        "facet", "unknown collection", {"collection": "no", "field": "a"}, "collection_not_found", "'no'", 404
    ),
    _case("distinct", "field", {"field": None}, "invalid_argument", "field"),
    _case("distinct", "cursor", {"field": "a", "cursor": "no"}, "invalid_cursor", "earlier page"),
    _case("distinct", "cursor number", {"field": "a", "cursor": 1}, "invalid_cursor", "cursor"),
    _case("scroll", "order number", {"order_by": 7}, "invalid_argument", "order_by"),
    _case("scroll", "order no field", {"order_by": {}}, "invalid_argument", "order_by.field"),
    _case("scroll", "order field", {"order_by": "a..b"}, "invalid_argument", "order_by.field"),
    _case(
        "scroll",
        "order direction",
        {"order_by": {"field": "a", "direction": "up"}},
        "invalid_argument",
        "direction",
    ),
    _case("scroll", "order cursor", {"order_by": "a", "cursor": "no"}, "invalid_cursor", "earlier page"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_query_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    check_refused(unwritten, case)


def test_a_cursor_goes_on_only_where_it_ended(shards: Stack) -> None:
    """A page of another order, direction, field or collection has cursors of its own."""
    for name in ("cursors-a", "cursors-b"):
        shards.create(name)
        points = [{"id": n, "vector": V, "metadata": {"a": n, "b": n}} for n in range(1, 6)]
        shards.insert(name, points)

    def ask(path: str, **body: Any) -> Any:
        return shards.post(f"/api/v1/vectors/{path}", {"collection": "cursors-a", "limit": 2, **body})

    def cursor(path: str, **body: Any) -> str:
        found: str = shards.data(ask(path, **body))["next_cursor"]
        assert found
        return found

    plain, ordered = cursor("scroll"), cursor("scroll", order_by="a")
    values = cursor("distinct", field="a")
    refused = [
        ask("scroll", cursor=ordered),
        ask("scroll", cursor=values),
        ask("scroll", order_by="a", cursor=plain),
        ask("scroll", order_by="a", cursor=values),
        ask("scroll", order_by="b", cursor=ordered),
        ask("scroll", order_by={"field": "a", "direction": "desc"}, cursor=ordered),
        ask("scroll", order_by="a", cursor=ordered, collection="cursors-b"),
        ask("distinct", field="a", cursor=ordered),
        ask("distinct", field="b", cursor=values),
        ask("distinct", field="a", cursor=values, collection="cursors-b"),
    ]
    for answer in refused:
        check_error(answer, 422, "invalid_cursor")
    assert shards.data(ask("scroll", order_by="a", cursor=ordered))["vectors"][0]["id"] == 3


def test_a_facet_of_too_many_values_is_refused_and_distinct_takes_it(shards: Stack) -> None:
    """Each shard holds fewer values than may be counted; together they are too many."""
    shards.create("many-values", dimension=1, metric="euclidean")
    for first in range(0, 66_000, 2_000):
        points = [
            {"id": n, "vector": [0], "metadata": {"many": [f"{n}.{part}" for part in range(8)]}}
            for n in range(first // 8, first // 8 + 250)
        ]
        shards.insert("many-values", points)
    body = {"collection": "many-values", "field": "many"}
    answer = shards.post("/api/v1/vectors/facet", body)
    check_error(answer, 422, "invalid_argument")
    assert "more than 65536 values" in answer.json()["error"]["message"]
    few = {"filter": {"field": "many", "operator": "eq", "value": "17.3"}}
    assert shards.data(shards.post("/api/v1/vectors/facet", body | few))["distinct"] == 8
    assert len(shards.data(shards.post("/api/v1/vectors/distinct", body))["values"]) == 100


@pytest.mark.parametrize("operator", ["text", "phrase"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("search", {"vector": V}),
        ("search", {"vector": V, "include_total": True}),
        ("search/batch", {"queries": [{"vector": V}]}),
        ("search/groups", {"vector": V, "group_by": "a"}),
        ("recommend", {"positive": [V]}),
        ("recommend", {"positive": [V], "strategy": "best_score"}),
        ("facet", {"field": "a"}),
        ("distinct", {"field": "a"}),
        ("scroll", {}),
        ("scroll", {"order_by": "a"}),
        ("count", {}),
        ("delete", {}),
        ("metadata", {"merge": {"b": 1}}),
    ],
    ids=str,
)
def test_words_are_not_looked_for_without_their_index(
    wordless: Stack, path: str, body: dict[str, Any], operator: str
) -> None:
    """Wherever a filter goes, and however deep in it they are. Nothing is changed."""
    words = {"field": "a", "operator": operator, "value": "word"}
    for condition in (words, {"or": [{"field": "b", "operator": "exists"}, {"not": words}]}):
        answer = wordless.post(
            f"/api/v1/vectors/{path}", {"collection": "no-words", "filter": condition, **body}
        )
        check_error(answer, 422, "no_text_index")
        assert "'a'" in answer.json()["error"]["message"]
    told = wordless.data(wordless.post("/api/v1/vectors/get", {"collection": "no-words", "ids": [1]}))
    assert [point["metadata"] for point in told["vectors"]] == [{"a": "word"}]
