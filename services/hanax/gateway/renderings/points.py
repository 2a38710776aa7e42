"""Points: hits, records, and what became of an insert."""

from __future__ import annotations

from typing import Any

import orjson

from hanax.gateway.hits import Hit
from hanax.gateway.inserted import Inserted
from hanax.gateway.provenance import split_provenance
from hanax.gateway.records import Record
from hanax.gateway.renderings.instants import render_instant


def render_hit(hit: Hit) -> dict[str, Any]:
    record = hit.record
    shown: dict[str, Any] = {"id": record.id, "score": hit.score}
    _show_metadata(shown, record)
    if record.vector is not None:
        shown["vector"] = record.vector
    _show_life(shown, record)
    return shown


def render_record(record: Record, collection: str, model: str | None) -> dict[str, Any]:
    """All that there is of a point; fields that were not asked for are left out."""
    shown: dict[str, Any] = {"id": record.id}
    if record.vector is not None:
        shown["embedding"] = record.vector
    _show_metadata(shown, record)
    shown["collection"] = collection
    shown["model"] = model
    _show_life(shown, record)
    return shown


def _show_metadata(shown: dict[str, Any], record: Record) -> None:
    if record.metadata is not None:
        own, provenance = split_provenance(record.metadata)
        shown["metadata"] = orjson.Fragment(own)
        if provenance is not None:
            shown["provenance"] = orjson.Fragment(provenance)


def _show_life(shown: dict[str, Any], record: Record) -> None:
    shown["created_at"] = render_instant(record.created_at_us)
    shown["updated_at"] = render_instant(record.updated_at_us)
    if record.expires_at_us is not None:
        shown["expires_at"] = render_instant(record.expires_at_us)
    if record.version is not None:
        shown["version"] = record.version


def render_inserted(done: Inserted) -> dict[str, Any]:
    return {
        "inserted": done.inserted,
        "updated": done.updated,
        "ids": done.ids,
        "truncated": done.truncated,
        "split": done.split,
        "skipped": done.skipped,
        "versions": done.versions,
    }
