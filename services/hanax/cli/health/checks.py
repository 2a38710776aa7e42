"""What is found of a part of the platform, and what that makes of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hanax.core.errors import NotFound


class Status(StrEnum):
    """unknown: nobody could be asked, which is no fault of the part."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


_FROM_BEST = tuple(Status)


@dataclass(frozen=True, slots=True)
class Check:
    """kind: gateway, node, model, database or service. latency_ms: of the question, where there was one.

    message: why it is not healthy, or what is worth a word. details: numbers, by name.
    """

    name: str
    kind: str
    status: Status
    message: str = ""
    latency_ms: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "status": self.status.value,
            "latency_ms": self.latency_ms,
            "message": self.message,
            "details": self.details,
        }


def overall(checks: Iterable[Check]) -> Status:
    """The worst of all."""
    return max((check.status for check in checks), key=_FROM_BEST.index, default=Status.UNKNOWN)


def chosen(checks: list[Check], service: str | None) -> list[Check]:
    """Those of one name; None: all. Raises NotFound."""
    if service is None:
        return checks
    found = [check for check in checks if check.name == service]
    if not found:
        names = ", ".join(dict.fromkeys(check.name for check in checks))
        raise NotFound(f"there is no service {service!r}; there is: {names}")
    return found
