"""Bringing a collection to hold exactly one corpus, from whatever an earlier run left.

Every point carries the fingerprint of its corpus. Points of this one that are there already
stay; those that are missing are embedded and inserted; those of another one are removed last,
so that an interrupted run is completed by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hanax.cli.api import Api
from hanax.cli.demo.corpus import Document, fingerprint_of
from hanax.core.errors import CollectionExists, CollectionNotFound, FailedPrecondition, Internal

# Enough texts for full batches in the embedder, and far from filling its queue.
_BATCH: Final = 64
_AT_ONCE: Final = 4

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
    api: Api,
    target: Target,
    documents: Sequence[Document],
    told: Callable[[int, int], None],
) -> int:
    """Index what is missing, and return how many documents that were.

    `told(done, missing)` is called first with done 0, and after each batch. Raises
    FailedPrecondition when the collection is another one, and what the API answers.
    """
    mark = fingerprint_of(documents)
    await _ensure_collection(api, target)
    missing = documents
    if await _count(api, target, mark) == len(documents):
        missing = ()
    elif present := await _present_ids(api, target, mark):
        missing = [document for document in documents if document.id not in present]
    told(0, len(missing))
    await _insert(api, target, missing, mark, told)
    await _remove_others(api, target, mark)
    if (count := await _count(api, target, mark)) != len(documents):
        raise Internal(f"{target.collection!r} has {count} points of {len(documents)} inserted")
    return len(missing)


async def _ensure_collection(api: Api, target: Target) -> None:
    spec = {
        "name": target.collection,
        "dimension": target.dimension,
        "metric": "cosine",
        "shards": target.shards,
        "embedding_model": target.model,
    }
    try:
        found = await api.get(f"/api/v1/collections/{target.collection}")
    except CollectionNotFound:
        try:
            found = await api.post("/api/v1/collections", spec)
        except CollectionExists:  # declared by a request whose answer was lost
            found = await api.get(f"/api/v1/collections/{target.collection}")
    for key in ("dimension", "metric", "embedding_model"):
        if found[key] != spec[key]:
            raise FailedPrecondition(
                f"collection {target.collection!r} has {key} {found[key]!r} where {spec[key]!r} is "
                "needed; delete it, or use another data directory"
            )


async def _count(api: Api, target: Target, mark: str) -> int:
    body = {"collection": target.collection, "filter": _of_corpus("eq", mark)}
    return int((await api.post("/api/v1/vectors/count", body))["count"])


async def _present_ids(api: Api, target: Target, mark: str) -> set[str]:
    body: dict[str, Any] = {
        "collection": target.collection,
        "filter": _of_corpus("eq", mark),
        "limit": _PAGE,
        "include_metadata": False,
    }
    found: set[str] = set()
    while True:
        page = await api.post("/api/v1/vectors/scroll", body)
        found.update(point["id"] for point in page["vectors"])
        if page["next_cursor"] is None:
            return found
        body["cursor"] = page["next_cursor"]


async def _insert(
    api: Api,
    target: Target,
    documents: Sequence[Document],
    mark: str,
    told: Callable[[int, int], None],
) -> None:
    """Insert in batches, a few of them at once."""
    # Texts of like length make batches with little padding.
    ordered = sorted(documents, key=lambda document: (len(document.text), document.id))
    batches = _batches(ordered)
    done = 0

    async def work() -> None:
        nonlocal done
        for batch in batches:
            points = [_point(document, mark) for document in batch]
            body = {"collection": target.collection, "vectors": points}
            await api.post("/api/v1/vectors/insert", body)
            done += len(batch)
            told(done, len(ordered))

    workers = [asyncio.create_task(work()) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _batches(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    for first in range(0, len(documents), _BATCH):
        yield documents[first : first + _BATCH]


def _point(document: Document, mark: str) -> dict[str, Any]:
    metadata = {
        "module": document.module,
        "name": document.name,
        "kind": document.kind,
        "signature": document.signature,
        "found_at": document.found_at,
        _MARK: mark,
    }
    return {"id": document.id, "text": document.text, "metadata": metadata}


async def _remove_others(api: Api, target: Target, mark: str) -> None:
    """Remove what an older Python's corpus, or an older form of it, left."""
    body = {"collection": target.collection, "filter": {"not": _of_corpus("eq", mark)}}
    if (await api.post("/api/v1/vectors/count", body))["count"]:
        await api.post("/api/v1/vectors/delete", body)


def _of_corpus(operator: str, mark: str) -> dict[str, Any]:
    return {"field": _MARK, "operator": operator, "value": mark}
