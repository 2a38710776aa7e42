"""What a body of REST says, as a message of gRPC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.integration.gateway.vector_service.client import encoded, insertion, vector_of

# Messages whose fields are one level deeper than in the body.
_INSIDE: Final = {"CreateCollectionRequest": "spec", "BuildIndexRequest": "index"}
_MODES: Final = {"mode": "INSERT_MODE_", "long_texts": "LONG_TEXT_RULE_"}
# In REST the job's kind is a field like others.
_OF_ALL_JOBS: Final = {"batch_size", "priority", "format"}


def fill(message: Message, told: Mapping[str, Any]) -> Message:
    """The message with all that is told."""
    kind = message.DESCRIPTOR.name
    if kind == "InsertVectorsRequest":
        return _insertion(told)
    if kind == "SubmitJobRequest":
        _fill_job(message, dict(told))
        return message
    inner = getattr(message, _INSIDE[kind]) if kind in _INSIDE else message
    for name, value in told.items():
        _put(message if name == "id" else inner, name, value)
    return message


def _insertion(told: Mapping[str, Any]) -> Message:
    modes: dict[str, Any] = {
        name: prefix + told[name].upper() for name, prefix in _MODES.items() if name in told
    }
    points = told["vectors"]
    if any("expires_at" in point for point in points):
        modes["expires_at_us"] = [_instant(point.get("expires_at")) for point in points]
    return insertion(told["collection"], points, **modes)


def _instant(told: str | None) -> int:
    return 0 if told is None else round(datetime.fromisoformat(told).timestamp() * 1e6)


def _fill_job(message: Any, told: dict[str, Any]) -> None:
    message.items_json.extend(json.dumps(item).encode() for item in told.pop("items", ()))
    kind = told.pop("kind", None)
    for name in _OF_ALL_JOBS & told.keys():
        _put(message.job, name, told.pop(name))
    if kind is not None:
        chosen = getattr(message.job, kind)
        chosen.SetInParent()
        fill(chosen, told)


def _put(message: Any, name: str, value: Any) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    if f"{name}_json" in fields:
        setattr(message, f"{name}_json", json.dumps(value).encode())
    elif name in ("include_metadata", "include_vectors", "include_version") and "fields" in fields:
        _include(message.fields, name, value)
    elif name not in fields and "options" in fields:
        setattr(message.options, name, value)
    elif name == "delete":
        message.delete_fields.extend(value)
    elif name == "text" and "texts" in fields:
        message.texts.extend(value)
    elif name == "limit" and message.DESCRIPTOR.name == "ScrollVectorsRequest":
        message.page_size = value
    elif value is None and "reset" in fields:
        message.reset.append(name)
    elif value is None:
        setattr(message, name, fields[name].default_value)
    elif name == "embedding":
        message.vector.CopyFrom(vector_of(value))
    else:
        _set(message, fields[name], value)


def _include(fields: Any, name: str, value: Any) -> None:
    if isinstance(value, Sequence):
        fields.metadata_fields.extend(value)
    else:
        setattr(fields, {"include_version": "versions"}.get(name, name.removeprefix("include_")), value)


def _set(message: Any, field: FieldDescriptor, value: Any) -> None:
    name = field.name
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        _add_entries(getattr(message, name), inner, value)
    elif field.is_repeated:
        for one in value:
            _add(getattr(message, name), field, one)
    elif inner is not None:
        place = getattr(message, name)
        place.SetInParent()
        _fill_inner(place, value)
    else:
        setattr(message, name, _plain(field, value))


def _add_entries(entries: Any, kind: Any, value: Mapping[str, Any]) -> None:
    field = kind.fields_by_name["value"]
    for key, one in value.items():
        entries[key] = _plain(field, one)


def _add(place: Any, field: FieldDescriptor, one: Any) -> None:
    if field.message_type is None:
        place.append(_plain(field, one))
    else:
        _fill_inner(place.add(), one)


def _fill_inner(message: Any, value: Any) -> None:
    match message.DESCRIPTOR.name:
        case "Vector":
            message.CopyFrom(vector_of(value))
        case "Example" if isinstance(value, list):
            message.vector.CopyFrom(vector_of(value))
        case "Example":
            message.id = encoded(value)
        case "Index" | "Quantisation":
            chosen = getattr(message, value["type"])
            chosen.SetInParent()
            fill(chosen, {name: one for name, one in value.items() if name != "type"})
        case "PayloadIndexes":
            field = message.DESCRIPTOR.fields_by_name["by_field"]
            _add_entries(message.by_field, field.message_type, value)
        case _:
            fill(message, value)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        (word,) = (one for one in field.enum_type.values_by_name if one.endswith(f"_{value.upper()}"))
        return field.enum_type.values_by_name[word].number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return encoded(value)
    return value
