"""What libraries, documents and chunks may be asked beside their subject, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from hxp_vector_client.arrays import VectorLike, to_vector
from hxp_vector_client.filters import FilterLike
from hxp_vector_client.options import LongTexts


class LibraryOptions(TypedDict, total=False):
    """model: that embeds texts; None: vectors are brought, and dimension says their size."""

    id: str
    metadata: Mapping[str, Any]
    model: str | None
    dimension: int
    metric: Literal["cosine", "dot", "euclidean", "manhattan"]
    shards: int
    index: Mapping[str, Any]


class LibraryChanges(TypedDict, total=False):
    """metadata: keys to set; one whose value is None is taken out."""

    name: str
    metadata: Mapping[str, Any]


class IndexOptions(TypedDict, total=False):
    type: Literal["brute_force", "kd_tree", "lsh", "ivf", "hnsw", "auto"]
    parameters: Mapping[str, Any]
    target_recall: float


class QueryOptions(TypedDict, total=False):
    """k: results at most. rerank, steps: as docs/libraries.md names them."""

    k: int
    filter: FilterLike | None
    min_score: float | None
    exact: bool
    include_embeddings: bool
    rerank: Mapping[str, Any] | None
    steps: Mapping[str, Any]


class NewChunk(TypedDict, total=False):
    """Without an embedding it is embedded by the library's model."""

    id: str
    text: str
    embedding: VectorLike
    metadata: Mapping[str, Any]


class _Content(TypedDict, total=False):
    """chunks, or a text that is divided as chunking says (docs/libraries.md)."""

    metadata: Mapping[str, Any]
    chunks: Sequence[NewChunk]
    text: str
    chunking: Mapping[str, Any]
    long_texts: LongTexts


class DocumentOptions(_Content, total=False):
    """Of a new document."""

    id: str
    title: str


class DocumentChanges(_Content, total=False):
    """What is left out stays; chunks or text replace all chunks."""

    title: str


class ChunkChanges(TypedDict, total=False):
    """A new text is embedded, unless its embedding comes with it."""

    text: str
    embedding: VectorLike
    metadata: Mapping[str, Any]
    long_texts: LongTexts


def chunks_json(chunks: Sequence[NewChunk]) -> list[dict[str, Any]]:
    """Raises InvalidArgument for an embedding that is no vector."""
    return [
        {**chunk, "embedding": to_vector(chunk["embedding"], f"chunks[{place}].embedding")}
        if "embedding" in chunk
        else dict(chunk)
        for place, chunk in enumerate(chunks)
    ]
