"""Collections that can't be declared or changed: the status, the code, and that nothing was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.refusals import INF, NAN, Case, check_refused
from tests.integration.gateway.stack import Stack


def _create(name: str, more: dict[str, Any], mentions: str) -> Case:
    body = {"name": "bad-new", "dimension": 48} | more
    return Case(f"create {name}", "collections", body, 422, "invalid_argument", mentions)


def _change(name: str, body: Any, mentions: str) -> Case:
    """Of a collection that has 3 dimensions and dot."""
    return Case(
        f"change {name}", "collections/bad-dot", body, 422, "invalid_argument", mentions, method="PATCH"
    )


FIXED = {"name": "x", "dimension": 4, "metric": "cosine", "shards": 4, "embedding_model": "hash-384"}

CASES = [
    Case(
        "create duplicate", "collections", {"name": "bad", "dimension": 3}, 409, "collection_exists", "'bad'"
    ),
    Case(
        "create bad name", "collections", {"name": "No_good", "dimension": 3}, 422, "invalid_argument", "name"
    ),
    Case(
        "create no dimension",
        "collections",
        {"name": "bad-new"},
        422,
        "invalid_argument",
        "dimension: field required",
    ),
    Case(
        "create dimension 0",
        "collections",
        {"name": "bad-new", "dimension": 0},
        422,
        "invalid_argument",
        "dimension",
    ),
    Case(
        "create dimension",
        "collections",
        {"name": "bad-new", "dimension": 8_193},
        422,
        "invalid_argument",
        "8192",
    ),
    Case(
        "create metric",
        "collections",
        {"name": "bad-new", "dimension": 3, "metric": "l7"},
        422,
        "invalid_argument",
        "metric",
    ),
    Case(
        "create shards",
        "collections",
        {"name": "bad-new", "dimension": 3, "shards": 65},
        422,
        "invalid_argument",
        "64",
    ),
    _create("no object of pins", {"payload_indexes": ["title"]}, "payload_indexes"),
    _create("unknown pin", {"payload_indexes": {"title": "words"}}, "payload_indexes.title"),
    _create("pin of no field", {"payload_indexes": {"a..b": "text"}}, "payload_indexes.a..b"),
    _create("many pins", {"payload_indexes": {f"f{n}": "none" for n in range(257)}}, "at most 256"),
    Case(
        "create unknown model",
        "collections",
        {"name": "bad-new", "dimension": 3, "embedding_model": "x"},
        404,
        "model_not_found",
        "hash-384",
    ),
    Case(
        "create model conflict",
        "collections",
        {"name": "bad-new", "dimension": 3, "embedding_model": "hash-384"},
        409,
        "model_conflict",
        "384",
    ),
    Case("describe unknown", "collections/nope", None, 404, "collection_not_found", "'nope'", method="GET"),
    Case(
        "describe no name", "collections/..%00", None, 404, "collection_not_found", "name has", method="GET"
    ),
    Case("delete unknown", "collections/nope", None, 404, "collection_not_found", "'nope'", method="DELETE"),
    Case("delete hostile name", "collections/%2E%2Fbad", None, 404, "not_found", "", method="DELETE"),
    _create(
        "index",
        {"index": {"type": "annoy"}},
        "no 'annoy'; expected one of: auto, flat, hnsw, ivf, lsh, kd_tree",
    ),
    _create("index without type", {"index": {"m": 8}}, "index.type: field required"),
    _create("index no object", {"index": "hnsw"}, "index: expected an object, got text"),
    _create(
        "parameter",
        {"index": {"type": "hnsw", "links": 8}},
        "index.links: there is no such field; expected one of: type, m, ef_construction",
    ),
    _create(
        "parameter out of range",
        {"index": {"type": "hnsw", "m": 65}},
        "index.m: input should be less than or equal to 64, got 65",
    ),
    _create(
        "LSH with too many bits",
        {"index": {"type": "lsh", "hash_size": 25}},
        "hash_size: input should be less than or equal to 24, got 25",
    ),
    _create(
        "k-d tree with dot", {"index": {"type": "kd_tree"}, "metric": "dot"}, "a k-d tree does not serve dot"
    ),
    _create(
        "quantisation",
        {"quantisation": {"type": "int4"}},
        "no 'int4'; expected one of: none, int8, product, binary",
    ),
    _create(
        "quantisation of an index",
        {"index": {"type": "lsh"}, "quantisation": {"type": "int8"}},
        "lsh takes no int8",
    ),
    _create(
        "PQ that does not divide",
        {"quantisation": {"type": "product", "part_dimension": 7}},
        "of these they do: 1, 2, 3, 4, 6, 8, 12, 16, 24, 48",
    ),
    _create(
        "PQ bits",
        {"quantisation": {"type": "product", "bits": 5}},
        "quantisation.bits: input should be 4 or 8, got 5",
    ),
    *[
        _create(f"target_recall {share}", {"target_recall": share}, "target_recall: ")
        for share in (0, -0.1, 1.01, NAN, INF, "high")
    ],
    _change("nothing", {}, "at least one of: index, quantisation, target_recall, payload_indexes"),
    _change("no object", [], "expected an object"),
    _change("unknown key", {"indx": 1}, "indx: there is no such field"),
    *[
        _change(name, {name: value}, f"{name}: fixed for a collection's life")
        for name, value in FIXED.items()
    ],
    _change("index", {"index": {"type": "annoy"}}, "no 'annoy'"),
    _change("index to null", {"index": None}, "index: expected an object, got null"),
    _change("to a k-d tree with dot", {"index": {"type": "kd_tree"}}, "a k-d tree does not serve dot"),
    _change("pins to null", {"payload_indexes": None}, "payload_indexes: input should be a valid dictionary"),
    _change("no object of pins", {"payload_indexes": ["title"]}, "payload_indexes"),
    _change("unknown pin", {"payload_indexes": {"title": "words"}}, "payload_indexes.title"),
    _change("pin of no field", {"payload_indexes": {"a..b": "text"}}, "payload_indexes.a..b"),
    _change("many pins", {"payload_indexes": {f"f{n}": "none" for n in range(257)}}, "at most 256"),
    _change("target_recall", {"target_recall": 2}, "target_recall: "),
    _change(
        "PQ that does not divide",
        {"quantisation": {"type": "product", "part_dimension": 2}},
        "of these they do: 1, 3",
    ),
    Case(
        "change unknown",
        "collections/nope",
        {"target_recall": 0.9},
        404,
        "collection_not_found",
        "'nope'",
        method="PATCH",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_collection_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    check_refused(unwritten, case)
