"""From messages to what request models take: fields by their names, as a body of REST would have them.

A field that is not set is left out, so that it has the default of the request model, and one that must be
there is missed by the same words. The rules are those of the models alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hanax.core.errors import InvalidFilter, InvalidId, InvalidJson, InvalidMetadata
from hanax.core.ids import PointId, decode_id
from hanax.core.limits import MAX_FILTER_BYTES
from hanax.gateway.grpc.vectors import read_vector
from hanax.gateway.grpc.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from citadel.vector.v1 import vector_pb2 as pb

_JSON: Final = "_json"
_METADATA: Final = frozenset({"metadata_json", "merge_json", "replace_json"})


def read_message(message: Message, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """The fields that are set, but for those in `without`.

    Enumerations are words, vectors bytes, a field `filter_json` is the decoded `filter`, and messages are
    objects. Raises InvalidArgument, InvalidFilter, InvalidMetadata and InvalidJson.
    """
    return {
        field.name.removesuffix(_JSON): _read_value(field, value)
        for field, value in message.ListFields()
        if field.name not in without
    }


def _read_value(field: FieldDescriptor, value: Any) -> Any:
    name = field.name
    if name.endswith(_JSON):
        return read_json(value, name)
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            return dict(value)
        if field.is_repeated:
            return [_read_inner(one, f"{name}[{number}]") for number, one in enumerate(value)]
        return _read_inner(value, name)
    if field.enum_type is not None:
        return WORDS[field.enum_type.name].read(value, name)
    return list(value) if field.is_repeated else value


def _read_inner(message: Message, where: str) -> Any:
    if message.DESCRIPTOR.name == "Vector":
        vector: Any = message
        return read_vector(vector, where)
    return read_message(message)


def read_json(raw: bytes, name: str) -> Any:
    """What is in a field of JSON; None for none. Raises what is wrong with a thing of its kind."""
    if name == "filter_json":
        return read_filter(raw)
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        kind = InvalidMetadata if name in _METADATA else InvalidJson
        raise kind(f"{name.removesuffix(_JSON)}: expected JSON: {error}") from None


def read_filter(raw: bytes) -> object:
    """A filter as decoded JSON; None for none. Raises InvalidFilter."""
    if not raw:
        return None
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, got {len(raw)}")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidFilter(f"filter_json: expected JSON: {error}") from None


def read_id(raw: bytes, where: str) -> PointId:
    """A point's id. Raises InvalidId."""
    try:
        return decode_id(raw)
    except InvalidId as error:
        raise InvalidId(f"{where}: {error.message}", **error.details) from None


def read_ids(raws: Sequence[bytes]) -> list[PointId]:
    """Raises InvalidId, which names the index."""
    ids: list[PointId] = []
    for index, raw in enumerate(raws):
        try:
            ids.append(read_id(raw, f"ids[{index}]"))
        except InvalidId as error:
            raise InvalidId(error.message, **{**error.details, "index": index}) from None
    return ids


def read_fields(fields: pb.PointFields) -> Mapping[str, Any]:
    """What of each point is answered."""
    return {
        "include_metadata": list(fields.metadata_fields) or fields.metadata,
        "include_vectors": fields.vectors,
        "include_version": fields.versions,
    }
