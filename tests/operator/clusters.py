"""The cluster that tests run against: given by a kubeconfig, made from binaries, or the emulator.

It lives in a thread with an event loop of its own, together with the stand-ins for what it lacks:
a node always, the controllers where there are none.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web

from hanax.core.resources.crds import crd_documents
from tests.operator.api import Api, Refused
from tests.operator.control_plane import (
    CONTROLLERS,
    has_controllers,
    start_control_plane,
    start_controllers,
)
from tests.operator.emulator.server import ApiServer
from tests.operator.kubeconfigs import Access, access
from tests.operator.standins.faults import Faults
from tests.operator.standins.provisioner import PROVISIONER
from tests.operator.standins.run import StandIns
from tests.operator.waiting import until

T = TypeVar("T")

START_S: Final = 180.0
GROWING: Final = "growing"
FIXED: Final = "fixed"


@dataclass
class Cluster:
    """`kind` is kubeconfig, envtest or emulator; `server` is there for the emulator alone."""

    kind: str
    access: Access
    standins: StandIns
    faults: Faults
    server: ApiServer | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def look_again(self) -> None:
        """Let faults that were set or taken away be noticed."""
        self._loop.call_soon_threadsafe(self.standins.look_again)

    async def inside(self, call: Callable[[], T]) -> T:
        """Call something in the cluster's own thread."""

        async def run() -> T:
            return call()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self._loop))


class ClusterThread:
    """Starts a cluster, and stops it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._stack = AsyncExitStack()

    def start(self) -> Cluster:
        self._thread.start()
        return self._run(self._start()).result(START_S)

    def stop(self) -> None:
        self._run(self._stack.aclose()).result(START_S)
        self._run(_settle()).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _start(self) -> Cluster:
        kind, found, server = await self._find()
        api = await self._stack.enter_async_context(Api(found, "standin"))
        await install(api)
        binaries = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
        if kind == "envtest" and (binaries / CONTROLLERS).exists():
            await self._stack.enter_async_context(start_controllers(binaries, self._folder, found))
        controllers = kind == "emulator" or not await has_controllers(api)
        faults = Faults()
        standins = StandIns(api, controllers=controllers, faults=faults)
        await standins.start()
        self._stack.push_async_callback(standins.stop)
        return Cluster(kind, found, standins, faults, server, self._loop)

    async def _find(self) -> tuple[str, Access, ApiServer | None]:
        if given := os.environ.get("HANAX_TEST_KUBECONFIG"):
            return "kubeconfig", access(Path(given)), None
        if binaries := os.environ.get("KUBEBUILDER_ASSETS"):
            plane = start_control_plane(Path(binaries), self._folder)
            return "envtest", await self._stack.enter_async_context(plane), None
        server = ApiServer()
        runner, url = await server.start()
        self._stack.push_async_callback(_stop(runner))
        return "emulator", Access(url, {}, None), server


def _stop(runner: web.AppRunner) -> Callable[[], Awaitable[None]]:
    return runner.cleanup


async def _settle() -> None:
    """Let what is still closing end."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def install(api: Api) -> None:
    """The custom resources, and a class of volumes that may grow and one that may not."""
    for document in crd_documents():
        await api.apply(document, manager="tests")
    for name, grows in ((GROWING, True), (FIXED, False)):
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": PROVISIONER,
            "allowVolumeExpansion": grows,
        }
        await api.apply(body, manager="tests")

    async def served() -> bool:
        try:
            await api.list("VectorCollection")
            await api.list("ExternalModel")
        except Refused:
            return False
        return True

    await until(served, "the custom resources are served")
