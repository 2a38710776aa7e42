"""What was asked of vectors, for those who may see all of them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hanax.core.errors import FailedPrecondition, InvalidArgument, InvalidCursor, error_types
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.metadata.database import Database
from hanax.metadata.opening import configured
from hanax.metadata.operations.log import OperationLog
from hanax.metadata.operations.operation import Noted, Place, Wanted
from hanax.metadata.operations.store import OperationStore

_DONE: Final = "ok"


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """dropped, waiting: of this gateway, operations that were not noted since its start, and that wait."""

    operations: Sequence[Noted]
    next_cursor: str | None
    dropped: int
    waiting: int


class History:
    """database: None where none is configured. log: None where operations are not noted."""

    def __init__(self, database: Database | None, log: OperationLog | None) -> None:
        self._database = database
        self._log = log

    async def page(self, call: Call, wanted: Wanted, limit: int, cursor: str | None) -> HistoryPage:
        """The newest first. cursor: of the page before.

        Raises Unauthenticated, PermissionDenied, DatabaseNotConfigured, DatabaseUnavailable, InvalidCursor,
        FailedPrecondition where nothing is noted, and InvalidArgument for an outcome that none can have.
        """
        call.caller.require_all(Scope.ADMIN, "the operation log")
        after = None if cursor is None else _read_cursor(cursor)
        store = OperationStore(configured(self._database))
        if self._log is None:
            raise FailedPrecondition("operations are not noted here (HANAX_OPERATION_LOG_KEEP_S is 0)")
        outcome = wanted.outcome
        if outcome is not None and outcome not in (_DONE, *(kind.code for kind in error_types())):
            raise InvalidArgument(f"outcome: expected {_DONE} or the code of an error, got {outcome[:60]!r}")
        # One more tells whether there is a next page.
        found = await store.page(wanted, limit + 1, after)
        following = _write_cursor(found[limit - 1]) if len(found) > limit else None
        return HistoryPage(found[:limit], following, self._log.dropped, self._log.waiting)


def _write_cursor(last: Noted) -> str:
    place = last.operation.at_us.to_bytes(8, "big") + last.id.to_bytes(8, "big")
    return urlsafe_b64encode(place).decode().rstrip("=")


def _read_cursor(cursor: str) -> Place:
    try:
        place = urlsafe_b64decode(cursor + "==")
    except ValueError:
        place = b""
    if len(place) != 16 or place[0] & 0x80 or place[8] & 0x80:
        raise InvalidCursor("cursor: expected `next_cursor` of a page of operations")
    return Place(int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big"))
