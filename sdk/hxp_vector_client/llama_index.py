"""A LlamaIndex vector store over a collection. Needs the extra `llama-index`.

    store = HanaVectorStore(VectorClient(url), "docs")
    index = VectorStoreIndex.from_vector_store(store)

A node is a point: its own metadata, what LlamaIndex keeps beside them, and its text under `text`. The
collection has the dimension of the index's embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from hxp_vector_client import AsyncVectorClient, VectorClient
from hxp_vector_client.errors import InvalidArgument, InvalidFilter
from hxp_vector_client.models import Hit, Point

_TEXT: Final = "text"
# Of the document that a node was made of.
_DOCUMENT: Final = "ref_doc_id"
_OPERATORS: Final = {
    FilterOperator.EQ: "eq",
    FilterOperator.NE: "ne",
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
    FilterOperator.IN: "in",
    FilterOperator.NIN: "not_in",
    FilterOperator.CONTAINS: "contains",
    FilterOperator.TEXT_MATCH: "text",
}


class HanaVectorStore(BasePydanticVectorStore):
    """async_client: for the asynchronous methods; without it they block. Neither client is closed here."""

    stores_text: bool = True
    collection: str
    _client: VectorClient = PrivateAttr()
    _async_client: AsyncVectorClient | None = PrivateAttr()

    def __init__(
        self, client: VectorClient, collection: str, *, async_client: AsyncVectorClient | None = None
    ) -> None:
        super().__init__(collection=collection, stores_text=True)
        self._client = client
        self._async_client = async_client

    @classmethod
    def class_name(cls) -> str:
        return "HanaVectorStore"

    @property
    def client(self) -> VectorClient:
        return self._client

    # --- writing -----------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Store nodes with their embeddings. kwargs: options of `upsert`."""
        if nodes:
            self._client.upsert(self.collection, **_written(nodes), **kwargs)
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        if self._async_client is None:
            return self.add(nodes, **kwargs)
        if nodes:
            await self._async_client.upsert(self.collection, **_written(nodes), **kwargs)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """All nodes of a document."""
        self._client.delete(self.collection, filter=_of_documents([ref_doc_id]))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        if self._async_client is None:
            self.delete(ref_doc_id)
        else:
            await self._async_client.delete(self.collection, filter=_of_documents([ref_doc_id]))

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Those that have one of the ids, and match."""
        if (chosen := _chosen(node_ids, filters)) is not None:
            self._client.delete(self.collection, filter=chosen)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        if self._async_client is None:
            self.delete_nodes(node_ids, filters)
        elif (chosen := _chosen(node_ids, filters)) is not None:
            await self._async_client.delete(self.collection, filter=chosen)

    def clear(self) -> None:
        """Remove all nodes; the collection stays."""
        self._client.delete(self.collection, filter=_ALL)

    async def aclear(self) -> None:
        if self._async_client is None:
            self.clear()
        else:
            await self._async_client.delete(self.collection, filter=_ALL)

    # --- reading -----------------------------------------------------------------------------------

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        chosen = _chosen(node_ids, filters)
        points = self._client.scroll(self.collection, filter=chosen, include_vectors=True, page_size=500)
        return [_node(point) for point in points]

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        if self._async_client is None:
            return self.get_nodes(node_ids, filters)
        chosen = _chosen(node_ids, filters)
        points = self._async_client.scroll(
            self.collection, filter=chosen, include_vectors=True, page_size=500
        )
        return [_node(point) async for point in points]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """kwargs: options of `search`. Raises InvalidArgument for a mode that searches are not made in."""
        return _result(self._client.search(self.collection, **_asked(query), **kwargs))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        if self._async_client is None:
            return self.query(query, **kwargs)
        return _result(await self._async_client.search(self.collection, **_asked(query), **kwargs))


# What every point has.
_ALL: Final = {"field": "_node_type", "operator": "exists", "value": True}


def _written(nodes: Sequence[BaseNode]) -> dict[str, Any]:
    return {
        "vectors": [node.get_embedding() for node in nodes],
        "ids": [node.node_id for node in nodes],
        "metadata": [
            {**node_to_metadata_dict(node, remove_text=True), _TEXT: node.get_content(MetadataMode.NONE)}
            for node in nodes
        ],
    }


def _node(point: Hit | Point) -> BaseNode:
    metadata = dict(point.metadata or {})
    node = metadata_dict_to_node(metadata, text=metadata.get(_TEXT, ""))
    if point.vector is not None:
        node.embedding = point.vector.tolist()
    return node


def _asked(query: VectorStoreQuery) -> dict[str, Any]:
    modes = (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR)
    if query.mode not in modes:
        raise InvalidArgument(f"mode: expected one of {', '.join(modes)}, got {query.mode}")
    if query.query_embedding is None:
        raise InvalidArgument("query_embedding: expected the query's vector")
    asked: dict[str, Any] = {"vector": query.query_embedding, "limit": query.similarity_top_k}
    if query.mode is VectorStoreQueryMode.MMR:
        relevance = 0.5 if query.mmr_threshold is None else query.mmr_threshold
        asked["mmr"] = {"diversity": 1.0 - relevance}
    parts = [] if query.filters is None else [_filter(query.filters)]
    if query.doc_ids:
        parts.append(_of_documents(query.doc_ids))
    if query.node_ids:
        parts.append({"has_id": query.node_ids})
    if parts:
        asked["filter"] = {"and": parts}
    return asked


def _result(hits: Iterable[Hit]) -> VectorStoreQueryResult:
    found = list(hits)
    return VectorStoreQueryResult(
        nodes=[_node(hit) for hit in found],
        similarities=[hit.score for hit in found],
        ids=[str(hit.id) for hit in found],
    )


def _of_documents(ids: Sequence[str]) -> dict[str, Any]:
    return {"field": _DOCUMENT, "operator": "in", "value": list(ids)}


def _chosen(node_ids: Sequence[str] | None, filters: MetadataFilters | None) -> dict[str, Any] | None:
    parts: list[dict[str, Any]] = [] if not node_ids else [{"has_id": list(node_ids)}]
    if filters is not None:
        parts.append(_filter(filters))
    return {"and": parts} if parts else None


def _filter(filters: MetadataFilters) -> dict[str, Any]:
    """Raises InvalidFilter for an operator that the server does not have."""
    parts = [
        _filter(one) if isinstance(one, MetadataFilters) else _condition(one.key, one.operator, one.value)
        for one in filters.filters
    ]
    if filters.condition is FilterCondition.NOT:
        return {"not": {"or": parts}}
    return {"or" if filters.condition is FilterCondition.OR else "and": parts}


def _condition(key: str, operator: FilterOperator, value: Any) -> dict[str, Any]:
    if operator is FilterOperator.IS_EMPTY:
        return {"field": key, "operator": "is_empty", "value": True}
    if operator is FilterOperator.ANY:
        return {"field": key, "operator": "in", "value": value}
    if operator is FilterOperator.ALL:
        return {"and": [{"field": key, "operator": "contains", "value": one} for one in value]}
    if operator not in _OPERATORS:
        raise InvalidFilter(f"filters: {operator.name} is not there; expected one of the others")
    return {"field": key, "operator": _OPERATORS[operator], "value": value}
