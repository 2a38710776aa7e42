"""CreateCollection, GetCollection and ChangeAliases."""

from __future__ import annotations

from typing import Any, Final

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.index_specs import Spec
from hanax.core.specs import CollectionSpec
from hanax.gateway.aliases import AliasNames
from hanax.gateway.calls import Call
from hanax.gateway.change_requests import AliasSwitchRequest
from hanax.gateway.collections import Collections, Described
from hanax.gateway.grpc.edge import Unary
from hanax.gateway.grpc.words import METRIC, PAYLOAD_INDEX, STATE
from hanax.gateway.requests import parse_request

# Fields of a spec that are written as they are; 0 and empty: left out.
_PLAIN: Final = ("dimension", "shards", "embedding_model", "ttl_seconds")


def create_collection(collections: Collections) -> Unary[Any, Any]:
    async def answer(call: Call, question: pb.CreateCollectionRequest) -> pb.CreateCollectionResponse:
        described = await collections.create(call, read_spec(question.spec))
        return pb.CreateCollectionResponse(collection=_collection(described))

    return Unary(pb.CreateCollectionRequest, answer)


def get_collection(collections: Collections) -> Unary[Any, Any]:
    async def answer(call: Call, question: pb.GetCollectionRequest) -> pb.GetCollectionResponse:
        described = await collections.describe(call, question.name)
        return pb.GetCollectionResponse(collection=_collection(described))

    return Unary(pb.GetCollectionRequest, answer)


def change_aliases(aliases: AliasNames) -> Unary[Any, Any]:
    async def answer(call: Call, question: pb.ChangeAliasesRequest) -> pb.ChangeAliasesResponse:
        changes = [
            {"alias": change.alias, "collection": change.collection or None} for change in question.changes
        ]
        switched = await aliases.switch(call, parse_request(AliasSwitchRequest, {"changes": changes}))
        return pb.ChangeAliasesResponse(collection_by_alias=switched)

    return Unary(pb.ChangeAliasesRequest, answer)


def read_spec(given: pb.CollectionSpec) -> CollectionSpec:
    """Raises what REST raises for the same spec."""
    told: dict[str, Any] = {"name": given.name}
    told |= {name: value for name in _PLAIN if (value := getattr(given, name))}
    if metric := METRIC.read(given.metric, "metric"):
        told["metric"] = metric
    for name in ("index", "quantisation"):
        if kind := getattr(given, name).WhichOneof("type"):
            told[name] = {"type": kind, **_set_fields(getattr(getattr(given, name), kind))}
    if given.HasField("target_recall"):
        told["target_recall"] = given.target_recall
    told["payload_indexes"] = {
        field: PAYLOAD_INDEX.read(kind, f"payload_indexes.{field}")
        for field, kind in given.payload_indexes.items()
    }
    return parse_request(CollectionSpec, told)


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


def _set_fields(message: Any) -> dict[str, Any]:
    return {field.name: value for field, value in message.ListFields()}


def _write_typed(target: Any, spec: Spec) -> None:
    fields = spec.model_dump(exclude_none=True)
    chosen = getattr(target, fields.pop("type"))
    # Also where it has no fields of its own.
    chosen.SetInParent()
    for name, value in fields.items():
        setattr(chosen, name, value)


def _collection(described: Described) -> pb.Collection:
    listed = described.listed
    return pb.Collection(
        uid=listed.uid,
        spec=write_spec(listed.spec),
        created_at_us=listed.created_at_us,
        state=STATE.write(listed.state),
        aliases=listed.aliases,
        points=described.points,
    )
