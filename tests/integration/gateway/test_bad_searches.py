"""Searches that are refused: the status, the code, and what the message names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.refusals import NAN, Case, check_refused
from tests.integration.gateway.stack import Stack


def _search(name: str, more: dict[str, Any], code: str, mentions: str, status: int = 422) -> Case:
    body = {"collection": "bad", "vector": [1, 0, 0]} | more
    body = {key: value for key, value in body.items() if value is not ...}
    return Case(f"search {name}", "vectors/search", body, status, code, mentions)


CASES = [
    _search("short vector", {"vector": [1, 2]}, "dimension_mismatch", "got 2"),
    _search("NaN", {"vector": [1, NAN, 0]}, "non_finite_vector", "finite"),
    _search("zero", {"vector": [0, 0, 0]}, "zero_vector", "cosine"),
    _search("overflow", {"vector": [1, 10**400, 0]}, "non_finite_vector", "float32"),
    _search(
        "beyond 64 bits", {"vector": [1, 2, NAN], "score_threshold": 10**400}, "invalid_argument", "score"
    ),
    _search(
        "filter beyond 64 bits",
        {"vector": [1, 2, NAN], "filter": {"field": "a", "operator": "eq", "value": 10**400}},
        "invalid_filter",
        "finite",
    ),
    _search("neither", {"vector": ...}, "invalid_argument", "got none of them"),
    _search("both", {"text": "x"}, "invalid_argument", "got vector and text"),
    _search(
        "text without model", {"vector": ..., "text": "x"}, "failed_precondition", "no embedding model", 409
    ),
    _search("text empty", {"vector": ..., "text": ""}, "invalid_text", "visible"),
    _search("text no text", {"vector": ..., "text": ["a"]}, "invalid_text", "got a list"),
    _search("limit 0", {"limit": 0}, "invalid_limit", "got 0"),
    _search("limit 1001", {"limit": 1001}, "invalid_limit", "1000"),
    _search("limit text", {"limit": "10"}, "invalid_limit", "limit"),
    _search("limit float", {"limit": 10.0}, "invalid_limit", "limit"),
    _search("limit true", {"limit": True}, "invalid_limit", "limit"),
    _search("threshold text", {"score_threshold": "0.5"}, "invalid_argument", "score_threshold"),
    _search("threshold NaN", {"score_threshold": NAN}, "invalid_argument", "score_threshold"),
    _search("include text", {"include_metadata": "yes"}, "invalid_argument", "include_metadata"),
    _search("unknown key", {"top_k": 5}, "invalid_argument", "top_k"),
    _search(
        "unknown operator",
        {"filter": {"field": "a", "operator": "like", "value": 1}},
        "invalid_filter",
        "like",
    ),
    _search("filter text", {"filter": "a = 1"}, "invalid_filter", "got text"),
    _search(
        "filter value type",
        {"filter": {"field": "a", "operator": "gt", "value": [1]}},
        "invalid_filter",
        "number or text",
    ),
    _search("filter empty", {"filter": []}, "invalid_filter", "at least one"),
    _search("filter deep", {"filter": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}, "invalid_filter", ""),
    _search(
        "filter NaN", {"filter": {"field": "a", "operator": "eq", "value": NAN}}, "invalid_filter", "finite"
    ),
    _search(
        "filter big",
        {"filter": {"field": "a", "operator": "eq", "value": "x" * 300_000}},
        "invalid_filter",
        "262144",
    ),
    _search("unknown collection", {"collection": "nope"}, "collection_not_found", "'nope'", 404),
    _search("ef_search 0", {"ef_search": 0}, "invalid_argument", "ef_search: input should be greater"),
    _search("ef_search beyond", {"ef_search": 10_001}, "invalid_argument", "10000, got 10001"),
    _search("nprobe beyond", {"nprobe": 65_537}, "invalid_argument", "nprobe"),
    _search("nprobe text", {"nprobe": "8"}, "invalid_argument", "nprobe"),
    _search("probes negative", {"probes": -1}, "invalid_argument", "probes"),
    _search("probes float", {"probes": 2.5}, "invalid_argument", "probes"),
    _search("exact no boolean", {"exact": 1}, "invalid_argument", "exact"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_search_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    check_refused(unwritten, case)
