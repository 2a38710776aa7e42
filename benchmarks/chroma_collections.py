"""A collection of chromadb with a data set's points, in the process or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from numpy.typing import NDArray

# Points in one request: the largest batch is more than a server reads at once.
_BATCH: Final = 1_000


def filled(client: Any, rows: NDArray[Any], metadata: Sequence[dict[str, Any]]) -> Any:
    """Row n is the point with the id str(n). The graph and the effort are those that chromadb takes itself.

    client: any of chromadb's. rows: float32[n, d], of unit length.
    """
    collection = client.create_collection(
        "points", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    batch = min(_BATCH, client.get_max_batch_size())
    for first in range(0, len(rows), batch):
        chosen = range(first, min(first + batch, len(rows)))
        collection.add(
            ids=[str(row) for row in chosen],
            embeddings=rows[first : first + batch],
            metadatas=[metadata[row] for row in chosen],
        )
    assert collection.count() == len(rows)
    return collection
