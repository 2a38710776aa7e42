"""A collection on several shards, and the same points as plain arrays: what brute force says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.ids import encode_id
from tests.integration.gateway.stack import Stack

COUNT = 400
DIMENSION = 6
_WORDS = ("red", "green", "blue", "Zürich", "")


@dataclass(frozen=True)
class Corpus:
    """vectors: float64[n, d], in the order of `points`, which are what was inserted."""

    stack: Stack
    name: str
    metric: str
    points: list[dict[str, Any]]
    vectors: NDArray[np.float64]

    def post(self, path: str, **body: Any) -> Any:
        return self.stack.data(self.stack.post(f"/api/v1/vectors/{path}", {"collection": self.name, **body}))

    def scores(self, query: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of every point."""
        if self.metric == "cosine":
            lengths = np.linalg.norm(self.vectors, axis=1) * np.linalg.norm(query)
            scores: NDArray[np.float64] = self.vectors @ query / lengths
        elif self.metric == "dot":
            scores = self.vectors @ query
        else:
            order = 2 if self.metric == "euclidean" else 1
            scores = 1.0 / (1.0 + np.linalg.norm(self.vectors - query, ord=order, axis=1))
        return scores

    def ranked(self, scores: NDArray[np.float64], without: tuple[Any, ...] = ()) -> list[Any]:
        """Ids by falling score."""
        order = sorted(range(len(scores)), key=lambda row: -scores[row])
        ids = [self.points[row]["id"] for row in order]
        return [one for one in ids if one not in without]


def make(stack: Stack, name: str, metric: str = "cosine", shards: int = 3) -> Corpus:
    """Points with all kinds of metadata; some were written twice, and some are deleted."""
    rng = np.random.default_rng(11)
    stack.create(name, dimension=DIMENSION, metric=metric, shards=shards)
    points = [_point(number, rng) for number in range(COUNT)]
    stack.insert(name, [{**point, "metadata": {"year": -1}} for point in points[::7]])
    for first in range(0, COUNT, 150):
        stack.insert(name, points[first : first + 150])
    gone = [point["id"] for point in points[::9]]
    stack.data(stack.post("/api/v1/vectors/delete", {"collection": name, "ids": gone}))
    kept = [point for point in points if point["id"] not in gone]
    vectors = np.array([point["vector"] for point in kept], np.float32).astype(np.float64)
    return Corpus(stack, name, metric, kept, vectors)


def _point(number: int, rng: np.random.Generator) -> dict[str, Any]:
    metadata: dict[str, Any] = {"n": number, "color": _WORDS[int(rng.integers(len(_WORDS)))]}
    match number % 8:
        case 0:
            metadata["year"] = int(rng.integers(2000, 2010))
        case 1:
            metadata["year"] = float(rng.integers(2000, 2010)) + 0.5 * int(rng.integers(2))
        case 2:
            metadata["year"] = f"{2000 + int(rng.integers(10))}-01-01"
        case 3:
            metadata["year"] = None
        case 4:
            metadata["year"] = [int(rng.integers(2000, 2010)), "old", True]
        case 5:
            metadata["year"] = {"of": int(rng.integers(2000, 2010))}
        case 6:
            metadata["year"] = bool(rng.integers(2))
    metadata["tags"] = [_WORDS[int(word)] for word in rng.integers(len(_WORDS), size=number % 3)]
    metadata["author"] = {"name": f"author {int(rng.integers(25))}", "age": int(rng.integers(20, 60))}
    id_ = number if number % 2 else f"point {number}"
    return {"id": id_, "vector": rng.normal(size=DIMENSION).round(4).tolist(), "metadata": metadata}


def encoded(point: dict[str, Any]) -> bytes:
    return encode_id(point["id"])
