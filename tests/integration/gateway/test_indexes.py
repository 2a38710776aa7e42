"""Indexes over REST, on shard processes: chosen, built, searched, and changed while points are searched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.waiting import wait_until

# Of every two batches each of two shards gets enough to seal a segment, and none is left over.
DIMENSION, COUNT, BATCH, SEGMENT_ROWS = 16, 8_000, 2_000, 1_500


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Segments are sealed soon, and are large enough to be indexed."""
    with running_shards(tmp_path_factory.mktemp("indexed"), segment_max_rows=SEGMENT_ROWS) as running:
        yield running


def vectors(metric: str, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Clusters, as data have: float32[COUNT, dimension]."""
    random = np.random.default_rng(5)
    centres = random.standard_normal((40, dimension))
    rows = centres[random.integers(0, 40, COUNT)] + 0.3 * random.standard_normal((COUNT, dimension))
    return np.asarray(
        rows if metric != "cosine" else rows / np.linalg.norm(rows, axis=1)[:, None], np.float32
    )


def fill(stack: Stack, name: str, rows: NDArray[np.float32]) -> None:
    for start in range(0, len(rows), BATCH):
        points = [
            {"id": start + place, "vector": row, "metadata": {"even": (start + place) % 2 == 0}}
            for place, row in enumerate(rows[start : start + BATCH].tolist())
        ]
        stack.insert(name, points)


def describe(stack: Stack, name: str) -> Any:
    return stack.data(stack.client.get(f"/api/v1/collections/{name}"))


def settled(stack: Stack, name: str, type_: str, quantisation: str) -> Any:
    """The description, once all points are in segments with this index."""

    def look() -> Any:
        told = describe(stack, name)
        indexes = [index for shard in told["shard_states"] for index in shard["indexes"]]
        refused = [index["reason"] for index in indexes if index["state"] == "refused"]
        assert not refused, refused
        kinds = {(index["type"], index["quantisation"]) for index in indexes}
        totals = told["index_totals"]
        ready = totals["settled"] and totals["unsealed_points"] == 0
        return told if ready and kinds == {(type_, quantisation)} else None

    return wait_until(f"{name} has {type_} on {quantisation}", look)


def nearest(stack: Stack, name: str, query: NDArray[np.float32], **more: Any) -> list[int]:
    body = {"collection": name, "vector": query.tolist(), "limit": 10, "include_metadata": False} | more
    return [hit["id"] for hit in stack.data(stack.post("/api/v1/vectors/search", body))["results"]]


def true_nearest(rows: NDArray[np.float32], query: NDArray[np.float32], metric: str) -> list[int]:
    wide, asked = rows.astype(np.float64), query.astype(np.float64)
    if metric in ("cosine", "dot"):
        distances = -(wide @ asked)
    else:
        distances = np.linalg.norm(wide - asked, ord=1 if metric == "manhattan" else 2, axis=1)
    return [int(row) for row in np.argsort(distances)[:10]]


def recall(stack: Stack, name: str, rows: NDArray[np.float32], metric: str, **more: Any) -> float:
    queries = rows[::400] + np.float32(0.01)
    found = [
        len(set(nearest(stack, name, query, **more)) & set(true_nearest(rows, query, metric)))
        for query in queries
    ]
    return sum(found) / (10 * len(queries))


KINDS = [
    ("flat", "int8", "euclidean"),
    ("hnsw", "int8", "cosine"),
    ("hnsw", "none", "dot"),
    ("ivf", "product", "cosine"),
    ("lsh", "none", "cosine"),
    ("kd_tree", "none", "manhattan"),
]


@pytest.mark.parametrize(("type_", "quantisation", "metric"), KINDS, ids=str)
def test_each_index_is_built_and_finds_the_nearest(
    indexed: Stack, type_: str, quantisation: str, metric: str
) -> None:
    name = f"of-{type_.replace('_', '-')}-{quantisation}"
    asked = {"index": {"type": type_}, "quantisation": {"type": quantisation}, "target_recall": 0.95}
    made = indexed.create(name, dimension=DIMENSION, metric=metric, **asked)
    assert made["index"]["type"] == type_
    assert made["target_recall"] == 0.95
    rows = vectors(metric)
    fill(indexed, name, rows)
    told = settled(indexed, name, type_, quantisation)
    totals = told["index_totals"]
    assert totals["segments"]["built"] >= 2
    assert (totals["segments"]["waiting"], totals["segments"]["building"]) == (0, 0)
    assert totals["memory_bytes"] == sum(shard["index_memory_bytes"] for shard in told["shard_states"]) > 0
    assert totals["memory_bytes_per_vector"] > 0
    exact = type_ == "kd_tree"
    assert (totals["recall"] is None) is exact
    assert recall(indexed, name, rows, metric) >= (0.99 if exact else 0.9)
    assert recall(indexed, name, rows, metric, exact=True) == pytest.approx(1.0, abs=0.01)
    even = {"field": "even", "operator": "eq", "value": True}
    assert all(id_ % 2 == 0 for id_ in nearest(indexed, name, rows[0], filter=even))


def test_a_search_may_say_how_hard_it_tries(indexed: Stack) -> None:
    """Reading one list finds less than reading them all."""
    indexed.create("efforts", dimension=DIMENSION, metric="euclidean", index={"type": "ivf"})
    rows = vectors("euclidean")
    fill(indexed, "efforts", rows)
    settled(indexed, "efforts", "ivf", "product")
    least = recall(indexed, "efforts", rows, "euclidean", nprobe=1)
    most = recall(indexed, "efforts", rows, "euclidean", nprobe=65_536)
    assert least < most
    assert most >= 0.95


def test_an_index_changes_while_points_are_searched(indexed: Stack) -> None:
    """Answers stay right meanwhile, from the old index or the new one, and no point is lost."""
    indexed.create("changing", dimension=DIMENSION, metric="euclidean", index={"type": "flat"})
    rows = vectors("euclidean")
    fill(indexed, "changing", rows)
    assert describe(indexed, "changing")["index_totals"]["recall"] is None
    ended = threading.Event()
    shares: list[float] = []
    failures: list[str] = []

    def search() -> None:
        while not ended.is_set():
            for query in rows[::800]:
                try:
                    found = set(nearest(indexed, "changing", query))
                except AssertionError as error:
                    failures.append(str(error))
                    return
                shares.append(len(found & set(true_nearest(rows, query, "euclidean"))) / 10)

    searching = threading.Thread(target=search)
    searching.start()
    try:
        for type_, quantisation in (("hnsw", "int8"), ("ivf", "product"), ("kd_tree", "none")):
            change = {"index": {"type": type_}, "quantisation": {"type": quantisation}}
            answer = indexed.client.patch("/api/v1/collections/changing", json=change)
            assert indexed.data(answer)["index"]["type"] == type_
            settled(indexed, "changing", type_, quantisation)
    finally:
        ended.set()
        searching.join()
    assert not failures
    assert np.mean(shares) >= 0.9
    told = describe(indexed, "changing")
    assert told["points"] == COUNT
    assert told["index_totals"]["recall"] is None  # a k-d tree is exact


def test_what_is_left_out_of_a_change_stays(indexed: Stack) -> None:
    first = indexed.create(
        "partly", index={"type": "ivf", "lists": 64}, quantisation={"type": "int8"}, target_recall=0.9
    )

    def change(body: dict[str, Any]) -> Any:
        return indexed.data(indexed.client.patch("/api/v1/collections/partly", json=body))

    told = change({"target_recall": 0.99})
    assert told["index"] == first["index"] == {"type": "ivf", "lists": 64, "nprobe": None}
    assert (told["quantisation"], told["target_recall"]) == ({"type": "int8"}, 0.99)
    told = change({"index": {"type": "auto"}, "quantisation": None})
    assert (told["index"], told["quantisation"], told["target_recall"]) == ({"type": "auto"}, None, 0.99)
    listed = indexed.data(indexed.client.get("/api/v1/collections"))["collections"]
    assert next(one for one in listed if one["name"] == "partly")["index"] == {"type": "auto"}


def test_a_change_at_odds_with_what_stays_is_refused_whole(indexed: Stack) -> None:
    indexed.create("odds", index={"type": "ivf"}, quantisation={"type": "product"})
    body = {"index": {"type": "flat"}, "target_recall": 0.99}
    answer = indexed.client.patch("/api/v1/collections/odds", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_argument")
    assert "flat takes no product quantisation" in answer.json()["error"]["message"]
    told = describe(indexed, "odds")
    assert (told["index"]["type"], told["target_recall"]) == ("ivf", None)


def test_changes_at_once_end_in_one_of_them(indexed: Stack) -> None:
    indexed.create("contended-index")
    answers: list[int] = []

    def change(share: float) -> None:
        body = {"target_recall": share}
        answers.append(indexed.client.patch("/api/v1/collections/contended-index", json=body).status_code)

    shares = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95]
    threads = [threading.Thread(target=change, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * len(shares)
    assert describe(indexed, "contended-index")["target_recall"] in shares


def test_few_points_need_no_index(indexed: Stack) -> None:
    indexed.create("few")
    indexed.insert("few", [{"id": 1, "vector": [1, 0, 0]}])
    totals = describe(indexed, "few")["index_totals"]
    assert totals["settled"]
    assert (totals["unsealed_points"], totals["memory_bytes"], totals["recall"]) == (1, 0, None)
