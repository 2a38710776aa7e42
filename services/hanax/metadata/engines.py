"""Connections to the database: where it is, and what every connection is told at its start.

SQLite has two kinds: one that writes, so that writers of one process queue in order in place of
polling for the file's lock, and some that only read, which a writer does not hold up (WAL).
"""

from __future__ import annotations

import math
import os
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

import orjson
from sqlalchemy import URL, AsyncAdaptedQueuePool, Connection, ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from hanax.core.errors import DatabaseUnavailable, InvalidArgument
from hanax.metadata.failures import READ_ONLY, sql_state

Dialect = Literal["postgresql", "sqlite"]

# A connection that a proxy or a firewall may have forgotten is replaced before it is used.
_RECYCLE_S: Final = 1_800

# When a call's time is over, on the monotonic clock: its statements in a SQLite file are stopped then.
DEADLINE: Final[ContextVar[float]] = ContextVar("DEADLINE", default=math.inf)
_TURN: Final = "turn"
# Steps of SQLite's virtual machine between two looks at the clock: some tenths of a millisecond.
_STEPS: Final = 10_000

# Of the time that a call has: past it, one that waits for a connection could not use it any more.
_CHECKOUT_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """url: postgresql://user@host:port/name?sslmode=..., as libpq reads it, or sqlite:///path.

    password_file: read at every connect, in place of a password in the URL. pool_size: connections at
    once. timeout_s: for a whole call, its retries and the wait for a connection included.
    """

    url: str
    password_file: Path | None = None
    pool_size: int = 10
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is. name: for messages, without user and password. path: of a SQLite file."""

    dialect: Dialect
    name: str
    path: Path | None

    @classmethod
    def parse(cls, url: str) -> Place:
        """Raises InvalidArgument for a URL that names neither a PostgreSQL nor a SQLite file."""
        try:
            parts = urlsplit(url)
            hosts = parts.netloc.rpartition("@")[2]
            if "," not in hosts:
                _ = parts.port
        except ValueError:
            raise InvalidArgument("HANAX_DATABASE_URL: not a URL") from None
        if parts.scheme == "sqlite":
            path = unquote(parts.path).removeprefix("/")
            if parts.netloc or path in ("", ":memory:") or parts.query:
                raise InvalidArgument("HANAX_DATABASE_URL: expected sqlite:/// and the path of a file")
            return cls("sqlite", f"sqlite:///{path}", Path(path))
        if parts.scheme != "postgresql":
            raise InvalidArgument("HANAX_DATABASE_URL: expected postgresql://... or sqlite:///path")
        if len(parts.path) < 2:
            raise InvalidArgument("HANAX_DATABASE_URL: expected the name of a database after the host")
        return cls("postgresql", f"postgresql://{hosts}{parts.path}", None)


class _Turn:
    """Of one connection to a SQLite file: when the transaction that has it has no more time."""

    def __init__(self) -> None:
        self.until = math.inf

    def is_over(self) -> bool:
        return time.monotonic() > self.until


def open_postgresql(options: DatabaseOptions, connections: int, patience_s: float) -> AsyncEngine:
    """An engine of at most `connections`, whose statements take `patience_s` at most. Opens none yet.

    A statement is a transaction by itself (AUTOCOMMIT), unless the engine is told otherwise.
    """
    # Half of a start's time with a file, which has no use for it.
    import asyncpg

    timeout_ms = round(patience_s * 1_000)

    async def connect() -> asyncpg.Connection:
        # asyncpg reads the URL itself: it knows sslmode, several hosts, and the like.
        return await asyncpg.connect(
            options.url,
            password=_password(options.password_file),
            timeout=options.timeout_s,
            command_timeout=patience_s,
            server_settings={
                "application_name": "hana-x-vector",
                # The server's own, for when this process is gone and cannot cancel what it asked for.
                "statement_timeout": str(timeout_ms),
                "idle_in_transaction_session_timeout": str(2 * timeout_ms),
                "TimeZone": "UTC",
            },
        )

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        isolation_level="AUTOCOMMIT",
        # JSONB holds nothing that it would not read: no NaN, and no half of a surrogate pair.
        json_deserializer=orjson.loads,
        **_pool(options, connections),
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave_a_standby(context: ExceptionContext) -> None:
        # A server that was the primary may keep its connections: all of them are replaced.
        if sql_state(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    return engine


def open_sqlite(options: DatabaseOptions, path: Path, writes: bool, connections: int) -> AsyncEngine:
    """An engine whose transactions write, or may not. Opens no connection yet."""
    url = URL.create("sqlite+aiosqlite", database=str(path))
    pool = _pool(options, connections)
    if writes:
        # The one connection is the turn that writers wait for: as long as they have.
        pool["pool_timeout"] = options.timeout_s
    # Short: a thread that waits for a lock cannot be told to stop. The call as a whole waits longer.
    arguments = {"timeout": options.timeout_s / 10}
    engine = create_async_engine(url, connect_args=arguments, **pool)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine.sync_engine, "do_connect")
    def make_folder(dialect: Any, record: Any, args: Any, parameters: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        # Python's driver would begin transactions at times of its own choice.
        connection.isolation_level = None
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            # In WAL mode anything less may lose what was committed, when the machine loses power.
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
            if not writes:
                cursor.execute("PRAGMA query_only = ON")
            cursor.close()
            # A statement runs in a thread, which nobody can cancel.
            turn = record.info[_TURN] = _Turn()
            connection.run_async(lambda driver: driver.set_progress_handler(turn.is_over, _STEPS))
        except BaseException:
            connection.close()  # the pool does not have it yet
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.info[_TURN].until = DEADLINE.get()
        # A writer takes the lock at once: one that asked for it after reading could only be refused.
        connection.exec_driver_sql(begin)

    return engine


def _pool(options: DatabaseOptions, connections: int) -> dict[str, Any]:
    return {
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": options.timeout_s * _CHECKOUT_SHARE,
        "pool_recycle": _RECYCLE_S,
        # Those of a burst stay idle, and are closed by the server or replaced one by one.
        "pool_use_lifo": True,
        # Parameters are what users wrote.
        "hide_parameters": True,
    }


def _password(file: Path | None) -> str | None:
    """Raises DatabaseUnavailable while the file cannot be read: a Secret may be mounted late."""
    if file is None:
        return None
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not text"
        raise DatabaseUnavailable(f"HANAX_DATABASE_PASSWORD_FILE cannot be read: {reason}") from None
