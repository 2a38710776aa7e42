"""The three patches that are not an apply: JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import jsonpatch
import jsonpointer

from tests.operator.emulator import schemas
from tests.operator.emulator.answers import ApiError, bad_request
from tests.operator.emulator.schemas import Schema


def json_patch(obj: Mapping[str, Any], patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """RFC 6902. Raises 422 where the object is not as the patch needs it."""
    try:
        found: dict[str, Any] = jsonpatch.apply_patch(deepcopy(obj), patch)
    except (
        jsonpatch.JsonPatchConflict,
        jsonpatch.JsonPatchTestFailed,
        jsonpointer.JsonPointerException,
    ) as error:
        raise ApiError(
            422, "Invalid", f"the server rejected our request due to an error in our request: {error}"
        ) from error
    except jsonpatch.JsonPatchException as error:
        raise bad_request(str(error)) from error
    return found


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7386: null removes, lists are replaced whole."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    merged = dict(value) if isinstance(value, Mapping) else {}
    for name, inner in patch.items():
        if inner is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), inner)
    return merged


def strategic_merge_patch(value: Any, patch: Any, schema: Schema) -> Any:
    """As a merge patch, but lists with a merge key are merged by it. Knows `$patch: delete` and `replace`."""
    schema = schemas.resolve(schema)
    if isinstance(patch, Mapping):
        if patch.get("$patch") == "replace":
            return {name: inner for name, inner in patch.items() if name != "$patch"}
        merged = dict(value) if isinstance(value, Mapping) else {}
        for name, inner in patch.items():
            if inner is None:
                merged.pop(name, None)
            elif not name.startswith("$"):
                merged[name] = strategic_merge_patch(
                    merged.get(name), inner, schemas.field(schema, name) or {}
                )
        return merged
    key = schema.get("x-kubernetes-patch-merge-key")
    merges = "merge" in str(schema.get("x-kubernetes-patch-strategy", ""))
    if not isinstance(patch, list) or not merges:
        return deepcopy(patch)
    if key is None:
        known = value or []
        return known + [entry for entry in patch if entry not in known]
    return _merge_by(key, value or [], patch, schema)


def _merge_by(key: str, value: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    replaces = any(entry.get("$patch") == "replace" for entry in patch)
    merged = {} if replaces else {entry.get(key): entry for entry in value}
    for entry in patch:
        if entry.get("$patch") == "delete":
            merged.pop(entry.get(key), None)
        elif "$patch" not in entry:
            merged[entry.get(key)] = strategic_merge_patch(
                merged.get(entry.get(key), {}), entry, schemas.item(schema)
            )
    return list(merged.values())
