"""What was asked of vectors, for those who may see all of them."""

from __future__ import annotations

from typing import Final

from hanax.core.errors import FailedPrecondition, InvalidArgument, error_types
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.metadata.database import Database
from hanax.metadata.opening import configured
from hanax.metadata.operations.log import OperationLog
from hanax.metadata.operations.operation import Noted, Place, Wanted
from hanax.metadata.operations.store import OperationStore

_DONE: Final = "ok"


class History:
    """database: None where none is configured. log: None where operations are not noted."""

    def __init__(self, database: Database | None, log: OperationLog | None) -> None:
        self._database = database
        self._log = log

    async def page(
        self, call: Call, wanted: Wanted, limit: int, after: Place | None = None
    ) -> tuple[list[Noted], OperationLog]:
        """The newest first, and the log of this gateway, which knows what waits and what was dropped.

        Raises Unauthenticated, PermissionDenied, DatabaseNotConfigured, DatabaseUnavailable,
        FailedPrecondition where nothing is noted, and InvalidArgument for an outcome that none can have.
        """
        call.caller.require_all(Scope.ADMIN, "the operation log")
        store = OperationStore(configured(self._database))
        if self._log is None:
            raise FailedPrecondition("operations are not noted here (HANAX_OPERATION_LOG_KEEP_S is 0)")
        outcome = wanted.outcome
        if outcome is not None and outcome not in (_DONE, *(kind.code for kind in error_types())):
            raise InvalidArgument(f"outcome: expected {_DONE} or the code of an error, got {outcome[:60]!r}")
        return await store.page(wanted, limit, after), self._log
