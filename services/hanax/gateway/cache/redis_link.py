"""The way to one Redis: up, or away and looked for in the background.

A command that fails takes the link down at once: who comes next is told so without waiting. So does a
write that takes too long, and the second such look-up within LATE_S: one alone is a moment in which Redis,
or this machine, had something else to do. Look-ups that were under way together count as one. So a request
waits in vain for two look-ups at most, or for as long as a write may take.

It is tried again after a pause that doubles from FIRST_PAUSE_S to LONGEST_PAUSE_S, or to
LONGEST_SLOW_PAUSE_S where Redis is there and slow, and comes up when Redis answers as fast as it has to.

A Redis that was restored from its own snapshot, or a replica that took over, may hold the collections'
tokens and answers of an earlier moment. Such a server has another run id: it is asked of every new
connection, and is part of the keys of all that tokens make valid (`epoch`).
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from hanax.core.errors import FailedPrecondition
from hanax.gateway.cache.metrics import CacheMetrics

log = structlog.get_logger()

# Nobody waits for what is kept.
_LONG_PATIENCE_S: Final = 0.5
_CONNECT_TIMEOUT_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 5.0
LONGEST_SLOW_PAUSE_S: Final = 0.5
# A look-up that is late counts for so long. A link that lasts longer has settled: the next pause is a first
# one again.
LATE_S: Final = 1.0
# Answers in a row that a link has to give in time before it comes up.
_PROOFS: Final = 3
_CONNECTIONS: Final = 8

_RUN_ID: Final = re.compile(rb"run_id:([0-9a-f]+)")
# A wait is divided, and each part begins when the event loop gets to it: a busy loop, which reads an answer
# late, does not make Redis seem slow.
_PARTS: Final = 4

Work = Callable[["Redis"], Awaitable[Any]]


class RedisAway(Exception):
    """The reason is in the log."""


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where a Redis is. patience_s: how long a request waits for it to answer one look-up."""

    url: str
    password_file: Path | None
    prefix: str
    patience_s: float


