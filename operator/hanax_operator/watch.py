"""kopf in a thread with an event loop of its own.

In the loop of the operator it would take the signals for itself, and end tasks that are not its own. What it
hears is handed over to the operator's loop, in order.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import kopf
import structlog

from hanax_operator.handlers.watching import Ears, registry_of, settings_of
from hanax_operator.objects import Kind, Manifest

log = structlog.get_logger()

# How long an operator that ends waits for its watches to end.
_END_S = 3.0


async def watch(namespace: str, ears: Ears) -> None:
    """Tell `ears` in this loop what happens, until cancelled. Raises RuntimeError when kopf ends."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def hear(event: str, obj: Manifest) -> None:
        loop.call_soon_threadsafe(ears.hear, event, obj)

    def watched_anew(kind: Kind) -> None:
        loop.call_soon_threadsafe(ears.watched_anew, kind)

    thread = _Thread(namespace, Ears(hear, watched_anew))

    def run() -> None:
        try:
            asyncio.run(thread.run())
        except Exception as error:
            log.error("the watch failed", error=str(error))
        finally:
            # The operator's loop may have ended first.
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

    # A daemon: a watch that does not end must not keep the process from ending.
    threading.Thread(target=run, name="watch", daemon=True).start()
    try:
        await ended.wait()
    finally:
        thread.stop()
        # It closes its connections.
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await ended.wait()
    raise RuntimeError("the watch of the cluster ended")


class _Thread:
    """What runs in the thread. `stop` may be called from any."""

    def __init__(self, namespace: str, ears: Ears) -> None:
        self._namespace = namespace
        self._ears = ears
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_ending = False
        # Not a flag of threads: kopf would wait for it in a thread that can't be cancelled, and so never end
        # when one of its watches does.
        self._stop = asyncio.Event()

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._is_ending:
            return
        await kopf.operator(
            registry=registry_of(self._ears),
            settings=settings_of(),
            namespaces=[self._namespace],
            standalone=True,
            stop_flag=self._stop,
        )

    def stop(self) -> None:
        self._is_ending = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
