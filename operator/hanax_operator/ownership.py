"""Who owns which field of an object: its managedFields, as server-side apply keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hanax_operator.objects import Manifest


def applied_fields(live: Manifest, manager: str) -> Mapping[str, Any] | None:
    """What `manager` applied, a tree of fieldsV1; None when it never applied this object."""
    for entry in _entries(live):
        if _is_apply(entry, manager):
            return entry.get("fieldsV1") or {}
    return None


def has_applied(live: Manifest, manager: str, path: Sequence[str]) -> bool:
    """Whether `manager` owns the field by having applied it. `path`: names of fields, from the top."""
    return any(_is_apply(entry, manager) for entry in _owning(live, path))


def is_owned_beside(live: Manifest, manager: str, path: Sequence[str]) -> bool:
    """Whether anybody owns the field in another way than by an apply of `manager`."""
    return any(not _is_apply(entry, manager) for entry in _owning(live, path))


def _entries(live: Manifest) -> Sequence[Mapping[str, Any]]:
    return live["metadata"].get("managedFields") or ()


def _is_apply(entry: Mapping[str, Any], manager: str) -> bool:
    """Through a subresource, the same manager is another owner."""
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (
        manager,
        "Apply",
        "",
    )


def _owning(live: Manifest, path: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for entry in _entries(live):
        fields: Any = entry.get("fieldsV1")
        for name in path:
            fields = fields.get(f"f:{name}") if isinstance(fields, Mapping) else None
        if fields is not None:
            yield entry
