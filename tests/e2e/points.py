"""Points that can be told again from their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from tests.e2e.gateway import Gateway

DIMENSION: Final = 8

# Of a collection that was filled at its start.
FIRST: Final = range(200)

# As many ids as one request takes.
_PAGE: Final = 200


def vector(number: int) -> list[float]:
    return [float(x) for x in np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float32)]


def insert(gateway: Gateway, collection: str, numbers: Iterable[int]) -> None:
    """Raises Failed; then some of them may be there."""
    points = [{"id": n, "vector": vector(n), "metadata": {"square": n * n}} for n in numbers]
    gateway.post("/vectors/insert", {"collection": collection, "vectors": points})


def check(gateway: Gateway, collection: str, numbers: Iterable[int]) -> None:
    """Every one of them is there, as it was inserted."""
    wanted = sorted(numbers)
    for first in range(0, len(wanted), _PAGE):
        page = wanted[first : first + _PAGE]
        found = gateway.post("/vectors/get", {"collection": collection, "ids": page})
        assert found["missing"] == []
        squares = {point["id"]: point["metadata"]["square"] for point in found["vectors"]}
        assert squares == {n: n * n for n in page}


def nearest(gateway: Gateway, collection: str, **query: Any) -> list[Any]:
    """Ids, the nearest first."""
    found = gateway.post("/vectors/search", {"collection": collection, "limit": 5, **query})
    return [hit["id"] for hit in found["results"]]


def count(gateway: Gateway, collection: str) -> int:
    return int(gateway.post("/vectors/count", {"collection": collection})["count"])
