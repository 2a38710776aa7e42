"""Collections: made, told of, changed and deleted."""

from __future__ import annotations

from typing import Any, Final

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.index_specs import Spec
from hanax.core.library_names import library_of
from hanax.core.specs import CollectionChange, CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.collection_states import Described, Listed
from hanax.gateway.collections import Collections
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.shard_states import write_index_totals, write_metadata_totals, write_shard
from hanax.gateway.grpc.words import METRIC, PAYLOAD_INDEX, STATE
from hanax.gateway.requests import parse_change, parse_request

# Fields of a spec that are written as they are; 0 and empty: left out.
_PLAIN: Final = ("dimension", "shards", "embedding_model", "ttl_seconds")


def collection_methods(collections: Collections) -> Methods:
    async def create(call: Call, question: pb.CreateCollectionRequest) -> pb.CreateCollectionResponse:
        described = await collections.create(call, read_spec(question.spec))
        return pb.CreateCollectionResponse(collection=_described(described))

    async def get(call: Call, question: pb.GetCollectionRequest) -> pb.GetCollectionResponse:
        described = await collections.describe(call, question.name)
        return pb.GetCollectionResponse(collection=_described(described))

    async def list_all(call: Call, question: pb.ListCollectionsRequest) -> pb.ListCollectionsResponse:
        return pb.ListCollectionsResponse(collections=map(_listed, await collections.list(call)))

    async def update(call: Call, question: pb.UpdateCollectionRequest) -> pb.UpdateCollectionResponse:
        described = await collections.update(call, question.name, _change(question))
        return pb.UpdateCollectionResponse(collection=_described(described))

    async def delete(call: Call, question: pb.DeleteCollectionRequest) -> pb.DeleteCollectionResponse:
        deleted = await collections.delete(call, question.name, question.with_aliases)
        return pb.DeleteCollectionResponse(name=deleted)

    return {
        "CreateCollection": Unary(pb.CreateCollectionRequest, create, changes=True),
        "GetCollection": Unary(pb.GetCollectionRequest, get),
        "ListCollections": Unary(pb.ListCollectionsRequest, list_all),
        "UpdateCollection": Unary(pb.UpdateCollectionRequest, update, changes=True),
        "DeleteCollection": Unary(pb.DeleteCollectionRequest, delete, changes=True),
    }


def read_spec(given: pb.CollectionSpec) -> CollectionSpec:
    """Raises what REST raises for the same spec."""
    told: dict[str, Any] = {"name": given.name, **_indexing(given)}
    told |= {name: value for name in _PLAIN if (value := getattr(given, name))}
    if metric := METRIC.read(given.metric, "metric"):
        told["metric"] = metric
    told["payload_indexes"] = _payload_indexes(given.payload_indexes)
    return parse_request(CollectionSpec, told)


def _change(given: pb.UpdateCollectionRequest) -> CollectionChange:
    """Raises what REST raises for the same change."""
    told = {**dict.fromkeys(given.reset), **_indexing(given)}
    if given.HasField("payload_indexes"):
        told["payload_indexes"] = _payload_indexes(given.payload_indexes.by_field)
    return parse_change(told)


def _indexing(given: pb.CollectionSpec | pb.UpdateCollectionRequest) -> dict[str, Any]:
    """How vectors are found; what is not set is left out."""
    told: dict[str, Any] = {}
    for name in ("index", "quantisation"):
        if kind := getattr(given, name).WhichOneof("type"):
            told[name] = {"type": kind, **_set_fields(getattr(getattr(given, name), kind))}
    if given.HasField("target_recall"):
        told["target_recall"] = given.target_recall
    return told


def _payload_indexes(given: Any) -> dict[str, Any]:
    return {field: PAYLOAD_INDEX.read(kind, f"payload_indexes.{field}") for field, kind in given.items()}


def _set_fields(message: Any) -> dict[str, Any]:
    return {field.name: value for field, value in message.ListFields()}


def write_spec(spec: CollectionSpec) -> pb.CollectionSpec:
    told = pb.CollectionSpec(
        name=spec.name,
        dimension=spec.dimension,
        metric=METRIC.write(spec.metric),
        shards=spec.shards,
        embedding_model=spec.embedding_model or "",
        target_recall=spec.target_recall,
        payload_indexes={field: PAYLOAD_INDEX.write(kind) for field, kind in spec.payload_indexes.items()},
        ttl_seconds=spec.ttl_seconds or 0,
    )
    _write_typed(told.index, spec.index)
    if spec.quantisation is not None:
        _write_typed(told.quantisation, spec.quantisation)
    return told


def _write_typed(target: Any, spec: Spec) -> None:
    fields = spec.model_dump(exclude_none=True)
    chosen = getattr(target, fields.pop("type"))
    # Also where it has no fields of its own.
    chosen.SetInParent()
    for name, value in fields.items():
        setattr(chosen, name, value)


def _listed(listed: Listed) -> pb.Collection:
    return pb.Collection(
        uid=listed.uid,
        spec=write_spec(listed.spec),
        created_at_us=listed.created_at_us,
        state=STATE.write(listed.state),
        aliases=listed.aliases,
        library=library_of(listed.spec.name) or "",
    )


def _described(described: Described) -> pb.Collection:
    answers = [shard.answer for shard in described.shards]
    told = _listed(described.listed)
    if described.points is not None:
        told.points = described.points
    if (totals := write_index_totals(answers)) is not None:
        told.index_totals.CopyFrom(totals)
    if (indexes := write_metadata_totals(answers)) is not None:
        told.metadata_indexes.CopyFrom(indexes)
    told.shards.extend(map(write_shard, described.shards))
    return told
