"""Which part of an object each endpoint reads and writes."""

from __future__ import annotations

from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.store import Obj


def part_of(kind: Kind, applied: Obj, subresource: str) -> Obj:
    """Of what is applied, the part that this endpoint takes."""
    if subresource == "status":
        kept = {key: value for key, value in applied.items() if key in ("apiVersion", "kind", "status")}
        return {**kept, "metadata": {"name": applied["metadata"]["name"]}}
    return {key: value for key, value in applied.items() if key != "status"} if kind.status else applied


def with_what_stays(kind: Kind, obj: Obj, old: Obj, subresource: str) -> Obj:
    """`obj` as far as this endpoint may change `old`: status alone, or all but status."""
    if subresource == "status":
        fields = obj["metadata"].get("managedFields")
        metadata = {**old["metadata"], **({"managedFields": fields} if fields else {})}
        changed = {**old, "metadata": metadata}
        if "status" in obj:
            return {**changed, "status": obj["status"]}
        changed.pop("status", None)
        return changed
    if not kind.status:
        return obj
    kept = {key: value for key, value in obj.items() if key != "status"}
    return {**kept, "status": old["status"]} if "status" in old else kept
