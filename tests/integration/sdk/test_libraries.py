"""Libraries, documents, chunks and queries over every transport."""

from __future__ import annotations

import numpy as np
import pytest

from hxp_vector_client import Field
from hxp_vector_client.errors import (
    DocumentNotFound,
    IndexNotBuilt,
    LibraryExists,
    LibraryNotFound,
    RevisionConflict,
)
from tests.integration.sdk.conftest import MODEL, Client


async def test_a_library_is_made_changed_found_and_deleted(client: Client, name: str) -> None:
    made = await client("libraries.create", name, model=MODEL, metadata={"a": 1, "b": 2})
    assert (made.name, made.model, made.dimension, made.index_type) == (name, MODEL, 384, None)
    with pytest.raises(LibraryExists):
        await client("libraries.create", name, model=MODEL)
    with pytest.raises(IndexNotBuilt):
        await client("libraries.query", made.id, "anything")
    index = await client("libraries.build_index", made.id, type="brute_force")
    assert index.type == "brute_force"
    assert (await client("libraries.index", made.id)).type == "brute_force"
    now = await client("libraries.get", made.id)
    assert (now.document_count, now.index_type) == (0, "brute_force")
    changed = await client("libraries.update", made.id, metadata={"a": None}, if_match=now.revision)
    assert changed.metadata == {"b": 2}
    with pytest.raises(RevisionConflict):
        await client("libraries.update", made.id, name="other", if_match=now.revision)
    assert (await client("libraries.find", name)).id == made.id
    assert await client("libraries.find", f"{name}-none") is None
    assert made.id in [one.id for one in await client("libraries.list", page_size=1)]
    await client("libraries.delete", made.id)
    with pytest.raises(LibraryNotFound):
        await client("libraries.get", made.id)


async def test_documents_are_divided_and_queried(client: Client, name: str) -> None:
    library = await client("libraries.create", name, model=MODEL, index={"type": "auto"})
    document = await client(
        "documents.create",
        library.id,
        title="Guide",
        metadata={"year": 2024},
        chunks=[{"text": "checksums of storage"}, {"text": "a walk in the park"}],
    )
    assert (document.title, document.chunk_count, len(document.chunk_ids)) == ("Guide", 2, 2)
    await client("documents.create", library.id, title="Other", text="# One\n\nWhales.\n\n# Two\n\nShips.")
    found = await client(
        "libraries.query",
        library.id,
        "checksums of storage",
        k=1,
        filter=Field("document.metadata.year") == 2024,
        include_embeddings=True,
        steps={"embed": {"retries": 0}},
    )
    assert len(found) == 1
    assert (found[0].text, found[0].document.title) == ("checksums of storage", "Guide")
    assert found[0].embedding.shape == (384,)
    assert [step.step for step in found.steps] == ["embed", "retrieve"]
    again = await client("libraries.query", library.id, embedding=found[0].embedding, k=1)
    assert again[0].id == found[0].id
    assert {one.title for one in await client("documents.list", library.id, page_size=1)} == {
        "Guide",
        "Other",
    }
    await client("libraries.delete", library.id)


async def test_documents_and_chunks_are_changed(client: Client, name: str) -> None:
    library = await client("libraries.create", name, model=None, dimension=2)
    vector = np.array([1.0, 0.0])
    chunks = [{"text": "one", "embedding": vector}, {"text": "two", "embedding": [0, 1]}]
    document = await client("documents.create", library.id, chunks=chunks)
    read = await client("documents.chunks", document.id, include_embeddings=True, page_size=1)
    assert [chunk.text for chunk in read] == ["one", "two"]
    np.testing.assert_array_equal(read[0].embedding, vector)
    one = await client("chunks.get", document.chunk_ids[1], include_embedding=True)
    assert (one.position, one.embedding.tolist()) == (1, [0.0, 1.0])
    changed = await client("documents.update", document.id, title="New", if_match=document.revision)
    assert (changed.title, changed.chunk_count) == ("New", 2)
    more = await client(
        "documents.add_chunks", document.id, [{"text": "zero", "embedding": [1, 1]}], position=0
    )
    assert more.chunk_count == 3
    edited = await client("chunks.update", document.chunk_ids[0], metadata={"checked": True})
    assert (edited.metadata, edited.position) == ({"checked": True}, 1)
    await client("chunks.delete", document.chunk_ids[0])
    texts = [chunk.text for chunk in await client("documents.chunks", document.id)]
    assert texts == ["zero", "two"]
    assert (await client("documents.get", document.id)).title == "New"
    await client("documents.delete", document.id)
    with pytest.raises(DocumentNotFound):
        await client("documents.get", document.id)
    await client("libraries.delete", library.id)
