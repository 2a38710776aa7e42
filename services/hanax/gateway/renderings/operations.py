"""The operation log as users see it."""

from __future__ import annotations

from typing import Any

from hanax.gateway.history import HistoryPage
from hanax.gateway.renderings.instants import render_instant
from hanax.metadata.operations.operation import Noted


def render_history(page: HistoryPage) -> dict[str, Any]:
    return {
        "operations": [_render(noted) for noted in page.operations],
        "next_cursor": page.next_cursor,
        "dropped": page.dropped,
        "waiting": page.waiting,
    }


def _render(noted: Noted) -> dict[str, Any]:
    operation = noted.operation
    return {
        "id": noted.id,
        "at": render_instant(operation.at_us),
        "duration_ms": operation.duration_us / 1e3,
        "operation": operation.operation,
        "collection": operation.collection or None,
        "actor": operation.actor,
        "outcome": operation.outcome,
        "items": operation.items,
        "request_id": operation.request_id,
        "instance": noted.instance,
    }
