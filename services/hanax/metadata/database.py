"""The metadata database as the other rooms see it: transactions, with retries and an end to every wait.

Transactions are serialisable on both databases: what a transaction reads has not changed when it
commits, or it is run again. On PostgreSQL that is its SERIALIZABLE (Ports & Grittner, "Serializable
Snapshot Isolation in PostgreSQL", VLDB 2012), on SQLite one writer at a time. So what holds in a test
on a file holds on a server, and no caller has to think of locks; but for those who order themselves by them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Executable, Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from hanax.core.errors import DeadlineExceeded, HanaxError
from hanax.metadata.engines import DEADLINE, DatabaseOptions, Dialect, Place, open_postgresql, open_sqlite
from hanax.metadata.failures import Kind, error_of, kind_of

__all__ = ["SCHEMA_TABLE", "Database", "DatabaseHealth", "DatabaseOptions", "Transaction", "schema_of"]

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

# How often a transaction is run again. A connection may have been lost while it lay idle; that the next
# one is lost too says that the server is away. A conflict is short, and the time limit ends it as well.
_AGAIN: Final = {Kind.CONFLICT: 20, Kind.LOST: 1}
_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.25

_CLOSE_S: Final = 5.0

# Where Alembic notes which schema a database has: `alembic_version` may be another application's.
SCHEMA_TABLE: Final = "hanax_schema"


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """latency_s: of one question; None where there was no answer. revision: of the schema; None: none yet.

    pool_in_use, pool_size: connections that transactions hold now, and that there may be. error: why it does
    not answer, or why it is not used yet.
    """

    reachable: bool
    dialect: Dialect
    latency_s: float | None
    revision: str | None
    pool_in_use: int
    pool_size: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One that has ended. status: ok or an error's code. seconds, retries: of all its attempts."""

    kind: Literal["run", "read"]
    status: str
    seconds: float
    retries: int


@dataclass(frozen=True, slots=True)
class _Way:
    """Into the database. single: of one statement, which is its own transaction."""

    engine: AsyncEngine
    kind: Literal["run", "read"]
    single: bool = False


