"""The LlamaIndex store: nodes go there and come back, found, filtered and removed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from hxp_vector_client import AsyncVectorClient, VectorClient
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.llama_index import HanaVectorStore
from tests.integration.gateway.stack import Stack


@pytest.fixture(params=["in turn", "with its own"])
async def store(request: pytest.FixtureRequest, service: Stack, name: str) -> AsyncIterator[HanaVectorStore]:
    async with AsyncVectorClient(service.gateway.url) as async_client:
        with VectorClient(service.gateway.url) as client:
            client.collections.create(name, 3)
            own = async_client if request.param == "with its own" else None
            yield HanaVectorStore(client, name, async_client=own)


def _nodes() -> list[TextNode]:
    return [
        TextNode(
            id_=f"node-{number}",
            text=f"text {number}",
            metadata={"year": 2020 + number, "author": "Ann"},
            embedding=[float(number == place) for place in range(3)],
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{number // 2}")},
        )
        for number in range(3)
    ]


def _where(key: str, operator: FilterOperator, value: object) -> MetadataFilters:
    return MetadataFilters(
        filters=[MetadataFilter.model_validate({"key": key, "operator": operator, "value": value})]
    )


async def test_nodes_are_found_filtered_and_removed(store: HanaVectorStore) -> None:
    assert await store.async_add(_nodes()) == ["node-0", "node-1", "node-2"]
    query = VectorStoreQuery(query_embedding=[1.0, 0.5, 0.1], similarity_top_k=2)
    found = await store.aquery(query)
    assert found.ids == ["node-0", "node-1"]
    assert found.nodes is not None
    assert found.similarities is not None
    assert found.similarities[0] > found.similarities[1]
    node = found.nodes[0]
    assert (node.get_content(), node.metadata) == ("text 0", {"year": 2020, "author": "Ann"})
    assert node.ref_doc_id == "doc-0"
    query.filters = _where("year", FilterOperator.GTE, 2021)
    assert store.query(query).ids == ["node-1", "node-2"]
    query.filters, query.doc_ids = None, ["doc-1"]
    assert store.query(query).ids == ["node-2"]
    read = await store.aget_nodes(["node-1"])
    assert [(one.node_id, one.embedding) for one in read] == [("node-1", [0.0, 1.0, 0.0])]
    await store.adelete("doc-0")
    assert [one.node_id for one in store.get_nodes()] == ["node-2"]
    await store.adelete_nodes(filters=_where("author", FilterOperator.EQ, "Bob"))
    await store.adelete_nodes([])
    assert len(store.get_nodes()) == 1
    await store.aclear()
    assert store.get_nodes() == []


def test_filters_are_joined_and_nested(store: HanaVectorStore) -> None:
    store.add(_nodes())
    either = MetadataFilters(
        filters=[_where("year", FilterOperator.EQ, 2020), _where("year", FilterOperator.IN, [2022])],
        condition=FilterCondition.OR,
    )
    assert sorted(one.node_id for one in store.get_nodes(filters=either)) == ["node-0", "node-2"]
    neither = MetadataFilters(filters=[either], condition=FilterCondition.NOT)
    assert [one.node_id for one in store.get_nodes(filters=neither)] == ["node-1"]


def test_queries_are_by_vector(store: HanaVectorStore) -> None:
    store.add(_nodes())
    diverse = VectorStoreQuery(
        query_embedding=[1.0, 0.5, 0.1], mode=VectorStoreQueryMode.MMR, similarity_top_k=2
    )
    assert len(store.query(diverse).ids or []) == 2
    with pytest.raises(InvalidArgument, match="mode"):
        store.query(VectorStoreQuery(query_embedding=[1.0, 0, 0], mode=VectorStoreQueryMode.SPARSE))
    with pytest.raises(InvalidArgument, match="query_embedding"):
        store.query(VectorStoreQuery(query_str="text"))
