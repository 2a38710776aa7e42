"""The audit log: who changed what, and who was refused what, one line each in the process's log.

Reads that succeed are not in it; the operation log of the metadata database has them. Lines hold names and
counts, never keys, vectors or metadata.
"""

from __future__ import annotations

from typing import Final

import structlog

from hanax.core.errors import PermissionDenied, RateLimited, Unauthenticated
from hanax.metadata.operations.operation import Operation

log = structlog.get_logger("audit")

# Also of reads, and of what is of no operation; noted once, where the request ends.
REFUSALS: Final = frozenset(kind.code for kind in (Unauthenticated, PermissionDenied, RateLimited))
# What they are over HTTP, where other things may be called so too: too many requests of all callers together.
REFUSAL_STATUSES: Final = {401: Unauthenticated.code, 403: PermissionDenied.code, 429: RateLimited.code}


def audit_operation(operation: Operation) -> None:
    """Of a change that has ended."""
    if operation.outcome in REFUSALS:
        return
    log.info(
        "audit",
        operation=operation.operation,
        collection=operation.collection or None,
        actor=operation.actor,
        outcome=operation.outcome,
        items=operation.items,
        request_id=operation.request_id,
    )


def audit_refusal(code: str, actor: str, path: str, request_id: str) -> None:
    """Of a request that was refused. path: over HTTP; or the method, over gRPC."""
    log.warning("audit", path=path[:200], actor=actor, outcome=code, request_id=request_id)
