"""How hard our index tries, so that as much of the true answers is found as chroma finds as it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from benchmarks.protocols.chroma_server import ChromaServer
from benchmarks.protocols.hanax_stack import HanaxStack, efforts
from benchmarks.protocols.points import Points


@dataclass(frozen=True, slots=True)
class Efforts:
    """recall@10 of all queries, as they are answered over REST. ef_search: ours."""

    ef_search: int
    recall: float
    chroma_recall: float


def equal_efforts(hanax: HanaxStack, chroma: ChromaServer, points: Points) -> Efforts:
    """The least effort with chroma's recall at the least. Raises RuntimeError where there is none."""
    with httpx.Client(timeout=60.0) as client:
        wanted = _recall(points, lambda query: chroma.found(client, query))
        for ef_search in efforts():

            def found(query: Any, ef_search: int = ef_search) -> list[int]:
                return hanax.found(client, query, ef_search)

            recall = _recall(points, found)
            if recall >= wanted:
                return Efforts(ef_search, recall, wanted)
    raise RuntimeError(f"no effort reaches chroma's recall of {wanted:.4f}")


def _recall(points: Points, found: Callable[[Any], list[int]]) -> float:
    return points.data.recall(np.array([found(query) for query in points.data.queries], np.int64))
