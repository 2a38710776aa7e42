"""The schema has what REST has: its inputs are the request models."""

from __future__ import annotations

import pytest
from graphql import GraphQLInputObjectType, GraphQLNonNull, GraphQLObjectType
from pydantic import BaseModel

from hanax.core.specs import CollectionSpec
from hanax.gateway.embedding_requests import EmbeddingRequest
from hanax.gateway.graphql.schema import SCHEMA
from hanax.gateway.query_requests import RecommendRequest
from hanax.gateway.requests import InsertRequest, Point, ScrollRequest, SearchRequest
from hanax.gateway.schemas import collections as collection_schemas
from hanax.gateway.schemas import jobs as job_schemas
from hanax.gateway.schemas import points as point_schemas


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SearchRequest, "SearchInput"),
        (ScrollRequest, "ScrollInput"),
        (RecommendRequest, "RecommendInput"),
        (InsertRequest, "InsertInput"),
        (Point, "PointInput"),
        (CollectionSpec, "CollectionInput"),
        (EmbeddingRequest, "EmbeddingInput"),
    ],
)
def test_an_input_has_the_fields_and_defaults_of_its_request(model: type[BaseModel], name: str) -> None:
    made = SCHEMA.core.type_map[name]
    assert isinstance(made, GraphQLInputObjectType)
    told = {snake(field): one for field, one in made.fields.items()}
    selected = {"include_metadata", "include_vectors", "include_version"}
    assert set(told) - {"metadata_fields"} == set(model.model_fields) - selected
    for field, info in model.model_fields.items():
        if field in told and isinstance(info.default, bool | int | float) and info.default is not None:
            assert told[field].default_value == info.default
        if field in told and info.is_required():
            assert isinstance(told[field].type, GraphQLNonNull)


@pytest.mark.parametrize(
    ("model", "name", "renamed"),
    [
        (point_schemas.Hit, "Hit", {}),
        (point_schemas.Vector, "Point", {"embedding": "vector"}),
        (collection_schemas.CollectionDescription, "Collection", {}),
        (job_schemas.Job, "Job", {}),
    ],
)
def test_an_object_has_the_fields_that_rest_answers(
    model: type[BaseModel], name: str, renamed: dict[str, str]
) -> None:
    made = SCHEMA.core.type_map[name]
    assert isinstance(made, GraphQLObjectType)
    told = {snake(field) for field in made.fields}
    assert {renamed.get(field, field) for field in model.model_fields} <= told


def test_every_field_that_asks_somebody_has_a_cost() -> None:
    for root in (SCHEMA.core.query_type, SCHEMA.core.mutation_type, SCHEMA.core.subscription_type):
        assert root is not None
        for name, field in root.fields.items():
            directives = field.extensions["strawberry-definition"].directives
            assert directives, name
