"""Messages through Redis Streams: `Dispatch` for all processors that share a Redis.

Apart, as the task library and the client of Redis cost a third of a start that has no use for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from redis.credentials import CredentialProvider
from taskiq.acks import AcknowledgeType
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from hanax.batch_processor.dispatch import Handle

log = structlog.get_logger()

_TASK: Final = "hanax.batch.work"
_GROUP: Final = "batch-processors"
# Those that are read stay in a stream; more of them are of no use.
_KEPT_MESSAGES: Final = 1_000
# Longer than a task usually takes.
_TAKEN_OVER_S: Final = 600.0
_LOCK_S: Final = 10.0
_BLOCK_S: Final = 2.0
_ANSWER_S: Final = 10.0
_CONNECT_S: Final = 2.0
_SEND_S: Final = 3.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """stream: the key. consumer: another one in each processor. at_once: messages handled at once."""

    url: str
    password_file: Path | None
    stream: str
    consumer: str
    at_once: int


class RedisStreams:
    """It may be away: then nobody is told."""

    def __init__(self, place: RedisPlace) -> None:
        # It tells of each message.
        logging.getLogger("taskiq").setLevel(logging.ERROR)
        options: dict[str, Any] = {}
        if place.password_file is not None:
            options["credential_provider"] = _PasswordFile(place.password_file)
        self._at_once = place.at_once
        self._broker = RedisStreamBroker(
            place.url,
            queue_name=place.stream,
            consumer_group_name=_GROUP,
            consumer_name=place.consumer,
            # From the first message on, also those sent before the group was made.
            consumer_id="0",
            xread_block=round(_BLOCK_S * 1e3),
            # One at a time: a message that is read and waits here is none that another processor has.
            xread_count=1,
            maxlen=_KEPT_MESSAGES,
            idle_timeout=round(_TAKEN_OVER_S * 1e3),
            unacknowledged_lock_timeout=_LOCK_S,
            max_connection_pool_size=place.at_once + 8,
            socket_timeout=_ANSWER_S,
            socket_connect_timeout=_CONNECT_S,
            **options,
        )
        self._handle: Handle = _nothing

        async def work(task_id: str) -> None:
            await self._handle()

        self._task = self._broker.register_task(work, _TASK)

    async def announce(self, task_ids: Sequence[str]) -> int:
        told = 0
        try:
            async with asyncio.timeout(_SEND_S):
                for task_id in task_ids:
                    await self._task.kiq(task_id)
                    told += 1
        except Exception as error:
            # Whatever the broker or its client raises: the sweep goes on without them.
            log.warning("Redis is not told", error=_words(error))
        return told

    async def listen(self, handle: Handle, stopping: asyncio.Event) -> None:
        self._handle = handle
        self._broker.is_worker_process = True
        pause_s = _FIRST_PAUSE_S
        while not stopping.is_set():
            receiver = Receiver(
                self._broker,
                max_async_tasks=self._at_once,
                ack_type=AcknowledgeType.WHEN_EXECUTED,
            )
            began = asyncio.get_running_loop().time()
            try:
                await receiver.listen(stopping)
            except Exception as error:
                log.warning("Redis is not heard", error=_words(error))
            if asyncio.get_running_loop().time() - began > 2 * _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({stop}, timeout=pause_s)
            stop.cancel()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        try:
            await self._broker.shutdown()
        except Exception as error:
            log.warning("Redis is not left well", error=_words(error))


class _PasswordFile(CredentialProvider):
    """Read at every connection: a password that is changed is taken up."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_credentials(self) -> tuple[str]:
        return (self._path.read_text().strip(),)


async def _nothing() -> None:
    pass


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
