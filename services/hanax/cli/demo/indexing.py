"""Bringing a collection to hold exactly one corpus, from whatever an earlier run left.

Every point carries the fingerprint of its corpus. Points of this one that are there already
stay; those that are missing are embedded and inserted; those of another one are removed last,
so that an interrupted run is completed by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hanax.cli.demo.corpus import Document, fingerprint_of
from hanax.core.errors import FailedPrecondition, Internal
from hxp_vector_client import AsyncVectorClient, Batches, Field
from hxp_vector_client.errors import CollectionExists, CollectionNotFound
from hxp_vector_client.models import CollectionStats

# Enough texts for full batches in the embedder, and far from filling its queue.
_BATCHES: Final = Batches(points=64, parallel=4)

_PAGE: Final = 1_000

_MARK: Final = "corpus"


@dataclass(frozen=True)
class Target:
    """Where the corpus goes. `dimension` is the model's."""

    collection: str
    model: str
    dimension: int
    shards: int


async def index_corpus(
    client: AsyncVectorClient,
    target: Target,
    documents: Sequence[Document],
    told: Callable[[int, int], None],
) -> int:
    """Index what is missing, and return how many documents that were.

    `told(done, missing)` is called first with done 0, and after each batch. Raises
    FailedPrecondition when the collection is another one, and what the gateway answers.
    """
    mark = fingerprint_of(documents)
    ours = Field(_MARK) == mark
    await _ensure_collection(client, target)
    missing = documents
    if await client.count(target.collection, ours) == len(documents):
        missing = ()
    else:
        points = client.scroll(target.collection, filter=ours, page_size=_PAGE, include_metadata=False)
        present = {point.id async for point in points}
        missing = [document for document in documents if document.id not in present]
    told(0, len(missing))
    await _insert(client, target, missing, mark, told)
    # What an older Python's corpus, or an older form of it, left.
    if await client.count(target.collection, ~ours):
        await client.delete(target.collection, filter=~ours)
    if (count := await client.count(target.collection, ours)) != len(documents):
        raise Internal(f"{target.collection!r} has {count} points of {len(documents)} inserted")
    return len(missing)


async def _ensure_collection(client: AsyncVectorClient, target: Target) -> None:
    try:
        found = await client.collections.get(target.collection)
    except CollectionNotFound:
        try:
            found = await client.collections.create(
                target.collection,
                target.dimension,
                metric="cosine",
                shards=target.shards,
                embedding_model=target.model,
            )
        except CollectionExists:  # declared by a request whose answer was lost
            found = await client.collections.get(target.collection)
    _check_collection(found, target)


def _check_collection(found: CollectionStats, target: Target) -> None:
    for key, got, needed in (
        ("dimension", found.dimension, target.dimension),
        ("metric", found.metric, "cosine"),
        ("embedding_model", found.embedding_model, target.model),
    ):
        if got != needed:
            raise FailedPrecondition(
                f"collection {target.collection!r} has {key} {got!r} where {needed!r} is "
                "needed; delete it, or use another data directory"
            )


async def _insert(
    client: AsyncVectorClient,
    target: Target,
    documents: Sequence[Document],
    mark: str,
    told: Callable[[int, int], None],
) -> None:
    if not documents:
        return
    # Texts of like length make batches with little padding.
    ordered = sorted(documents, key=lambda document: (len(document.text), document.id))
    await client.options(batches=_BATCHES).upsert(
        target.collection,
        ids=[document.id for document in ordered],
        texts=[document.text for document in ordered],
        metadata=[_metadata(document, mark) for document in ordered],
        progress=lambda done, _: told(done, len(ordered)),
    )


def _metadata(document: Document, mark: str) -> dict[str, str]:
    return {
        "module": document.module,
        "name": document.name,
        "kind": document.kind,
        "signature": document.signature,
        "found_at": document.found_at,
        _MARK: mark,
    }