class Database:
    """Opens a connection when it first needs one. Of one event loop."""

    def __init__(self, options: DatabaseOptions) -> None:
        """Raises InvalidArgument for a URL of another kind."""
        self.options = options
        self._place = Place.parse(options.url)
        self._refusal: HanaxError | None = None
        self._observer: Callable[[Transaction], None] | None = None
        path = self._place.path
        if path is None:
            engine = open_postgresql(options, options.pool_size, options.timeout_s)
            self._engines = [engine]
            self._writer = _Way(engine.execution_options(isolation_level="SERIALIZABLE"), "run")
            self._locker = _Way(engine.execution_options(isolation_level="READ COMMITTED"), "run")
            pictures = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._reader = _Way(pictures, "read")
            self._asker = _Way(engine, "read", single=True)
            self._putter = _Way(engine, "run", single=True)
        else:
            writer = open_sqlite(options, path, writes=True, connections=1)
            reader = open_sqlite(options, path, writes=False, connections=options.pool_size)
            self._engines = [writer, reader]
            self._writer = self._locker = self._putter = _Way(writer, "run")
            self._reader = _Way(reader, "read")
            self._asker = _Way(reader, "read", single=True)

    @property
    def dialect(self) -> Dialect:
        return self._place.dialect

    @property
    def name(self) -> str:
        """Where it is, for messages: without user and password."""
        return self._place.name

    def refuse(self, error: HanaxError | None) -> None:
        """Answer every `run` and `read` with `error` from now on; None: do what they ask again."""
        self._refusal = error

    def observe(self, observer: Callable[[Transaction], None]) -> None:
        """Tell `observer` of every transaction that ends."""
        self._observer = observer

    async def run(self, work: Work[T]) -> T:
        """`work` in one transaction, which is committed, and durable, on return.

        It is run again as a whole after a conflict with another transaction, and once after a
        connection that was lost before the commit: it must have no other effects. All attempts end within
        the database's time limit. Who looks for a unique value, finds none and inserts it has a conflict
        with who did the same, no IntegrityError.

        HanaxErrors and IntegrityErrors of `work` roll back and pass. Raises DatabaseUnavailable,
        DeadlineExceeded (after either the change may have been stored or not, when it was lost during
        the commit), StorageFull, DataLoss; Internal for a statement that the database refuses.
        """
        return await self._attempts(self._writer, work)

    async def run_by_locks(self, work: Work[T]) -> T:
        """As `run`, but each statement sees what is committed by then (READ COMMITTED on PostgreSQL): for who
        locks rows before anything is read that they guard, and never has to be run again then.
        """
        return await self._attempts(self._locker, work)

    async def read(self, work: Work[T]) -> T:
        """`work` on one unchanging picture; it can change nothing. Errors and retries as of `run`."""
        return await self._attempts(self._reader, work)

    async def ask(
        self, question: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The rows of one statement that only reads: it sees one unchanging picture. Errors and retries as of
        `run`. It is one round trip to PostgreSQL; `read` has two more, for BEGIN and COMMIT.
        """

        async def work(connection: AsyncConnection) -> Sequence[Row[*tuple[Any, ...]]]:
            return (await connection.execute(question, parameters)).all()

        return await self._attempts(self._asker, work)

    async def put(self, statement: Executable, parameters: Sequence[Mapping[str, Any]]) -> None:
        """One statement that writes, for each of the parameters: all or nothing, durable on return.

        Errors and retries as of `run`, but it is not sent again once it may have been taken.
        """

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement, parameters)

        await self._attempts(self._putter, work)

    async def health(self) -> DatabaseHealth:
        """Never raises. The question is asked even while `run` and `read` are refused."""
        began = time.perf_counter()
        revision, error, latency_s = None, None, None
        try:
            async with asyncio.timeout(self.options.timeout_s), self._reader.engine.connect() as connection:
                began = time.perf_counter()
                await connection.execute(text("SELECT 1"))
                latency_s = time.perf_counter() - began
                revision = await schema_of(connection)
        except Exception as failure:
            told = error_of(failure, self.name)
            error = told.message if isinstance(told, HanaxError) else type(told).__name__
        reachable = error is None
        if reachable and self._refusal is not None:
            error = self._refusal.message
        in_use, size = self.pool_use()
        return DatabaseHealth(reachable, self.dialect, latency_s, revision, in_use, size, error)

    def pool_use(self) -> tuple[int, int]:
        """Connections that are in use now, and that there may be."""
        pools = [engine.pool for engine in self._engines]
        queues = [pool for pool in pools if isinstance(pool, QueuePool)]
        return sum(pool.checkedout() for pool in queues), sum(pool.size() for pool in queues)

    async def alone(self, work: Work[T], patience_s: float) -> T:
        """`work` in one transaction on a connection of its own, which may take its time; run once.

        Read committed on PostgreSQL: it sees what was committed while it waited for a lock. Errors as of
        `run`; asked even while `run` and `read` are refused.
        """
        path = self._place.path
        if path is None:
            engine = open_postgresql(self.options, 1, patience_s)
            way = _Way(engine.execution_options(isolation_level="READ COMMITTED"), "run")
        else:
            engine = open_sqlite(replace(self.options, timeout_s=patience_s), path, True, 1)
            way = _Way(engine, "run")
        try:
            async with _within(patience_s):
                return await _Attempt().run(way, work)
        except HanaxError:
            raise
        except Exception as failure:
            raise error_of(failure, self.name) from None
        finally:
            await _dispose(engine)

    async def close(self) -> None:
        """Close all connections; one that is in use now when it is given back."""
        for engine in self._engines:
            await _dispose(engine)

    async def _attempts(self, way: _Way, work: Work[T]) -> T:
        refusal = self._refusal
        if refusal is not None:
            raise type(refusal)(refusal.message, **refusal.details)
        began = time.perf_counter()
        seen = dict.fromkeys(Kind, 0)
        status = "ok"
        try:
            async with _within(self.options.timeout_s):
                return await self._until_done(way, work, seen)
        except TimeoutError:
            status = DeadlineExceeded.code
            raise DeadlineExceeded(
                f"the metadata database at {self.name} did not answer within {self.options.timeout_s:g} s"
            ) from None
        except BaseException as error:
            status = error.code if isinstance(error, HanaxError) else "internal"
            raise
        finally:
            if self._observer is not None:
                failures = sum(seen.values())
                retries = failures if status == "ok" else max(0, failures - 1)
                self._observer(Transaction(way.kind, status, time.perf_counter() - began, retries))

    async def _until_done(self, way: _Way, work: Work[T], seen: dict[Kind, int]) -> T:
        """seen: how many attempts failed so, counted here."""
        while True:
            attempt = _Attempt()
            try:
                return await attempt.run(way, work)
            except (HanaxError, TimeoutError):
                # The time is over: of the whole call, or of one command, which has no less.
                raise
            except Exception as failure:
                kind = kind_of(failure)
                seen[kind] += 1
                # What was only read has nothing to lose at its end.
                in_doubt = way.kind == "run" and attempt.commits and kind is Kind.LOST
                if seen[kind] > _AGAIN.get(kind, 0) or in_doubt:
                    # A defect of ours is to be found: its cause stays with it, for the log.
                    raise self._told(failure, in_doubt) from (failure if kind is Kind.DEFECT else None)
            await asyncio.sleep(_pause_s(sum(seen.values())))

    def _told(self, failure: Exception, in_doubt: bool) -> Exception:
        told = error_of(failure, self.name)
        if in_doubt and isinstance(told, HanaxError):
            return type(told)(f"{told.message}; the change may have been stored or not", **told.details)
        return told


class _Attempt:
    """One transaction. `commits`: it was told to commit, and nobody knows yet whether it did."""

    def __init__(self) -> None:
        self.commits = False

    async def run(self, way: _Way, work: Work[T]) -> T:
        if way.single:
            async with way.engine.connect() as connection:
                self.commits = True
                return await work(connection)
        async with way.engine.connect() as connection, connection.begin() as transaction:
            found = await work(connection)
            self.commits = True
            await transaction.commit()
            return found


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError past them. What runs in a thread is told of them, too."""
    token = DEADLINE.set(time.monotonic() + seconds)
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        DEADLINE.reset(token)


async def _dispose(engine: AsyncEngine) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await engine.dispose()


def _pause_s(attempts: int) -> float:
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempts)
    return random.uniform(0, longest)


async def schema_of(connection: AsyncConnection) -> str | None:
    """The revision of the schema; None where there is none yet."""
    names = await connection.run_sync(lambda sync: sync.dialect.has_table(sync, SCHEMA_TABLE))
    if not names:
        return None
    found = await connection.execute(text(f"SELECT max(version_num) FROM {SCHEMA_TABLE}"))
    revision: str | None = found.scalar_one()
    return revision
