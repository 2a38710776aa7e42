"""What a failure of the database means: whether another attempt may mend it, and which error it becomes.

A driver's message may hold a URL, and SQLAlchemy's the statement: neither leaves this room. What leaves
is the kind of the failure, and the SQLSTATE that an operator can look up (PostgreSQL manual, appendix A).
"""

from __future__ import annotations

import sqlite3
from enum import Enum, auto
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hanax.core.errors import (
    DatabaseUnavailable,
    DataLoss,
    DeadlineExceeded,
    HanaxError,
    Internal,
    StorageFull,
)

# How long a client that was refused stays away: a PostgreSQL that was killed is back in a few seconds.
RETRY_AFTER_S: Final = 2.0


class Kind(Enum):
    CONFLICT = auto()  # with another transaction: nothing was changed, and the same may succeed now
    LOST = auto()  # the connection, or none could be had
    FULL_POOL = auto()
    SLOW = auto()
    FULL_DISK = auto()
    DAMAGED = auto()
    DEFECT = auto()


# read_only_sql_transaction: another server has become the primary
READ_ONLY: Final = "25006"

_KIND_BY_STATE: Final = {
    "40001": Kind.CONFLICT,  # serialization_failure
    "40P01": Kind.CONFLICT,  # deadlock_detected
    "55P03": Kind.SLOW,  # lock_not_available
    "57014": Kind.SLOW,  # query_canceled, by statement_timeout
    READ_ONLY: Kind.LOST,
    "25P03": Kind.LOST,  # idle_in_transaction_session_timeout
    "3D000": Kind.LOST,  # invalid_catalog_name: the database is not there (yet)
    "53100": Kind.FULL_DISK,
    "53300": Kind.LOST,  # too_many_connections
    "57P01": Kind.LOST,  # admin_shutdown
    "57P02": Kind.LOST,  # crash_shutdown
    "57P03": Kind.LOST,  # cannot_connect_now
    "57P05": Kind.LOST,  # idle_session_timeout
}
_KIND_BY_CLASS: Final = {
    "08": Kind.LOST,  # connection exceptions
    "28": Kind.LOST,  # invalid authorization: a password that is being changed
    "53": Kind.LOST,  # insufficient resources
    "58": Kind.LOST,  # system errors
    "XX": Kind.DAMAGED,
}

# SQLite's primary result codes (sqlite.org/rescode.html).
_KIND_BY_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: Kind.CONFLICT,
    sqlite3.SQLITE_LOCKED: Kind.CONFLICT,
    sqlite3.SQLITE_INTERRUPT: Kind.SLOW,
    sqlite3.SQLITE_PERM: Kind.LOST,
    sqlite3.SQLITE_CANTOPEN: Kind.LOST,
    sqlite3.SQLITE_READONLY: Kind.LOST,
    sqlite3.SQLITE_IOERR: Kind.LOST,
    sqlite3.SQLITE_FULL: Kind.FULL_DISK,
    sqlite3.SQLITE_CORRUPT: Kind.DAMAGED,
    sqlite3.SQLITE_NOTADB: Kind.DAMAGED,
}


def kind_of(failure: BaseException) -> Kind:
    if isinstance(failure, PoolTimeout):
        return Kind.FULL_POOL
    if isinstance(failure, TimeoutError):  # an OSError too
        return Kind.SLOW
    if isinstance(failure, OSError):
        return Kind.LOST
    state = sql_state(failure)
    if state is not None:
        return _KIND_BY_STATE.get(state) or _KIND_BY_CLASS.get(state[:2], Kind.DEFECT)
    code = _sqlite_code(failure)
    if code is not None:
        return _KIND_BY_SQLITE.get(code & 0xFF, Kind.DEFECT)
    if isinstance(failure, DBAPIError) and failure.connection_invalidated:
        return Kind.LOST
    cause = failure.__cause__
    return Kind.DEFECT if cause is None else kind_of(cause)


def error_of(failure: Exception, place: str) -> Exception:
    """What leaves this room for `failure`. place: the database, without a password.

    An IntegrityError stays what it is: who asked for the change knows what it means.
    """
    if isinstance(failure, HanaxError | IntegrityError):
        return failure
    why = _reason(failure)
    match kind_of(failure):
        case Kind.CONFLICT:
            return _unavailable(f"transactions at {place} keep getting into each other's way ({why})")
        case Kind.LOST:
            return _unavailable(f"the metadata database at {place} cannot be reached ({why})")
        case Kind.FULL_POOL:
            return _unavailable(f"all connections to the metadata database at {place} are in use")
        case Kind.SLOW:
            return DeadlineExceeded(f"the metadata database at {place} did not answer in time")
        case Kind.FULL_DISK:
            return StorageFull(f"the metadata database at {place} has no space left ({why})")
        case Kind.DAMAGED:
            return DataLoss(f"the metadata database at {place} says that its data is damaged ({why})")
        case _:
            return Internal(f"the metadata database at {place} refused a statement ({why})")


def sql_state(failure: BaseException) -> str | None:
    """The five characters of PostgreSQL's, where it was PostgreSQL that refused."""
    for told in (failure, getattr(failure, "orig", None)):
        state = getattr(told, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None


def _sqlite_code(failure: BaseException) -> int | None:
    origin = failure.orig if isinstance(failure, DBAPIError) else failure
    code = getattr(origin, "sqlite_errorcode", None)
    return code if isinstance(code, int) else None


def _reason(failure: BaseException) -> str:
    """The failure's kind in the words of its source, without its message."""
    state = sql_state(failure)
    origin = failure.orig if isinstance(failure, DBAPIError) and failure.orig is not None else failure
    name = getattr(origin, "sqlite_errorname", None) or type(origin).__name__
    return f"SQLSTATE {state}" if state is not None else str(name)


def _unavailable(message: str) -> DatabaseUnavailable:
    return DatabaseUnavailable(message, retry_after_s=RETRY_AFTER_S)
