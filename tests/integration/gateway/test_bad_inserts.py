"""Inserts that are refused: the status, the code, and that nothing was written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.refusals import GOOD, INF, NAN, Case, check_refused, deep
from tests.integration.gateway.stack import Stack


def _insert(name: str, point: Any, code: str, mentions: str, status: int = 422) -> Case:
    """A bad point after a good one."""
    body = {"collection": "bad", "vectors": [GOOD, point]}
    return Case(f"insert {name}", "vectors/insert", body, status, code, mentions, 1)


CASES = [
    _insert("short vector", {"id": 2, "vector": [1, 2]}, "dimension_mismatch", "takes 3 numbers"),
    _insert("empty vector", {"id": 2, "vector": []}, "dimension_mismatch", "got 0"),
    _insert("NaN", {"id": 2, "vector": [1, NAN, 0]}, "non_finite_vector", "finite"),
    _insert("infinity", {"id": 2, "vector": [1, -INF, 0]}, "non_finite_vector", "finite"),
    _insert("beyond float32", {"id": 2, "vector": [1, 1e39, 0]}, "non_finite_vector", "float32"),
    _insert("overlong", {"id": 2, "vector": [1e19, 0, 0]}, "non_finite_vector", "1e+18"),
    _insert("zero", {"id": 2, "vector": [0, 0, -0.0]}, "zero_vector", "cosine"),
    _insert("text in a vector", {"id": 2, "vector": [1, "2", 3]}, "invalid_argument", "vector[1]"),
    _insert("true in a vector", {"id": 2, "vector": [1, True, 3]}, "invalid_argument", "vector[1]"),
    _insert("null in a vector", {"id": 2, "vector": [None, 2, 3]}, "invalid_argument", "vector[0]"),
    _insert("nested vector", {"id": 2, "vector": [[1, 2, 3]]}, "invalid_argument", "vector[0]"),
    _insert("vector no list", {"id": 2, "vector": "1,2,3"}, "invalid_argument", "got text"),
    _insert("no content", {"id": 2}, "invalid_argument", "one of vector, embedding or text"),
    _insert(
        "two contents", {"id": 2, "vector": [1, 0, 0], "text": "x"}, "invalid_argument", "vector and text"
    ),
    _insert(
        "vector twice",
        {"id": 2, "vector": [1, 0, 0], "embedding": [1, 0, 0]},
        "invalid_argument",
        "vector and embedding",
    ),
    _insert("text without model", {"id": 2, "text": "x"}, "failed_precondition", "embedding_model", 409),
    _insert("unknown key", {"id": 2, "vectors": [1, 0, 0]}, "invalid_argument", "'vectors'"),
    _insert("no object", [1, 0, 0], "invalid_argument", "expected an object, got a list"),
    _insert("negative id", {"id": -1, "vector": [1, 0, 0]}, "invalid_id", "vectors[1].id"),
    _insert("huge id", {"id": 2**64, "vector": [1, 0, 0]}, "invalid_id", "vectors[1].id"),
    _insert("float id", {"id": 1.5, "vector": [1, 0, 0]}, "invalid_id", "got the number 1.5"),
    _insert("boolean id", {"id": True, "vector": [1, 0, 0]}, "invalid_id", "got true"),
    _insert("empty id", {"id": "", "vector": [1, 0, 0]}, "invalid_id", "1 to 128"),
    _insert("long id", {"id": "é" * 65, "vector": [1, 0, 0]}, "invalid_id", "this one has 130"),
    _insert("duplicate id", {"id": 1, "vector": [0, 1, 0]}, "duplicate_id", "vectors[0]"),
    _insert("metadata list", GOOD | {"id": 2, "metadata": []}, "invalid_metadata", "got an empty list"),
    _insert("metadata text", GOOD | {"id": 2, "metadata": "x"}, "invalid_metadata", "got text"),
    _insert("metadata NaN", GOOD | {"id": 2, "metadata": {"a": [NAN]}}, "invalid_metadata", "finite"),
    _insert("metadata deep", GOOD | {"id": 2, "metadata": deep(17)}, "invalid_metadata", "16 levels"),
    _insert("metadata big", GOOD | {"id": 2, "metadata": {"a": "x" * 65_536}}, "metadata_too_large", "65536"),
    Case(
        "insert nothing",
        "vectors/insert",
        {"collection": "bad", "vectors": []},
        422,
        "invalid_argument",
        "1 to 2000",
    ),
    Case(
        "insert too many",
        "vectors/insert",
        {"collection": "bad", "vectors": [{"vector": [1, 0, 0]}] * 2_001},
        422,
        "invalid_argument",
        "got 2001",
    ),
    Case(
        "insert points no list",
        "vectors/insert",
        {"collection": "bad", "vectors": GOOD},
        422,
        "invalid_argument",
        "a list of points",
    ),
    Case(
        "insert without points",
        "vectors/insert",
        {"collection": "bad"},
        422,
        "invalid_argument",
        "vectors: field required",
    ),
    Case(
        "insert unknown key",
        "vectors/insert",
        {"collection": "bad", "vectors": [GOOD], "x": 1},
        422,
        "invalid_argument",
        "x: ",
    ),
    Case(
        "insert no collection",
        "vectors/insert",
        {"vectors": [GOOD]},
        422,
        "invalid_argument",
        "collection: field required",
    ),
    Case(
        "insert collection no text",
        "vectors/insert",
        {"collection": 7, "vectors": [GOOD]},
        422,
        "invalid_argument",
        "collection: ",
    ),
    Case(
        "insert unknown collection",
        "vectors/insert",
        {"collection": "nope", "vectors": [GOOD]},
        404,
        "collection_not_found",
        "'nope'",
    ),
    Case(
        "insert list body",
        "vectors/insert",
        [GOOD],
        422,
        "invalid_argument",
        "expected an object, got a list",
    ),
    Case(
        "insert empty text",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": "good"}, {"text": " \n"}]},
        422,
        "invalid_text",
        "vectors[1].text",
        1,
    ),
    Case(
        "insert text no text",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": 5}]},
        422,
        "invalid_text",
        "got the number 5",
        0,
    ),
    Case(
        "insert long text",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": "x" * 131_073}]},
        422,
        "text_too_long",
        "131072",
        0,
    ),
    Case(
        "insert text past metadata",
        "vectors/insert",
        {"collection": "bad-texts", "vectors": [{"text": "x" * 65_536}]},
        422,
        "metadata_too_large",
        "65536",
        0,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_insert_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    check_refused(unwritten, case)


def test_no_direction_is_fine_without_cosine(bad: Stack) -> None:
    body = {"collection": "bad-dot", "vectors": [{"id": 1, "vector": [0, 0, 0]}]}
    assert bad.data(bad.post("/api/v1/vectors/insert", body))["inserted"] == 1
