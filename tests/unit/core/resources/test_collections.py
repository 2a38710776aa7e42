"""VectorCollections are read whole or refused, and stand for the collections that shards know."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.index_specs import AutoIndex, HnswIndex, ProductQuantisation
from hanax.core.resources.collections import (
    Collection,
    DeletionPolicy,
    Placement,
    ShardStatus,
    VectorCollectionSpec,
    VectorCollectionStatus,
)
from hanax.core.resources.names import PAUSED
from hanax.core.specs import CollectionSpec, PayloadIndex
from tests.contract.custom_resource_specs import EVERY_COLLECTION_FIELD


def declared(spec: Any = None, **metadata: Any) -> dict[str, Any]:
    common = {
        "name": "articles",
        "namespace": "vectors",
        "uid": "5d1c",
        "generation": 3,
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"metadata": common | metadata, "spec": {"dimensions": 384} if spec is None else spec}


def test_an_object_is_read_with_its_metadata() -> None:
    obj = declared(finalizers=["a/b"], labels={"c": "d"}, annotations={"e": "f"})
    found = Collection.parse(obj)
    assert (found.name, found.namespace, found.uid, found.generation) == ("articles", "vectors", "5d1c", 3)
    assert found.created_at_us == 1_767_323_045_000_000
    assert (found.finalizers, found.labels, found.annotations) == (("a/b",), {"c": "d"}, {"e": "f"})
    assert not found.deleting
    assert not found.paused
    assert found.raw is obj
    assert found.spec == VectorCollectionSpec(dimensions=384)


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        ({}, "metadata"),
        (declared(name=None), "metadata.name"),
        (declared(generation="1"), "metadata.generation"),
        (declared(creationTimestamp="yesterday"), "metadata.creationTimestamp"),
        (declared(spec=7), "spec"),
        ({"metadata": declared()["metadata"]}, "spec"),
    ],
)
def test_what_is_no_object_is_refused(obj: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{field}: "):
        Collection.parse(obj)


def test_every_fault_is_told() -> None:
    with pytest.raises(InvalidArgument) as failure:
        Collection.parse(declared({"dimensions": 0, "tolerations": [{"kee": "a"}]}))
    fields = [fault["field"] for fault in failure.value.details["errors"]]
    assert fields == ["spec.dimensions", "spec.tolerations[0].kee"]


@pytest.mark.parametrize(
    ("spec", "annotations", "paused"),
    [
        ({"dimensions": 3, "paused": True}, {}, True),
        ({"dimensions": 3}, {PAUSED: "true"}, True),
        ({"dimensions": 3}, {PAUSED: "false"}, False),
    ],
)
def test_the_spec_or_an_annotation_pauses(
    spec: dict[str, Any], annotations: dict[str, str], paused: bool
) -> None:
    assert Collection.parse(declared(spec, annotations=annotations)).paused is paused


def test_one_that_is_being_deleted_says_so() -> None:
    assert Collection.parse(declared(deletionTimestamp="2026-01-02T03:04:05Z")).deleting


def test_shards_are_told_what_concerns_them() -> None:
    spec = VectorCollectionSpec.model_validate(EVERY_COLLECTION_FIELD)
    found = spec.collection_spec("articles")
    assert (found.name, found.dimension, found.shards) == ("articles", 384, 4)
    assert found.quantisation == ProductQuantisation(bits=8, part_dimension=4, refine=False)
    assert found.payload_indexes["author.born"] is PayloadIndex.DATETIME
    assert (found.embedding_model, found.ttl_seconds, found.target_recall) == ("e5-small", 86_400, 0.98)


def test_a_collection_survives_the_way_through_a_resource() -> None:
    """Every field of it: what is added to CollectionSpec has to be added here."""
    spec = CollectionSpec.model_validate(
        {
            "name": "articles",
            "dimension": 8,
            "metric": "dot",
            "shards": 3,
            "embedding_model": "e5",
            "index": {"type": "hnsw", "m": 24, "ef_search": 9},
            "quantisation": {"type": "int8"},
            "target_recall": 0.9,
            "payload_indexes": {"snake_case": "text"},
            "ttl_seconds": 60,
        }
    )
    assert spec.model_fields_set == set(CollectionSpec.model_fields)
    resource = VectorCollectionSpec.of(spec, Placement.SHARED, deletion_policy=DeletionPolicy.DELETE)
    manifest = resource.manifest()
    assert manifest["index"] == {"type": "hnsw", "m": 24, "efSearch": 9}
    assert manifest["payloadIndexes"] == {"snake_case": "text"}
    assert (manifest["placement"], manifest["deletionPolicy"]) == ("shared", "Delete")
    assert VectorCollectionSpec.model_validate(manifest).collection_spec("articles") == spec


def test_a_manifest_leaves_out_what_nobody_said() -> None:
    assert VectorCollectionSpec(dimensions=3).manifest() == {"dimensions": 3}
    assert VectorCollectionSpec(dimensions=3, index=AutoIndex(), shards=1).manifest() == {"dimensions": 3}
    assert VectorCollectionSpec(dimensions=3, index=HnswIndex()).manifest()["index"] == {"type": "hnsw"}


def test_a_status_is_read_back() -> None:
    status = VectorCollectionStatus(
        observed_generation=3, shards=(ShardStatus(shard=0, pods=("vc-articles-0-0",), points=7),), points=7
    )
    written = status.manifest()
    assert "selector" not in written
    assert written["shards"] == [{"shard": 0, "pods": ["vc-articles-0-0"], "ready": False, "points": 7}]
    assert Collection.parse(declared() | {"status": written}).status == status


@pytest.mark.parametrize(
    "status", [None, {}, {"phase": "Unheard"}, {"conditions": [{}]}, "broken", {"added": "later"}]
)
def test_a_status_that_says_nothing_known_is_an_empty_one(status: Any) -> None:
    assert Collection.parse(declared() | {"status": status}).status == VectorCollectionStatus()
