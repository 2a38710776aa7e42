"""Collections and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from hxp_vector_client._stubs import collections_pb2 as pb
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.grpc_codec.values import instant, word
from hxp_vector_client.requests import Request

METRICS: Final = {
    "cosine": pb.METRIC_COSINE,
    "dot": pb.METRIC_DOT,
    "euclidean": pb.METRIC_EUCLIDEAN,
    "manhattan": pb.METRIC_MANHATTAN,
}
METRIC_WORDS: Final = {value: name for name, value in METRICS.items()}
_PAYLOADS: Final = {
    name.removeprefix("PAYLOAD_INDEX_").lower(): value for name, value in pb.PayloadIndex.items() if value
}
_PAYLOAD_WORDS: Final = {value: name for name, value in _PAYLOADS.items()}
_STATES: Final = {
    value: name.removeprefix("COLLECTION_STATE_").lower() for name, value in pb.CollectionState.items()
}
_RESETTABLE: Final = ("quantisation", "target_recall")


def create(request: Request) -> pb.CreateCollectionRequest:
    body = request.body or {}
    return pb.CreateCollectionRequest(
        spec=pb.CollectionSpec(
            name=body["name"],
            dimension=body["dimension"],
            metric=word(METRICS, body.get("metric", "cosine"), "metric"),
            shards=body.get("shards", 1),
            embedding_model=body.get("embedding_model") or "",
            index=_tagged(pb.Index, "index", body.get("index")),
            quantisation=_tagged(pb.Quantisation, "quantisation", body.get("quantisation")),
            target_recall=body.get("target_recall"),
            payload_indexes=_payloads(body.get("payload_indexes")),
            ttl_seconds=body.get("ttl_seconds") or 0,
        )
    )


def update(request: Request) -> pb.UpdateCollectionRequest:
    body = request.body or {}
    message = pb.UpdateCollectionRequest(
        name=request.path["name"],
        index=_tagged(pb.Index, "index", body.get("index")),
        quantisation=_tagged(pb.Quantisation, "quantisation", body.get("quantisation")),
        target_recall=body.get("target_recall"),
        reset=[name for name in _RESETTABLE if name in body and body[name] is None],
    )
    if "payload_indexes" in body:
        message.payload_indexes.CopyFrom(pb.PayloadIndexes(by_field=_payloads(body["payload_indexes"])))
    return message


def get(request: Request) -> pb.GetCollectionRequest:
    return pb.GetCollectionRequest(name=request.path["name"])


def list_all(_: Request) -> pb.ListCollectionsRequest:
    return pb.ListCollectionsRequest()


def delete(request: Request) -> pb.DeleteCollectionRequest:
    return pb.DeleteCollectionRequest(
        name=request.path["name"], with_aliases=request.query.get("aliases") == "delete"
    )


def list_aliases(_: Request) -> pb.ListAliasesRequest:
    return pb.ListAliasesRequest()


def get_alias(request: Request) -> pb.GetAliasRequest:
    return pb.GetAliasRequest(alias=request.path["alias"])


def switch_aliases(request: Request) -> pb.ChangeAliasesRequest:
    changes = [
        pb.AliasChange(alias=one["alias"], collection=one["collection"] or "")
        for one in (request.body or {})["changes"]
    ]
    return pb.ChangeAliasesRequest(changes=changes)


def read_one(answer: Any, _: Request) -> dict[str, Any]:
    """Of any answer with a collection."""
    return _described(answer.collection)


def read_list(answer: pb.ListCollectionsResponse, _: Request) -> dict[str, Any]:
    return {"collections": [_described(one) for one in answer.collections]}


def read_deleted(answer: pb.DeleteCollectionResponse, _: Request) -> dict[str, Any]:
    return {"name": answer.name, "deleted": True}


def read_aliases(answer: Any, _: Request) -> dict[str, Any]:
    aliases = sorted(answer.collection_by_alias.items())
    return {"aliases": [{"alias": alias, "collection": collection} for alias, collection in aliases]}


def read_alias(answer: pb.GetAliasResponse, request: Request) -> dict[str, Any]:
    return {"alias": request.path["alias"], "collection": answer.collection}


def plain(message: Any) -> dict[str, Any]:
    """A message of numbers and words as a dictionary, where absent fields have no key."""
    told = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return {name: _number(value) for name, value in told.items()}


def _number(value: Any) -> Any:
    """Integers of 64 bits, which its JSON writes as text."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, dict):
        return {name: _number(one) for name, one in value.items()}
    return value


def _described(told: pb.Collection) -> dict[str, Any]:
    spec = told.spec
    data: dict[str, Any] = {
        "name": spec.name,
        "dimension": spec.dimension,
        "metric": METRIC_WORDS[spec.metric],
        "shards": spec.shards,
        "embedding_model": spec.embedding_model or None,
        "index": _untagged(spec.index),
        "quantisation": _untagged(spec.quantisation) if spec.HasField("quantisation") else None,
        "target_recall": spec.target_recall if spec.HasField("target_recall") else None,
        "payload_indexes": {name: _PAYLOAD_WORDS[kind] for name, kind in spec.payload_indexes.items()},
        "ttl_seconds": spec.ttl_seconds or None,
        "uid": told.uid,
        "created_at": instant(told.created_at_us),
        "state": _STATES[told.state],
        "aliases": list(told.aliases),
        "library": told.library or None,
        "points": told.points if told.HasField("points") else None,
        "shard_states": [_shard(shard) for shard in told.shards],
    }
    if told.HasField("index_totals"):
        data["index_totals"] = plain(told.index_totals)
    if told.HasField("metadata_indexes"):
        data["metadata_indexes"] = plain(told.metadata_indexes)
    return data


def _shard(told: pb.Shard) -> dict[str, Any]:
    shown = {"shard": told.shard, "node": told.node, "state": told.state, "reason": told.reason or None}
    if told.state == "unavailable":
        return shown
    data = {**plain(told), **shown}
    data["indexes"] = [plain(index) for index in told.indexes]
    return data


def _payloads(given: Mapping[str, str] | None) -> dict[str, Any]:
    kinds = (given or {}).items()
    return {name: word(_PAYLOADS, kind, f"payload_indexes.{name}") for name, kind in kinds}


def _tagged(kind: Any, name: str, given: Mapping[str, Any] | None) -> Any:
    """{"type": "hnsw", "m": 24} as the member `hnsw` of a oneof. Raises InvalidArgument."""
    if given is None:
        return None
    types = [field.name for field in kind.DESCRIPTOR.fields]
    type_ = str(given.get("type"))
    if type_ not in types:
        raise InvalidArgument(f"{name}.type: expected one of {', '.join(types)}, got {type_!r}")
    member = getattr(kind(), type_)
    try:
        inner = type(member)(**{field: value for field, value in given.items() if field != "type"})
    except (ValueError, TypeError) as error:
        raise InvalidArgument(f"{name}: {error}") from None
    return kind(**{type_: inner})


def _untagged(told: Any) -> dict[str, Any]:
    type_ = told.WhichOneof("type") or "auto"
    return {"type": type_, **plain(getattr(told, type_))}