class RedisLink:
    """For one event loop."""

    def __init__(
        self, place: RedisPlace, metrics: CacheMetrics, greet: Callable[[Redis], Awaitable[None]]
    ) -> None:
        """greet: what has to be done before anything else, each time that the link comes up.

        Raises FailedPrecondition for what is no URL of a Redis.
        """
        self._place = place
        self._metrics = metrics
        self._greet = greet
        self._client: Redis | None = None
        self._looking: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._pause_s = FIRST_PAUSE_S
        self._up_since = 0.0
        self._late_at = -math.inf
        self._run_id = b""
        self.state = "connecting"
        try:
            self._open()
        except ValueError as error:
            # The URL itself may hold a password.
            raise FailedPrecondition(f"HANAX_REDIS_URL: {error}") from None

    @property
    def epoch(self) -> bytes:
        """Of the server that the link leads to."""
        return self._run_id[:8]

    @property
    def up(self) -> bool:
        return self._client is not None

    def start(self) -> None:
        self._looking = asyncio.ensure_future(self._look())

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def look_up(self, work: Work) -> Any:
        """What `work` answers, soon. Raises RedisAway, also when only this answer is late, or
        OutOfMemoryError.
        """
        return await self._do(work, self._place.patience_s, may_be_late=True)

    async def write(self, work: Work) -> Any:
        """The same, where a client waits for a write to be known to all. The link is down if it is not."""
        lately = asyncio.get_running_loop().time() - self._late_at <= LATE_S
        return await self._do(work, (1 if lately else 2) * self._place.patience_s)

    async def work_off(self, work: Work) -> Any:
        """The same, where nobody waits."""
        return await self._do(work, max(_LONG_PATIENCE_S, 2 * self._place.patience_s))

    async def _do(self, work: Work, patience_s: float, may_be_late: bool = False) -> Any:
        client = self._client
        if client is None:
            raise RedisAway
        began = asyncio.get_running_loop().time()
        try:
            return await _within(work(client), patience_s)
        except OutOfMemoryError:
            raise
        except (RedisError, OSError, TimeoutError) as error:
            if not (may_be_late and isinstance(error, TimeoutError) and self._forgives(began)):
                self._lose(client, error)
            raise RedisAway from None

    def _forgives(self, began: float) -> bool:
        """Whether a look-up that is late is the first for a while, or was under way together with it."""
        now = asyncio.get_running_loop().time()
        if now - self._late_at > LATE_S:
            self._late_at = now
            return True
        return began < self._late_at

    def _lose(self, client: Redis, error: Exception) -> None:
        if self._client is not client:
            return
        self._client = None
        if asyncio.get_running_loop().time() - self._up_since > LATE_S:
            self._pause_s = FIRST_PAUSE_S
        self._tell(error)
        closing = asyncio.ensure_future(_close(client))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._looking = asyncio.ensure_future(self._look())

    def _tell(self, error: Exception) -> None:
        reason = "slow" if isinstance(error, TimeoutError) else "gone"
        if isinstance(error, ResponseError):
            reason = "refused"
        self._metrics.went_away(reason)
        state = f"{reason}: {type(error).__name__}"
        if state != self.state:
            log.warning("the cache's Redis is away", reason=reason, error=str(error)[:200])
        self.state = state

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0) if self.state != "connecting" else 0)
            client = self._open()
            try:
                self._run_id = b""
                await _within(client.ping(), _CONNECT_TIMEOUT_S)
                for _ in range(_PROOFS):
                    await _within(client.ping(), self._place.patience_s)
                await self._greet(client)
            except (RedisError, OSError, TimeoutError) as error:
                slow = isinstance(error, TimeoutError)
                self._pause_s = min(2 * self._pause_s, LONGEST_SLOW_PAUSE_S if slow else LONGEST_PAUSE_S)
                self._tell(error)
                await _close(client)
                continue
            except BaseException:
                await _close(client)
                raise
            self._client = client
            self._up_since = asyncio.get_running_loop().time()
            self._pause_s = min(2 * self._pause_s, LONGEST_SLOW_PAUSE_S)
            self._late_at = -math.inf
            self.state = "ok"
            self._metrics.came_back()
            log.info("the cache's Redis answers")
            return

    def _open(self) -> Redis:
        file = self._place.password_file
        credentials = None if file is None else _PasswordFile(file)
        client: Redis = Redis.from_url(
            self._place.url,
            protocol=3,
            credential_provider=credentials,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=_CONNECTIONS,
            health_check_interval=0,
            redis_connect_func=self._on_connection,
        )
        return client

    async def _on_connection(self, connection: AbstractConnection) -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        told = _RUN_ID.search(bytes(await connection.read_response()))
        run_id = told.group(1) if told else b"unknown"
        if not self._run_id:
            self._run_id = run_id
        elif self._run_id != run_id:
            raise RedisConnectionError("another server has taken its place")


class _PasswordFile(CredentialProvider):
    """Read at every connection: a password that is changed is taken up."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_credentials(self) -> tuple[str]:
        return (self._path.read_text().strip(),)


async def _within(work: Awaitable[Any], seconds: float) -> Any:
    """Raises TimeoutError."""
    task: asyncio.Task[Any] = asyncio.ensure_future(work)
    try:
        for _ in range(_PARTS):
            done, _ = await asyncio.wait((task,), timeout=seconds / _PARTS)
            if done:
                return task.result()
        raise TimeoutError(f"no answer within {seconds * 1e3:g} ms")
    finally:
        task.cancel()
        task.add_done_callback(_look_at)


def _look_at(task: asyncio.Task[Any]) -> None:
    """How a command that was given up ended is of no interest, and no news for the log."""
    if not task.cancelled():
        task.exception()


async def _close(client: Redis) -> None:
    try:
        await client.aclose()
    except (RedisError, OSError):
        return
