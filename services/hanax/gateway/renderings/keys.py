"""API keys as their administrators see them."""

from __future__ import annotations

from typing import Any

from hanax.gateway.guard.key_desk import Told
from hanax.gateway.renderings.instants import render_if_any, render_instant


def render_key(told: Told) -> dict[str, Any]:
    kept, rights = told.kept, told.rights
    shown = {
        "id": kept.id,
        "name": kept.name,
        "grants": [grant.model_dump() for grant in rights.grants],
        "filter": rights.filter,
        "rate": None if rights.rate is None else rights.rate.model_dump(),
        "created_at": render_instant(kept.created_at_us),
        "expires_at": render_if_any(kept.expires_at_us),
        "revoked_at": render_if_any(kept.revoked_at_us),
        "last_used_at": render_if_any(kept.last_used_at_us),
        "previous_until": render_if_any(kept.previous_until_us),
    }
    return shown if told.key is None else {**shown, "key": told.key}
