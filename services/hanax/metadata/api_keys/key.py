"""One API key as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Instants in microseconds since 1970 UTC; None: never. digests: of `hanax.core.api_keys`.

    rights: JSON, as `gateway.guard.rights` reads it. previous_digest: before the latest rotation, good until
    previous_until_us. revision: ascends with every change of any key.
    """

    id: str
    name: str
    digest: str
    rights: Mapping[str, Any]
    created_at_us: int
    expires_at_us: int | None
    revoked_at_us: int | None = None
    last_used_at_us: int | None = None
    previous_digest: str | None = None
    previous_until_us: int | None = None
    revision: int = 0
