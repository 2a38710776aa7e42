"""Searches by id, in batches, by examples, in pages and diverse: each equals brute force over all shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.gateway.corpus import COUNT, DIMENSION, Corpus, make
from tests.integration.gateway.stack import Stack

METRICS = ("cosine", "dot", "euclidean", "manhattan")
EARLY = {"field": "n", "operator": "lt", "value": COUNT // 2}


@pytest.fixture(scope="module")
def corpora(shards: Stack) -> dict[str, Corpus]:
    return {metric: make(shards, f"searches-{metric}", metric) for metric in METRICS}


@pytest.fixture(params=METRICS)
def corpus(request: pytest.FixtureRequest, corpora: dict[str, Corpus]) -> Corpus:
    return corpora[request.param]


@pytest.fixture
def cosine(corpora: dict[str, Corpus]) -> Corpus:
    return corpora["cosine"]


def _ids(results: list[dict[str, Any]]) -> list[Any]:
    return [hit["id"] for hit in results]


def _query(seed: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=DIMENSION).round(4)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    units: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return units


@pytest.mark.parametrize("condition", [None, EARLY])
def test_a_point_finds_what_is_like_it_and_not_itself(corpus: Corpus, condition: Any) -> None:
    for row in (3, 200):
        point = corpus.points[row]
        data = corpus.post("search", id=point["id"], limit=20, filter=condition)
        found = corpus.ranked(corpus.scores(corpus.vectors[row]), (point["id"],))
        if condition:
            early = {point["id"] for point in corpus.points if point["metadata"]["n"] < COUNT // 2}
            found = [id_ for id_ in found if id_ in early]
        assert _ids(data["results"]) == found[:20]


def test_a_batch_answers_each_query_as_if_it_came_alone(corpus: Corpus) -> None:
    own = corpus.points[10]["id"]
    queries: list[dict[str, Any]] = [{"vector": _query(seed).tolist()} for seed in range(3)] + [{"id": own}]
    options = {"limit": 4, "offset": 2, "filter": EARLY, "score_threshold": 0.01}
    batches = corpus.post("search/batch", queries=queries, **options)["batches"]
    alone = [corpus.post("search", **query, **options) for query in queries]
    assert batches == alone
    assert own not in _ids(batches[3]["results"])
    assert all(batch["results"] for batch in batches)


def test_a_threshold_cuts_each_query_of_a_batch_by_its_own_scores(corpus: Corpus) -> None:
    queries = [_query(seed) for seed in range(4)]
    threshold = float(np.sort(corpus.scores(queries[0]))[-6])
    batches = corpus.post(
        "search/batch",
        queries=[{"vector": query.tolist()} for query in queries],
        limit=1_000,
        score_threshold=threshold,
    )["batches"]
    for query, batch in zip(queries, batches, strict=True):
        scores = corpus.scores(query)
        assert all(hit["score"] >= threshold for hit in batch["results"])
        assert abs(len(batch["results"]) - int((scores >= threshold).sum())) <= 1


def test_pages_follow_one_another_and_the_last_says_so(corpus: Corpus) -> None:
    query = _query()
    expected = corpus.ranked(corpus.scores(query))
    found, offset = [], 0
    while True:
        data = corpus.post("search", vector=query.tolist(), limit=150, offset=offset)
        found += _ids(data["results"])
        if not data["has_more"]:
            break
        offset += 150
    assert found == expected


def test_without_an_offset_nothing_is_said_of_more(cosine: Corpus) -> None:
    assert set(cosine.post("search", vector=_query().tolist())) == {"results", "truncated"}


def test_a_full_last_page_has_no_more(cosine: Corpus) -> None:
    everything = len(cosine.points)
    for limit, more in ((everything - 1, True), (everything, False)):
        data = cosine.post("search", vector=_query().tolist(), limit=limit, offset=0)
        assert (len(data["results"]), data["has_more"]) == (limit, more)


def test_the_total_counts_what_matches(cosine: Corpus) -> None:
    early = [point for point in cosine.points if point["metadata"]["n"] < COUNT // 2]
    late = next(point for point in cosine.points if point["metadata"]["n"] >= COUNT // 2)
    asked = {"limit": 1, "include_total": True}
    vector = _query().tolist()
    cases: list[tuple[dict[str, Any], int, bool]] = [
        ({"vector": vector}, len(cosine.points), True),
        ({"vector": vector, "filter": EARLY}, len(early), True),
        ({"vector": vector, "filter": EARLY, "score_threshold": 0.99}, len(early), False),
        # The point that is searched for is no result, so it is not counted.
        ({"id": early[0]["id"]}, len(cosine.points) - 1, True),
        ({"id": early[0]["id"], "filter": EARLY}, len(early) - 1, True),
        ({"id": late["id"], "filter": EARLY}, len(early), True),
    ]
    for body, total, exact in cases:
        data = cosine.post("search", **asked, **body)
        assert (data["total_count"], data["total_is_exact"]) == (total, exact), body


def test_the_average_of_examples_is_searched_for(corpus: Corpus) -> None:
    rows, others = [1, 30, 77], [5, 6]
    extra = _query(9)
    positives = np.array([*corpus.vectors[rows], extra])
    negatives = corpus.vectors[others]
    if corpus.metric == "cosine":
        positives, negatives = _unit(positives), _unit(negatives)
    query = 2 * positives.mean(axis=0) - negatives.mean(axis=0)
    named = [corpus.points[row]["id"] for row in (*rows, *others)]
    data = corpus.post(
        "recommend", positive=[*named[:3], extra.tolist()], negative=named[3:], limit=25, offset=5
    )
    assert _ids(data["results"]) == corpus.ranked(corpus.scores(query), tuple(named))[5:30]
    assert data["has_more"] is True


def _best_score(corpus: Corpus, positives: list[Any], negatives: list[Any]) -> NDArray[np.float64]:
    """The definition, example by example."""

    def squeeze(score: float) -> float:
        return 0.5 * (1 + score / (1 + abs(score)))

    wanted = [corpus.scores(np.array(one)) for one in positives]
    avoided = [corpus.scores(np.array(one)) for one in negatives]
    scores = []
    for row in range(len(corpus.points)):
        best = max((float(one[row]) for one in wanted), default=-np.inf)
        worst = max((float(one[row]) for one in avoided), default=-np.inf)
        scores.append(squeeze(best) if best > worst else -squeeze(worst))
    return np.array(scores)


@pytest.mark.parametrize("sets", [(2, 3), (2, 0), (0, 2)])
def test_the_best_score_ranks_every_point(corpus: Corpus, sets: tuple[int, int]) -> None:
    rows = list(range(20, 20 + sum(sets)))
    ids = [corpus.points[row]["id"] for row in rows]
    vectors = list(corpus.vectors[rows])
    scores = _best_score(corpus, vectors[: sets[0]], vectors[sets[0] :])
    data = corpus.post(
        "recommend", positive=ids[: sets[0]], negative=ids[sets[0] :], strategy="best_score", limit=1_000
    )
    assert _ids(data["results"]) == corpus.ranked(scores, tuple(ids))
    by_id = {point["id"]: score for point, score in zip(corpus.points, scores, strict=True)}
    for hit in data["results"][::50]:
        assert hit["score"] == pytest.approx(by_id[hit["id"]], abs=1e-6)


def test_the_best_score_keeps_to_filter_and_threshold(cosine: Corpus) -> None:
    ids = [cosine.points[row]["id"] for row in (20, 21)]
    scores = _best_score(cosine, [cosine.vectors[20]], [cosine.vectors[21]])
    data = cosine.post(
        "recommend",
        positive=ids[:1],
        negative=ids[1:],
        strategy="best_score",
        filter=EARLY,
        score_threshold=0.6,
        limit=1_000,
        include_total=True,
    )
    early = [point["metadata"]["n"] < COUNT // 2 for point in cosine.points]
    expected = cosine.ranked(np.where(early & (scores >= 0.6), scores, -9.0), tuple(ids))
    count = int((early & (scores >= 0.6)).sum()) - 1
    assert _ids(data["results"]) == expected[:count]
    assert data["total_count"] == sum(early) - 2


def _mmr(
    corpus: Corpus, query: NDArray[np.float64], diversity: float, candidates: int, limit: int
) -> list[Any]:
    """The definition, without anything remembered from one step to the next."""
    scores = corpus.scores(query)
    rows = sorted(range(len(scores)), key=lambda row: -scores[row])[:candidates]
    taken: list[int] = []
    while len(taken) < min(limit, len(rows)):

        def worth(row: int) -> float:
            alike = max((float(corpus.scores(corpus.vectors[row])[one]) for one in taken), default=0.0)
            return (1 - diversity) * float(scores[row]) - diversity * alike

        taken.append(max((row for row in rows if row not in taken), key=worth))
    return [corpus.points[row]["id"] for row in taken]


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.9])
def test_diverse_results_are_chosen_by_maximal_marginal_relevance(corpus: Corpus, diversity: float) -> None:
    query = _query()
    data = corpus.post(
        "search",
        vector=query.tolist(),
        limit=6,
        offset=2,
        mmr={"diversity": diversity, "candidates": 30},
    )
    assert _ids(data["results"]) == _mmr(corpus, query, diversity, 30, 8)[2:]
    assert all("vector" not in hit for hit in data["results"])


def test_diverse_results_without_a_number_of_candidates(cosine: Corpus) -> None:
    query = _query()
    data = cosine.post("search", vector=query.tolist(), limit=5, mmr={"diversity": 0.7}, include_vectors=True)
    assert _ids(data["results"]) == _mmr(cosine, query, 0.7, 20, 5)
    assert all(len(hit["vector"]) == DIMENSION for hit in data["results"])


Ask = Callable[..., list[dict[str, Any]]]


def _reads(corpus: Corpus) -> Iterator[Ask]:
    vector = _query().tolist()
    yield lambda **asked: corpus.post("search", vector=vector, **asked)["results"]
    yield lambda **asked: corpus.post("get", ids=[corpus.points[1]["id"]], **asked)["vectors"]
    yield lambda **asked: corpus.post("scroll", limit=5, **asked)["vectors"]
    yield lambda **asked: corpus.post("scroll", limit=5, order_by="n", **asked)["vectors"]
    yield lambda **asked: corpus.post("recommend", positive=[vector], strategy="best_score", **asked)[
        "results"
    ]
    yield lambda **asked: corpus.post("search/groups", vector=vector, group_by="color", **asked)["groups"][0][
        "results"
    ]


def test_only_the_fields_that_are_named_are_answered(cosine: Corpus) -> None:
    by_id = {point["id"]: point for point in cosine.points}
    for ask in _reads(cosine):
        for shown in ask(include_metadata=["n", "author.name", "author.missing", "year.of"]):
            whole = by_id[shown["id"]]["metadata"]
            expected = {"n": whole["n"], "author": {"name": whole["author"]["name"]}}
            if isinstance(whole.get("year"), dict):
                expected["year"] = whole["year"]
            assert shown["metadata"] == expected
        assert "metadata" not in ask(include_metadata=[])[0]
        with_vector = ask(include_vectors=["default"])[0]
        assert "vector" in with_vector or "embedding" in with_vector
        without = ask(include_vectors=[])[0]
        assert "vector" not in without
        assert "embedding" not in without


def test_how_a_search_went_is_told(cosine: Corpus) -> None:
    condition = [EARLY, {"field": "nobody.has.it", "operator": "exists", "value": False}]
    data = cosine.post("search", vector=_query().tolist(), filter=condition, explain=True)
    assert [shard["shard"] for shard in data["explanation"]] == [0, 1, 2]
    segments = [segment for shard in data["explanation"] for segment in shard["segments"]]
    early = sum(point["metadata"]["n"] < COUNT // 2 for point in cosine.points)
    assert sum(segment["matched"] for segment in segments) == early
    for segment in segments:
        assert segment["plan"] in {"none", "scan", "masked", "whole"}
        assert segment["estimate"]["least"] <= segment["matched"] <= segment["estimate"]["most"]
        assert segment["reason"]
        assert segment["unknown_fields"] == ["nobody.has.it"]
