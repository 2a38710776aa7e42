"""Requests that mean the same have one digest, and others have others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from hanax.core.model_routes import ModelRoute, Prompts
from hanax.core.routing import CollectionRoute, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.cache.keys import digest_of, filter_part, model_part, request_part, text_digest
from hanax.gateway.query_requests import QUERY_BODIES
from hanax.gateway.requests import CountRequest, SearchRequest, encode_filter, parse_request

A = {"field": "year", "operator": "gte", "value": 2020}
B = {"field": "tags", "operator": "contains", "value": "x"}
C = {"field": "draft", "operator": "eq", "value": True}


def part(data: object) -> bytes:
    return filter_part(encode_filter(data))


@pytest.mark.parametrize(
    "spellings",
    [
        [A, {"value": 2020, "operator": "gte", "field": "year"}, {"year": {"$gte": 2020}}, [A], {"and": [A]}],
        [[A, B], [B, A], {"and": [A, B]}, {"and": [B, {"and": [A]}]}, {"$and": [A, B]}, [A, B, A]],
        [{"or": [A, B]}, {"or": [B, A, A]}, {"$or": [B, A]}, {"or": [{"or": [A, B]}, B]}],
        [{"not": {"and": [A, B]}}, {"not": [B, A]}],
        [
            {"min_should": {"conditions": [A, B, C], "count": 2}},
            {"min_should": {"conditions": [C, A, B], "count": 2}},
        ],
        [
            {"field": "year", "operator": "in", "value": [1, 2, 3]},
            {"field": "year", "operator": "in", "value": [3, 2, 1, 2]},
            {"year": {"$in": [2, 1, 3]}},
        ],
        [{"has_id": [7, "a"]}, {"has_id": ["a", 7]}, {"operator": "has_id", "value": [7, "a", 7]}],
    ],
)
def test_filters_that_mean_the_same_have_one_form(spellings: Sequence[object]) -> None:
    assert len({part(one) for one in spellings}) == 1


def test_filters_that_mean_other_things_have_other_forms() -> None:
    others: list[object] = [
        None,
        A,
        B,
        [A, B],
        {"or": [A, B]},
        {"not": [A, B]},
        {"min_should": {"conditions": [A, B], "count": 1}},
        # Two equal conditions count twice.
        {"min_should": {"conditions": [A, A, B], "count": 2}},
        {"min_should": {"conditions": [A, B], "count": 2}},
        {"field": "year", "operator": "in", "value": [1, 2]},
        {"field": "year", "operator": "in", "value": ["1", "2"]},
        {"field": "year", "operator": "not_in", "value": [1, 2]},
        {"has_id": [7]},
        {"has_id": ["7"]},
        {"field": "and", "operator": "eq", "value": "or"},
    ]
    assert len({part(one) for one in others}) == len(others)


def search(**fields: Any) -> SearchRequest:
    return parse_request(SearchRequest, {"collection": "docs", "vector": [1.0], **fields})


def test_a_default_that_is_written_out_changes_nothing() -> None:
    assert request_part(search()) == request_part(search(limit=10, include_metadata=True, mmr=None))


@pytest.mark.parametrize(
    "fields",
    [
        {"limit": 11},
        {"offset": 0},
        {"score_threshold": 0.5},
        {"mmr": {"diversity": 0.2}},
        {"mmr": {"diversity": 0.2, "candidates": 50}},
        {"include_metadata": ["title"]},
        {"include_vectors": True},
        {"include_version": True},
        {"include_total": True},
        {"exact": True},
        {"ef_search": 100},
    ],
)
def test_every_wish_counts(fields: dict[str, Any]) -> None:
    assert request_part(search(**fields)) != request_part(search())


def test_no_field_of_a_request_is_left_out_by_mistake() -> None:
    """A field that is new counts by itself; those that don't have parts of their own."""
    apart = {"collection", "filter", "vector", "text", "id", "queries", "positive", "negative"}
    bodies: list[type[BaseModel]] = [SearchRequest, CountRequest, *QUERY_BODIES]
    for body in bodies:
        zeros: dict[str, Any] = dict.fromkeys(body.model_fields, 0)
        plain = body.model_construct(**zeros)
        for name in body.model_fields:
            other = body.model_construct(**{**zeros, name: 1})
            assert (request_part(plain) == request_part(other)) is (name in apart), f"{body.__name__}.{name}"


def route(uid: str = "u1", generation: int = 1) -> CollectionRoute:
    return CollectionRoute(
        uid=uid,
        generation=generation,
        spec=CollectionSpec(name="docs", dimension=1),
        shards=(ShardRoute(shard=0, first_slot=0, last_slot=1023, replicas=("a",)),),
    )


def test_a_collection_of_the_same_name_or_another_generation_has_other_digests() -> None:
    digests = {
        digest_of(operation, place, parts)
        for operation in ("search", "count")
        for place in (route(), route(uid="u2"), route(generation=2))
        # The same bytes in other parts.
        for parts in ([b"ab", b"c"], [b"a", b"bc"], [b"abc"])
    }
    assert len(digests) == 2 * 3 * 3


def test_vectors_of_texts_are_those_of_one_model_and_one_wish() -> None:
    model = ModelRoute(name="m", dimension=3, max_tokens=9, endpoints=("a:1",))
    models = [
        model,
        model.model_copy(update={"version": "2"}),
        model.model_copy(update={"upstream_model": "other"}),
        model.model_copy(update={"prompts": Prompts(query="query: ")}),
    ]
    assert len({model_part(one) for one in models}) == len(models)
    # Where it is reached is no part of what it makes.
    assert model_part(model) == model_part(
        ModelRoute(name="m", dimension=3, max_tokens=9, endpoints=("b:2",))
    )
    assert text_digest(model, b"query", "a") != text_digest(model, b"document", "a")
    assert text_digest(model, b"query", "a") != text_digest(model, b"query", "b")
