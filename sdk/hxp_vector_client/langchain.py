"""A LangChain VectorStore over a collection. Needs the extra `langchain`.

    store = HanaVectorStore(VectorClient(url), "docs", embedding=embeddings)
    store.add_texts(["first", "second"])
    store.similarity_search("first", k=1, filter=Field("year") >= 2020)

A document's text is in its point's metadata, under `text_field`, beside its own metadata.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import run_in_executor
from langchain_core.vectorstores import VectorStore

from hxp_vector_client import AsyncVectorClient, VectorClient
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.models import Hit, Point

# Of other than the cosine, nothing is known of the largest score.
_RELEVANCE = {"cosine": lambda score: (1.0 + score) / 2.0}


class HanaVectorStore(VectorStore):
    """embedding: None: the collection's own model embeds texts.

    async_client: for the asynchronous methods; without it they use `client` in threads. Neither client is
    closed here.
    """

    def __init__(
        self,
        client: VectorClient,
        collection: str,
        *,
        embedding: Embeddings | None = None,
        async_client: AsyncVectorClient | None = None,
        text_field: str = "text",
    ) -> None:
        self.client = client
        self.async_client = async_client
        self.collection = collection
        self._embedding = embedding
        self._text_field = text_field

    @property
    def embeddings(self) -> Embeddings | None:
        return self._embedding

    # --- writing -----------------------------------------------------------------------------------

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Store texts; those whose id is there already are replaced. kwargs: options of `upsert`."""
        written = self._written(list(texts), metadatas, ids)
        vectors = None
        if self._embedding is not None and written["texts"]:
            vectors = self._embedding.embed_documents(written["texts"])
        return self._ids(self.client.upsert(self.collection, **_content(written, vectors), **kwargs).ids)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        if self.async_client is None:
            return await run_in_executor(None, self.add_texts, texts, metadatas, ids=ids, **kwargs)
        written = self._written(list(texts), metadatas, ids)
        vectors = None
        if self._embedding is not None and written["texts"]:
            vectors = await self._embedding.aembed_documents(written["texts"])
        stored = await self.async_client.upsert(self.collection, **_content(written, vectors), **kwargs)
        return self._ids(stored.ids)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Unknown ids are no error. kwargs: `filter` in place of ids."""
        self.client.delete(self.collection, ids, **kwargs)
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        if self.async_client is None:
            return await super().adelete(ids, **kwargs)
        await self.async_client.delete(self.collection, ids, **kwargs)
        return True

    # --- reading -----------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        found = self.client.get(self.collection, list(ids), include_vectors=False)
        return [self._document(point) for point in found]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        if self.async_client is None:
            return await super().aget_by_ids(ids)
        found = await self.async_client.get(self.collection, list(ids), include_vectors=False)
        return [self._document(point) for point in found]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """kwargs: options of `search`, as filter and score_threshold."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Scores are larger for what is nearer."""
        vector = None if self._embedding is None else self._embedding.embed_query(query)
        text = query if vector is None else None
        return self._scored(self.client.search(self.collection, vector, text=text, limit=k, **kwargs))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        if self.async_client is None:
            return await super().asimilarity_search_with_score(query, k, **kwargs)
        vector = None if self._embedding is None else await self._embedding.aembed_query(query)
        text = query if vector is None else None
        found = await self.async_client.search(self.collection, vector, text=text, limit=k, **kwargs)
        return self._scored(found)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        found = self.client.search(self.collection, embedding, limit=k, **kwargs)
        return [document for document, _ in self._scored(found)]

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[Document]:
        if self.async_client is None:
            return await super().asimilarity_search_by_vector(embedding, k, **kwargs)
        found = await self.async_client.search(self.collection, embedding, limit=k, **kwargs)
        return [document for document, _ in self._scored(found)]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Results that are near to the query and unlike one another; lambda_mult 1: nearness alone counts."""
        mmr = _mmr(k, fetch_k, lambda_mult)
        return self.similarity_search(query, k, mmr=mmr, **kwargs)

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        mmr = _mmr(k, fetch_k, lambda_mult)
        return await self.asimilarity_search(query, k, mmr=mmr, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        mmr = _mmr(k, fetch_k, lambda_mult)
        return self.similarity_search_by_vector(embedding, k, mmr=mmr, **kwargs)

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        mmr = _mmr(k, fetch_k, lambda_mult)
        return await self.asimilarity_search_by_vector(embedding, k, mmr=mmr, **kwargs)

    def _select_relevance_score_fn(self) -> Any:
        metric = self.client.collections.get(self.collection).metric
        if metric not in _RELEVANCE:
            raise NotImplementedError(
                f"scores of {metric} have no largest one; use similarity_search_with_score"
            )
        return _RELEVANCE[metric]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store with these texts. kwargs: client and collection, which is made if it is not there; ids."""
        ids = kwargs.pop("ids", None)
        store = cls(kwargs.pop("client"), kwargs.pop("collection"), embedding=embedding, **kwargs)
        if not store.client.collections.exists(store.collection):
            store.client.collections.create(store.collection, len(embedding.embed_query("dimension")))
        store.add_texts(texts, metadatas, ids=ids)
        return store

    # --- points and documents ----------------------------------------------------------------------

    def _written(
        self, texts: list[str], metadatas: list[dict[str, Any]] | None, ids: Sequence[str | None] | None
    ) -> dict[str, Any]:
        """Raises InvalidArgument where metadata have the field that the text is kept in."""
        own = metadatas or [{} for _ in texts]
        if len(own) != len(texts) or (ids is not None and len(ids) != len(texts)):
            raise InvalidArgument(f"expected one of metadatas and ids for each of {len(texts)} texts")
        if any(self._text_field in one for one in own):
            raise InvalidArgument(f"metadata: the field {self._text_field!r} is the text's; see text_field")
        given = ids or [None for _ in texts]
        return {
            "texts": texts,
            "ids": [one or str(uuid.uuid4()) for one in given],
            "metadata": [{**one, self._text_field: text} for one, text in zip(own, texts, strict=True)],
        }

    def _ids(self, ids: Sequence[int | str]) -> list[str]:
        return [str(one) for one in ids]

    def _document(self, point: Hit | Point) -> Document:
        metadata = dict(point.metadata or {})
        return Document(id=str(point.id), page_content=metadata.pop(self._text_field, ""), metadata=metadata)

    def _scored(self, hits: Iterable[Hit]) -> list[tuple[Document, float]]:
        return [(self._document(hit), hit.score) for hit in hits]


def _content(written: dict[str, Any], vectors: list[list[float]] | None) -> dict[str, Any]:
    """Arguments of `upsert`: vectors, or texts for the collection's model."""
    if not written["texts"]:
        return {"texts": [], "ids": []}
    if vectors is None:
        return written
    return {"vectors": vectors, "ids": written["ids"], "metadata": written["metadata"]}


def _mmr(k: int, fetch_k: int, lambda_mult: float) -> dict[str, Any]:
    return {"diversity": 1.0 - lambda_mult, "candidates": max(k, fetch_k)}
