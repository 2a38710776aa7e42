"""What a gateway has written down of a request: its audit log."""

from __future__ import annotations

from typing import Any

from tests.integration.gateway.guard.conftest import Guarded
from tests.integration.waiting import wait_until


def audited(guard: Guarded, request_id: str) -> list[dict[str, Any]]:
    """The lines of this request, as soon as there is one."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [
            event
            for event in guard.stack.gateway.events()
            if event.get("event") == "audit" and event.get("request_id") == request_id
        ]
        return bool(found)

    wait_until("the audit log", there)
    return found
