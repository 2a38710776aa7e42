"""A collection, points, and searches with a filter.

python quickstart.py http://127.0.0.1:8000
"""

from __future__ import annotations

import sys

import numpy as np

from hxp_vector_client import Field, VectorClient


def main(url: str) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((1_000, 64), dtype=np.float32)
    metadata = [{"year": 2015 + number % 10, "tags": ["even"] * (1 - number % 2)} for number in range(1_000)]

    with VectorClient(url) as client:
        client.collections.create("sdk-quickstart", 64, shards=2)
        stored = client.upsert("sdk-quickstart", vectors, ids=range(1_000), metadata=metadata)
        print("stored", stored.inserted)

        recent = (Field("year") >= 2020) & Field("tags").contains("even")
        for hit in client.search("sdk-quickstart", vectors[0], filter=recent, limit=3):
            print(hit.id, round(hit.score, 3), hit.metadata)

        found = client.search("sdk-quickstart", vectors[0], limit=5, include_vectors=True)
        print("vectors", found.vectors.shape, found.vectors.dtype)
        print("recent and even", client.count("sdk-quickstart", recent))
        client.collections.delete("sdk-quickstart")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
