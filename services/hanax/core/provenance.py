"""Where a vector that was embedded here comes from, kept in its point's metadata under a reserved key.

A user can filter on it, but neither write nor remove it: it stands for as long as the vector that it is
about. A point that is written with a vector of the user's own has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hanax.core.limits import MAX_METADATA_BYTES, MAX_PROVENANCE_BYTES

PROVENANCE: Final = "_embedding"

# Other in nearly every point: an index of them would be as large as all others, and serve nobody.
NOT_INDEXED: Final = frozenset({f"{PROVENANCE}.content_hash", f"{PROVENANCE}.at"})


def is_reserved(field: str) -> bool:
    """Whether a dotted metadata field is the provenance or a part of it."""
    return field == PROVENANCE or field.startswith(f"{PROVENANCE}.")


def with_provenance_of(old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Metadata that replace `old`, which keep its provenance, as the first key."""
    return {PROVENANCE: old[PROVENANCE], **new} if PROVENANCE in old else new


def most_bytes(metadata: Mapping[str, Any]) -> int:
    """What these metadata may have as JSON: provenance does not count against a user's own."""
    return MAX_METADATA_BYTES + (MAX_PROVENANCE_BYTES if PROVENANCE in metadata else 0)
