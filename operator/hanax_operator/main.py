"""`python -m hanax_operator`: the operator of one release, in one namespace."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys
import time

import httpx
import structlog
from lightkube.core.async_client import AsyncClient

from hanax.core.resources.names import (
    COLLECTION_LABEL,
    COMPONENT_LABEL,
    FIELD_MANAGER,
    MODEL_LABEL,
    POOL_LABEL,
)
from hanax_operator.api import Api
from hanax_operator.apply import Applier
from hanax_operator.context import Context
from hanax_operator.declarations import Declarations
from hanax_operator.events import Events
from hanax_operator.leader import LeadershipLost
from hanax_operator.nodes import NodeStates, http_fetch
from hanax_operator.objects import EVENT, LEASE, SECRET, WATCHED_KINDS
from hanax_operator.probes import Probes, network_ask
from hanax_operator.process import Operator
from hanax_operator.queue import WorkQueue
from hanax_operator.release import Release
from hanax_operator.settings import OperatorSettings
from hanax_operator.store import Store

log = structlog.get_logger()

_INDEXED = (COLLECTION_LABEL, MODEL_LABEL, POOL_LABEL, COMPONENT_LABEL)


def _now_us() -> int:
    return time.time_ns() // 1_000


async def serve(release: Release, settings: OperatorSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set. Raises LeadershipLost, and what keeps it from going on."""
    client = AsyncClient(namespace=release.namespace, field_manager=FIELD_MANAGER)
    api = Api(client, release.namespace, (*WATCHED_KINDS, EVENT, SECRET, LEASE))
    store = Store(_INDEXED)
    clock_s = time.monotonic
    # Proxies are for the world outside; pods and probes are asked directly, or as set for this process.
    async with httpx.AsyncClient(trust_env=False) as pods, httpx.AsyncClient() as world:
        context = Context(
            release=release,
            api=api,
            store=store,
            declarations=Declarations(store),
            applier=Applier(api, store),
            events=Events(api, FIELD_MANAGER, clock_s, _now_us),
            nodes=NodeStates(http_fetch(pods), clock_s, release.probe_s),
            probes=Probes(network_ask(world), clock_s, _now_us, release.probe_s),
            queue=WorkQueue(clock_s, random.SystemRandom()),
            now_us=_now_us,
            clock_s=clock_s,
        )
        try:
            await Operator(context, settings).run(stop)
        finally:
            await client.close()


async def _serve_until_signal(release: Release, settings: OperatorSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(release, settings, stop)


def main() -> int:
    """Exit status 1 when this process must not go on: another one starts anew."""
    release, settings = Release(), OperatorSettings()
    status = 0
    _configure_logs(settings.log_level)
    log.info("operator starts", namespace=release.namespace, identity=settings.identity)
    try:
        asyncio.run(_serve_until_signal(release, settings))
    except* LeadershipLost as lost:
        log.error("leadership lost", error=str(lost))
        status = 1
    return status


def _configure_logs(level: str) -> None:
    """One JSON object per line on standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A request is no news.
    for chatty in ("httpx", "httpx2", "kopf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It warns that it does not take the signals, which is as it should be.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
