"""Queries of libraries: what they find, in which order, and what becomes of steps that fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.libraries.conftest import Api, CrossEncoder


@pytest.fixture(scope="module")
def library(library_stack: Any) -> str:
    """Words in common are what the model of these tests finds texts by."""
    api = Api(library_stack.client)
    made = api.library(index={"type": "auto"})
    texts = [
        "storage of a checksum",
        "checksum checksum checksum",
        "a checksum of storage of bytes",
        "bread and salt",
    ]
    chunks = [{"text": text, "metadata": {"page": number}} for number, text in enumerate(texts)]
    api.document(made, title="Storage", metadata={"year": 2024}, chunks=chunks)
    api.document(made, title="Kitchen", metadata={"year": 2019}, chunks=[{"text": "bread with butter"}])
    return made


def test_results_carry_text_document_and_score(api: Api, library: str) -> None:
    found = api.query(library, text="bread", k=2)
    assert {one["text"] for one in found["results"]} == {"bread and salt", "bread with butter"}
    by_title = {one["document"]["title"]: one for one in found["results"]}
    assert by_title["Kitchen"]["document"]["metadata"] == {"year": 2019}
    assert by_title["Storage"]["metadata"] == {"page": 3}
    assert found["results"][0]["score"] >= found["results"][1]["score"]
    assert [step["step"] for step in found["steps"]] == ["embed", "retrieve"]


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        ({"field": "document.metadata.year", "operator": "lt", "value": 2020}, {"bread with butter"}),
        ({"document.title": "Kitchen"}, {"bread with butter"}),
        ([{"field": "metadata.page", "operator": "eq", "value": 3}], {"bread and salt"}),
        ({"field": "metadata.page", "operator": "exists", "value": False}, {"bread with butter"}),
    ],
)
def test_filters_name_fields_as_results_show_them(
    api: Api, library: str, condition: Any, texts: set[str]
) -> None:
    found = api.query(library, text="bread", k=10, filter=condition)["results"]
    assert {one["text"] for one in found} == texts


def test_a_least_score_leaves_out_what_is_further_away(api: Api, library: str) -> None:
    scores = [one["score"] for one in api.query(library, text="bread")["results"]]
    found = api.query(library, text="bread", min_score=scores[1])["results"]
    assert len(found) == sum(score >= scores[1] for score in scores)


def test_an_embedding_finds_its_own_chunk(api: Api, library: str) -> None:
    found = api.query(library, text="bread with butter", k=1, include_embeddings=True)["results"][0]
    again = api.query(library, embedding=found["embedding"], k=1)
    assert again["results"][0]["id"] == found["id"]
    assert [step["step"] for step in again["steps"]] == ["retrieve"]


def test_mmr_takes_results_that_are_unlike_one_another(api: Api) -> None:
    library = api.vectors()
    vectors = [[1.0, 0.0, 0.0], [1.0, 0.01, 0.0], [0.8, 0.0, 0.6]]
    chunks = [{"text": str(n), "embedding": vector} for n, vector in enumerate(vectors)]
    api.document(library, chunks=chunks)
    query = {"embedding": [1.0, 0.0, 0.0], "k": 2}
    assert [one["text"] for one in api.query(library, **query)["results"]] == ["0", "1"]
    mmr = {"type": "mmr", "diversity": 0.7}
    assert [one["text"] for one in api.query(library, **query, rerank=mmr)["results"]] == ["0", "2"]


@pytest.mark.parametrize("model", ["by-tei", "by-cohere"])
def test_a_cross_encoder_orders_what_was_retrieved(
    api: Api, library: str, cross_encoder: CrossEncoder, model: str
) -> None:
    rerank = {"type": "cross_encoder", "model": model, "candidates": 5}
    found = api.query(library, text="  checksum ", k=3, rerank=rerank)
    assert found["results"][0]["text"] == "checksum checksum checksum"
    assert [one["rerank_score"] for one in found["results"]] == [3.0, 1.0, 1.0]
    assert found["steps"][-1]["outcome"] == "done"
    assert cross_encoder.asked[-1]["query"] == "checksum"


def test_a_step_that_fails_is_tried_again_by_its_own_count(
    api: Api, library: str, cross_encoder: CrossEncoder
) -> None:
    cross_encoder.statuses[:] = [503, 500]
    rerank = {"type": "cross_encoder", "model": "by-cohere"}
    found = api.query(
        library, text="checksum", k=1, rerank=rerank, steps={"rerank": {"retries": 5, "timeout_s": 60}}
    )
    assert found["steps"][-1]["tries"] == 3
    assert found["steps"][-1]["outcome"] == "done"


def test_a_rerank_that_fails_is_an_error_or_passed_over_as_asked(api: Api, library: str) -> None:
    rerank = {"type": "cross_encoder", "model": "away"}
    body = {"text": "bread", "k": 2, "steps": {"rerank": {"retries": 0}}}
    plain = api.query(library, **body)["results"]
    path = f"/api/v1/libraries/{library}/query"
    error = api.refused("POST", path, {**body, "rerank": rerank}, 503)
    assert error["details"]["step"] == "rerank"
    assert "rerank model 'away'" in error["message"]
    found = api.query(library, **body, rerank={**rerank, "on_failure": "skip"})
    assert found["results"] == plain
    told = found["steps"][-1]
    assert (told["step"], told["skipped"], told["outcome"]) == ("rerank", True, "unavailable")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_argument"),
        ({"text": "x", "embedding": [1.0] * 384}, 422, "invalid_argument"),
        ({"text": " "}, 422, "invalid_text"),
        ({"text": 7}, 422, "invalid_text"),
        ({"embedding": [1.0]}, 422, "dimension_mismatch"),
        ({"text": "x", "k": 0}, 422, "invalid_argument"),
        ({"text": "x", "k": 1_001}, 422, "invalid_argument"),
        ({"text": "x", "filter": {"field": "a", "operator": "no"}}, 422, "invalid_filter"),
        ({"text": "x", "rerank": {"type": "magic"}}, 422, "invalid_argument"),
        ({"text": "x", "rerank": {"type": "cross_encoder", "model": "nobody"}}, 404, "model_not_found"),
        (
            {"embedding": [1.0] * 384, "rerank": {"type": "cross_encoder", "model": "by-tei"}},
            422,
            "invalid_argument",
        ),
        ({"text": "x", "k": 5, "rerank": {"type": "mmr", "candidates": 4}}, 422, "invalid_limit"),
        (
            {"text": "x", "k": 201, "rerank": {"type": "cross_encoder", "model": "by-tei"}},
            422,
            "invalid_limit",
        ),
        ({"text": "x", "steps": {"embed": {"timeout_s": 0}}}, 422, "invalid_argument"),
    ],
)
def test_a_query_that_cannot_be_is_refused(api: Api, library: str, body: Any, status: int, code: str) -> None:
    assert api.refused("POST", f"/api/v1/libraries/{library}/query", body, status)["code"] == code
