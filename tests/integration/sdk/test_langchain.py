"""The LangChain store: its makers' standard suite, and what is ours, over every transport."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests.vectorstores import EMBEDDING_SIZE, VectorStoreIntegrationTests

from hxp_vector_client import AsyncVectorClient, Field, VectorClient
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.langchain import HanaVectorStore
from tests.integration.gateway.stack import Stack
from tests.integration.sdk.conftest import MODEL, TRANSPORTS, url_of


class TestStandard(VectorStoreIntegrationTests):
    @pytest.fixture(params=TRANSPORTS)
    async def vectorstore(self, request: pytest.FixtureRequest, service: Stack) -> AsyncIterator[VectorStore]:
        name = f"lc-{uuid.uuid4().hex[:12]}"
        url, transport = url_of(service, request.param), cast(Any, request.param)
        async with AsyncVectorClient(url, transport=transport) as async_client:
            with VectorClient(url, transport=transport) as client:
                client.collections.create(name, EMBEDDING_SIZE)
                embedding = self.get_embeddings()
                yield HanaVectorStore(client, name, embedding=embedding, async_client=async_client)
                client.collections.delete(name)


@pytest.fixture
def client(service: Stack) -> Iterator[VectorClient]:
    with VectorClient(service.gateway.url) as opened:
        yield opened


async def test_filters_scores_and_diversity(client: VectorClient, name: str) -> None:
    embedding = DeterministicFakeEmbedding(size=8)
    metadatas = [{"year": year} for year in (2019, 2020, 2021)]
    store = HanaVectorStore.from_texts(
        ["one", "two", "three"], embedding, metadatas, client=client, collection=name, ids=["1", "2", "3"]
    )
    (found,) = store.similarity_search("two", k=1, filter=Field("year") >= 2020)
    assert (found.page_content, found.metadata, found.id) == ("two", {"year": 2020}, "2")
    (document, score) = store.similarity_search_with_score("one", k=1)[0]
    assert (document.id, round(score, 4)) == ("1", 1.0)
    (document, relevance) = store.similarity_search_with_relevance_scores("one", k=1)[0]
    assert round(relevance, 4) == 1.0
    assert len(store.max_marginal_relevance_search("one", k=2, fetch_k=3)) == 2
    # Without a client of their own, asynchronous methods use the other one in threads.
    assert [one.id for one in await store.asimilarity_search("three", k=1)] == ["3"]
    retriever = store.as_retriever(search_kwargs={"k": 1})
    assert [one.id for one in await asyncio.to_thread(retriever.invoke, "three")] == ["3"]
    with pytest.raises(InvalidArgument, match="text"):
        store.add_texts(["four"], [{"text": "its own"}])


def test_the_collection_may_embed_the_texts(client: VectorClient, name: str) -> None:
    client.collections.create(name, 384, embedding_model=MODEL)
    store = HanaVectorStore(client, name)
    store.add_texts(["checksums of storage", "a walk in the park"], ids=["1", "2"])
    found = store.similarity_search("checksums of storage", k=1)
    assert [(one.id, one.page_content, one.metadata) for one in found] == [("1", "checksums of storage", {})]
