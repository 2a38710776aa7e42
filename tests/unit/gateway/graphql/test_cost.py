"""What documents are weighed: every value that may be answered, lists as long as they may be."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from hanax.core.errors import GraphqlTooCostly
from hanax.gateway.graphql.cost import Scales, Weight, check
from hanax.gateway.graphql.limits import GraphqlLimits
from hanax.gateway.graphql.schema import SCHEMA

SCALES = Scales(SCHEMA.core)

HIT = '{ searchVectors(input: {collection: "d", vector: [1], limit: 2}) { results { id } } }'

# A search is 100; each result is 1 and the values in it.
CASES: list[tuple[str, dict[str, Any], int, int]] = [
    ("{ __typename }", {}, 1, 1),
    (HIT, {}, 100 + 2 * (1 + 1), 3),
    (HIT.replace("id }", "id score vector }"), {}, 100 + 2 * (1 + 1 + 1 + 10), 3),
    (HIT.replace(", limit: 2", ""), {}, 100 + 10 * 2, 3),
    ("{ a: " + HIT[2:-2] + " b: " + HIT[2:-2] + " }", {}, 2 * 104, 3),
    (
        "query ($n: Int!) { collections(limit: $n) { collections { name points } nextCursor } }",
        {"n": 7},
        10 + 7 * (1 + 1 + 10) + 1,
        3,
    ),
    ("query ($n: Int = 5) { collections(limit: $n) { collections { name } } }", {}, 10 + 5 * 2, 3),
    ("query ($n: Int = 5) { collections(limit: $n) { collections { name } } }", {"n": 3.0}, 10 + 3 * 2, 3),
    ("query ($n: Int = 5) { collections(limit: $n) { collections { name } } }", {"n": "x"}, 10 + 100 * 2, 3),
    (
        "query ($i: ScrollInput!) { scroll(input: $i) { vectors { id } } }",
        {"i": {"collection": "d", "limit": 50}},
        20 + 50 * 2,
        3,
    ),
    (
        'query ($l: Int!) { scroll(input: {collection: "d", limit: $l}) { vectors { id } } }',
        {"l": 4},
        20 + 4 * 2,
        3,
    ),
    ('{ getVectors(collection: "d", ids: [1, 2, 3]) { vectors { id } missing } }', {}, 20 + 3 * 2 + 1, 3),
    (
        '{ searchVectorsBatch(input: {collection: "d", queries: [{id: 1}, {id: 2}], limit: 5}) '
        "{ batches { results { id } } } }",
        {},
        2 * 100 + 2 * (1 + 5 * 2),
        4,
    ),
    # Searches are made though nothing of them is asked for.
    (
        'query ($q: [QueryInput!]!) { searchVectorsBatch(input: {collection: "d", queries: $q}) '
        "{ __typename } }",
        {"q": [{"id": 1}] * 7},
        7 * 100 + 1,
        2,
    ),
    (
        '{ searchGroups(input: {collection: "d", id: 1, groupBy: "a", limit: 4, groupSize: 2}) '
        "{ groups { value results { id } } } }",
        {},
        100 + 4 * (1 + 1 + 2 * 2),
        4,
    ),
    (
        "{ libraries(limit: 2) { libraries { documents(limit: 3) { documents { chunks(limit: 4) "
        "{ chunks { text } } } } } } }",
        {},
        10 + 2 * (1 + 10 + 3 * (1 + 10 + 4 * (5 + 1))),
        7,
    ),
    # Fragments count where they are used.
    ("{ ...F ...F } fragment F on Query { aliases { alias } }", {}, 2 * (10 + 100), 2),
    ("{ ... on Query { aliases { alias } } }", {}, 110, 2),
    # What is wrong is weighed as well: nothing is validated yet.
    ("{ nope(limit: 9) { a { b } } }", {}, 3, 3),
    ("{ ...F } fragment F on Query { ...F aliases { alias } }", {}, 1 + 110, 2),
]


def weigh(document: str, variables: dict[str, Any]) -> Weight:
    tree = parse(document)
    operation = next(node for node in tree.definitions if isinstance(node, OperationDefinitionNode))
    return SCALES.weigh(tree, operation, variables)


@pytest.mark.parametrize(("document", "variables", "cost", "depth"), CASES, ids=lambda one: str(one)[:40])
def test_a_document_is_weighed(document: str, variables: dict[str, Any], cost: int, depth: int) -> None:
    assert weigh(document, variables) == Weight(cost, depth)


def test_fragments_in_fragments_are_weighed_once_each() -> None:
    """2^40 fields in 40 lines: told at once, and refused."""
    levels = 40
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    document = "{ ...F0 } " + " ".join(fragments) + f" fragment F{levels} on Query {{ __typename }}"
    assert weigh(document, {}).cost == 2**levels


@pytest.mark.parametrize(
    ("weight", "details"),
    [(Weight(11, 1), {"limit": 10, "cost": 11}), (Weight(1, 4), {"limit": 3, "depth": 4})],
)
def test_what_is_past_a_limit_is_refused(weight: Weight, details: dict[str, int]) -> None:
    limits = GraphqlLimits(cost=10, depth=3, introspection=True, most_s=1.0)
    check(Weight(10, 3), limits)
    with pytest.raises(GraphqlTooCostly) as refused:
        check(weight, limits)
    assert refused.value.details == details
