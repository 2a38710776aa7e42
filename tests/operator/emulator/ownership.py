"""Who owns which field: managedFields, and what server-side apply makes of it.

After Kubernetes' enhancement 555 and structured-merge-diff: an applied object says all that its manager
wants; a field that this manager applied before and no longer names goes, unless somebody else
owns it too. A path is the tuple of keys that fieldsV1 is written in: `f:name`, `k:{"name":"a"}`
for an item of a list that is a map, `v:"a"` for one of a set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson

from tests.operator.emulator import schemas
from tests.operator.emulator.answers import failed, ownership_conflict
from tests.operator.emulator.schemas import Schema

Obj = dict[str, Any]
Path = tuple[str, ...]
Leaves = dict[Path, Any]

# The server's own fields; nobody owns them.
_UNOWNED_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
# An item of a list that is a map is owned apart from its fields.
_ITEM = object()


@dataclass(frozen=True)
class Manager:
    """Who writes, through which version and subresource; `time` as it is written."""

    name: str
    api_version: str
    time: str
    subresource: str = ""


def apply(live: Obj, applied: Obj, schema: Schema, manager: Manager, *, force: bool) -> Obj:
    """`live` with what is applied in it. Raises 409 where others own what changes, without `force`."""
    wanted = leaves(applied, schema)
    merged = _merge(_owned(live), _owned(applied), schemas.resolve(schema))
    owners = {key: set(paths) for key, paths in _owners(live).items()}
    key = (manager.name, "Apply", manager.subresource)
    before = owners.get(key, set())

    live_leaves = leaves(live, schema)
    changed = {
        path for path, value in leaves(merged, schema).items() if live_leaves.get(path, _ITEM) != value
    }
    changed &= set(wanted)
    others = {other: paths for other, paths in owners.items() if other != key}
    contested = sorted((other[0], _told(path)) for other, paths in others.items() for path in paths & changed)
    if contested and not force:
        raise ownership_conflict(contested)
    for paths in others.values():
        paths.difference_update(changed)

    dropped = before - set(wanted)
    kept = set().union(*others.values()) if others else set()
    gone = {path for path in dropped if not any(_covers(path, other) for other in kept)}
    merged = _without(merged, schemas.resolve(schema), gone)
    owners[key] = set(wanted)
    result = {**live, **merged, "metadata": {**merged.get("metadata", {}), **_unowned(live)}}
    if "status" not in merged:
        result.pop("status", None)
    for field in set(live) - set(merged) - {"apiVersion", "kind", "metadata"}:
        result.pop(field, None)
    return _written(result, owners, manager, live)


def update(old: Obj | None, new: Obj, schema: Schema, manager: Manager) -> Obj:
    """`new` with managedFields that say who changed what since `old`."""
    before = leaves(old, schema) if old is not None else {}
    after = leaves(new, schema)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = set(before) - set(after)
    owners = {key: set(paths) for key, paths in _owners(old or {}).items()}
    if "managedFields" in new.get("metadata", {}) and new["metadata"]["managedFields"] == []:
        owners, changed = {}, set(after)
    if not changed and not gone:
        return _written(new, owners, manager, old or {})
    key = (manager.name, "Update", manager.subresource)
    owned = owners.pop(key, set())
    for paths in owners.values():
        paths.difference_update(changed | gone)
    owners[key] = (owned | changed) - gone
    return _written(new, owners, manager, old or {})


def leaves(obj: Mapping[str, Any], schema: Schema) -> Leaves:
    """Every path of what may be owned, with its value. Raises 500 for a field that no schema declares."""
    found: Leaves = {}
    _collect(_owned(obj), schemas.resolve(schema), (), found)
    return found


def _owned(obj: Mapping[str, Any]) -> Obj:
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key not in _UNOWNED_METADATA}
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    return {**rest, "metadata": metadata} if metadata else rest


def _unowned(obj: Mapping[str, Any]) -> Obj:
    return {key: value for key, value in obj.get("metadata", {}).items() if key in _UNOWNED_METADATA}


def _collect(value: Any, schema: Schema, path: Path, found: Leaves) -> None:
    if isinstance(value, dict) and not schemas.is_atomic(schema):
        if not value and path:
            found[path] = value
        for name, inner in value.items():
            known = schemas.field(schema, name)
            if known is None:
                where = _told((*path, f"f:{name}"))
                raise failed(f"failed to create typed patch object: {where}: field not declared in schema")
            _collect(inner, known, (*path, f"f:{name}"), found)
    elif isinstance(value, list) and schemas.list_keys(schema):
        for entry in value:
            inside = (*path, _item_word(schema, entry))
            found[inside] = _ITEM
            _collect(entry, schemas.item(schema), inside, found)
        if not value:
            found[path] = value
    elif isinstance(value, list) and schemas.is_set(schema):
        found |= {(*path, _set_word(entry)): entry for entry in value}
    else:
        found[path] = value


def _merge(live: Any, applied: Any, schema: Schema) -> Any:
    if isinstance(live, dict) and isinstance(applied, dict) and not schemas.is_atomic(schema):
        merged = dict(live)
        for name, value in applied.items():
            inner = schemas.field(schema, name) or {}
            merged[name] = _merge(live[name], value, inner) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(applied, list):
        if schemas.list_keys(schema):
            return _merge_items(live, applied, schema)
        if schemas.is_set(schema):
            return live + [entry for entry in applied if entry not in live]
    return deepcopy(applied)


def _merge_items(live: list[Any], applied: list[Any], schema: Schema) -> list[Any]:
    """Applied items in their order; one that only the live object has stays behind its predecessor."""
    known = {_item_word(schema, entry): entry for entry in live}
    merged: list[tuple[str, Any]] = []
    for entry in applied:
        word = _item_word(schema, entry)
        merged.append((word, _merge(known[word], entry, schemas.item(schema)) if word in known else entry))
    named = {word for word, _ in merged}
    before = ""
    for word, entry in known.items():
        if word not in named:
            at = next((place + 1 for place, (other, _) in enumerate(merged) if other == before), 0)
            merged.insert(at, (word, entry))
        before = word
    return [entry for _, entry in merged]


def _without(value: Any, schema: Schema, gone: set[Path]) -> Any:
    """`value` without those paths; a map that loses all it had goes too."""
    if not gone:
        return value
    if isinstance(value, dict):
        left = {}
        for name, inner in value.items():
            below = _below(gone, f"f:{name}")
            if () in below:
                continue
            kept = _without(inner, schemas.field(schema, name) or {}, below)
            if kept not in ({}, []) or inner in ({}, []):
                left[name] = kept
        return left
    if isinstance(value, list) and schemas.list_keys(schema):
        return [
            _without(entry, schemas.item(schema), below)
            for entry in value
            if () not in (below := _below(gone, _item_word(schema, entry)))
        ]
    if isinstance(value, list) and schemas.is_set(schema):
        return [entry for entry in value if (_set_word(entry),) not in gone]
    return value


def _below(paths: set[Path], word: str) -> set[Path]:
    return {path[1:] for path in paths if path and path[0] == word}


def _covers(path: Path, other: Path) -> bool:
    return other[: len(path)] == path


def _item_word(schema: Schema, entry: Mapping[str, Any]) -> str:
    key = {name: value for name, value in schemas.item_key(schema, entry) if value is not None}
    return "k:" + orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()


def _set_word(entry: Any) -> str:
    return "v:" + orjson.dumps(entry).decode()


def _told(path: Path) -> str:
    words = [f".{word[2:]}" if word.startswith("f:") else f"[{word[2:]}]" for word in path]
    return "".join(words)


def _owners(obj: Mapping[str, Any]) -> dict[tuple[str, str, str], set[Path]]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): set(
            _paths(entry["fieldsV1"], ())
        )
        for entry in obj.get("metadata", {}).get("managedFields", ())
    }


def _paths(fields: Mapping[str, Any], above: Path) -> Iterator[Path]:
    for word, inner in fields.items():
        if word == ".":
            yield above
        elif not inner:
            yield (*above, word)
        else:
            yield from _paths(inner, (*above, word))


def _fields(paths: set[Path]) -> Obj:
    fields: Obj = {}
    for path in sorted(paths):
        node = fields
        for word in path:
            node = node.setdefault(word, {})
        if any(len(other) > len(path) and _covers(path, other) for other in paths):
            node["."] = {}
    return fields


def _written(obj: Obj, owners: dict[tuple[str, str, str], set[Path]], manager: Manager, before: Obj) -> Obj:
    known = {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry
        for entry in before.get("metadata", {}).get("managedFields", ())
    }
    entries = []
    for key, paths in owners.items():
        if not paths:
            continue
        fields = _fields(paths)
        entry = known.get(key)
        if entry is None or entry["fieldsV1"] != fields:
            entry = {
                "manager": key[0],
                "operation": key[1],
                "apiVersion": manager.api_version,
                "time": manager.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": fields,
                **({"subresource": key[2]} if key[2] else {}),
            }
        entries.append(entry)
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key != "managedFields"}
    return {**obj, "metadata": {**metadata, "managedFields": entries} if entries else metadata}
