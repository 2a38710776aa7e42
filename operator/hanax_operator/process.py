"""The operator's process: every replica watches and answers the webhook, the leader acts.

What runs, and what ends it: any task that fails ends the process, and the next one begins from what the
cluster holds. No state is kept anywhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import SystemRandom

import structlog
from aiohttp import web

from hanax.core.errors import HanaxError
from hanax_operator.admission import Admission
from hanax_operator.context import Context
from hanax_operator.handlers.watching import Ears
from hanax_operator.health import serve_health
from hanax_operator.leader import Leadership
from hanax_operator.lists import Lists
from hanax_operator.metrics import LEADER, QUEUED, RECONCILES, SECONDS
from hanax_operator.objects import COLLECTION, MODEL, STATEFUL_SET, Manifest, ObjectKey
from hanax_operator.reconcile.collections import CollectionReconciler
from hanax_operator.reconcile.models import ModelReconciler
from hanax_operator.reconcile.pool import PoolReconciler
from hanax_operator.reconcile.routing import Publisher
from hanax_operator.settings import OperatorSettings
from hanax_operator.status_patch import StatusWriter
from hanax_operator.surroundings import look_around
from hanax_operator.wakes import Wakes, shard_addresses
from hanax_operator.watch import watch
from hanax_operator.webhook import Webhook

log = structlog.get_logger()

# How often pods and endpoints that are due are looked for; asking has its own pauses.
_TICK_S = 0.25
_SURROUNDINGS_PAUSE_S = 15.0
# A reconcile is a few requests; one that hangs must not hold its worker for good.
_RECONCILE_DEADLINE_S = 120.0


class Operator:
    def __init__(self, context: Context, settings: OperatorSettings) -> None:
        self._context = context
        self._settings = settings
        rng = SystemRandom()
        self._publisher = Publisher(context, rng)
        self._wakes = Wakes(context, self._publisher)
        self._lists = Lists(context.api, context.store, self._wakes.changed)
        statuses = StatusWriter(context.api, context.store, context.clock_s)
        collections = CollectionReconciler(context, self._publisher, statuses)
        models = ModelReconciler(context, statuses)
        self._reconcilers: dict[str, Callable[[str], Awaitable[float | None]]] = {
            COLLECTION.kind: collections.reconcile,
            MODEL.kind: models.reconcile,
            STATEFUL_SET.kind: PoolReconciler(context).reconcile,
        }
        self._is_synced = False
        self._leadership = Leadership(
            context.api, settings.lease_name, settings.identity, settings.lease_s, context.clock_s
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises LeadershipLost, and what ends a task that must not end."""
        settings = self._settings
        runners = [
            await serve_health(settings.host, settings.metrics_port, lambda: True, lambda: self._is_synced)
        ]
        try:
            await _until(stop, self._run(runners))
        finally:
            LEADER.set(0)
            for runner in runners:
                await runner.cleanup()

    async def _run(self, runners: list[web.AppRunner]) -> None:
        await self._lists.all()
        self._is_synced = True
        async with asyncio.TaskGroup() as group:
            ears = Ears(self._hear, self._lists.watched_anew)
            group.create_task(watch(self._context.release.namespace, ears))
            group.create_task(self._lists.follow())
            if self._settings.webhook_cert_dir is not None:
                context = self._context
                admission = Admission(
                    context.api, context.store, context.declarations, self._publisher.declared_aliases
                )
                webhook = Webhook(admission, self._settings.webhook_cert_dir)
                runners.append(await webhook.start(self._settings.host, self._settings.webhook_port))
                group.create_task(webhook.follow_renewals())
            # What went before a watch stood would be taken for there, and waited for in vain.
            await self._lists.complete()
            await self._leadership.acquire()
            group.create_task(self._lead())

    async def _lead(self) -> None:
        LEADER.set(1)
        # Before the first reconcile, all is known again that it goes by: else a new leader would write that
        # collections are not ready, and a moment later that they are.
        for look in (self._look_at_nodes, self._look_at_endpoints, self._look_around, self._publish):
            await _attempt(look)
        self._wakes.all()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._leadership.hold())
                group.create_task(self._publisher.run())
                group.create_task(_repeat(self._look_at_nodes, _TICK_S))
                group.create_task(_repeat(self._look_at_endpoints, _TICK_S))
                group.create_task(_repeat(self._look_around, _SURROUNDINGS_PAUSE_S))
                group.create_task(self._resync())
                for _ in range(self._settings.workers):
                    group.create_task(self._work())
        except asyncio.CancelledError:
            # Nothing of ours runs any more.
            await self._leadership.release()
            raise

    def _hear(self, event: str, obj: Manifest) -> None:
        store = self._context.store
        if store.drop(obj) if event == "DELETED" else store.put(obj):
            self._wakes.changed(obj)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._context.release.resync_s)
            await self._lists.all()
            self._wakes.all()

    async def _work(self) -> None:
        queue = self._context.queue
        while True:
            key = await queue.next()
            QUEUED.set(len(queue))
            begun = time.perf_counter()
            result = "done"
            try:
                async with asyncio.timeout(_RECONCILE_DEADLINE_S):
                    queue.done(key, await self._reconcilers[key.kind](key.name))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                # A defect in one collection must not stop the others. It is told, and tried again.
                result = "failed"
                _tell_failure(key, error, queue.failed(key))
            RECONCILES.labels(key.kind, result).inc()
            SECONDS.labels(key.kind).observe(time.perf_counter() - begun)

    async def _look_at_nodes(self) -> None:
        changes = await self._context.nodes.look(
            shard_addresses(self._context), self._publisher.table.revision
        )
        self._wakes.nodes_changed(changes)
        if self._context.nodes.latest_revision() > self._publisher.table.revision:
            self._publisher.request()

    async def _look_at_endpoints(self) -> None:
        for name in await self._context.probes.look(self._context.declarations.models.readable()):
            self._context.queue.add(ObjectKey(MODEL.api_version, MODEL.kind, name))

    async def _look_around(self) -> None:
        before = self._context.surroundings
        self._context.surroundings = await look_around(
            self._context.api, self._context.declarations.models.readable()
        )
        if self._context.surroundings != before:
            self._wakes.all()

    async def _publish(self) -> None:
        await self._publisher.publish()


async def _attempt(look: Callable[[], Awaitable[None]]) -> None:
    try:
        await look()
    except Exception as error:
        defect = None if isinstance(error, HanaxError) else error
        log.warning("could not look", what=look.__name__, error=str(error), exc_info=defect)


async def _repeat(look: Callable[[], Awaitable[None]], pause_s: float) -> None:
    while True:
        await _attempt(look)
        await asyncio.sleep(pause_s)


def _tell_failure(key: ObjectKey, error: Exception, pause_s: float) -> None:
    if isinstance(error, HanaxError | TimeoutError):
        log.warning("reconcile failed", object=str(key), error=str(error), again_in_s=round(pause_s, 2))
    else:
        log.error("reconcile failed", object=str(key), exc_info=error, again_in_s=round(pause_s, 2))


async def _until(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Run `work` until it ends or `stop` is set."""
    running = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        running.cancel()
        await asyncio.wait((running,))
    if not running.cancelled() and (error := running.exception()) is not None and not stop.is_set():
        raise error
