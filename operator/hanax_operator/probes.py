"""Whether models that run elsewhere answer. Each is tried at a pause of its own, side by side, with a bound.

An endpoint of HTTP is well when its health path answers 2xx; one of gRPC when its port takes a connection.
No token is sent: a health path that asks for one answers 401 or 403, which says that somebody is there, and
is taken for well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from hanax.core.resources.model_endpoints import Protocol
from hanax.core.resources.models import Model

_SIDE_BY_SIDE = 16
_DEADLINE_S = 5.0
# After a failure it is tried again sooner, to say soon that it is back.
_FAILED_PAUSE_S = 5.0
_GRPC_PORTS = {"grpc": 80, "grpcs": 443}


@dataclass(frozen=True)
class Health:
    """latency_s: seconds to the answer, None without one."""

    healthy: bool
    latency_s: float | None
    checked_us: int
    message: str = ""


@dataclass(frozen=True)
class _Tried:
    target: tuple[str, str]
    at_s: float
    health: Health


Ask = Callable[[Model], Awaitable[str]]


class Probes:
    """`clock_s` is monotonic, `now_us` the time of day. `pause_s`: between two tries of one endpoint."""

    def __init__(
        self, ask: Ask, clock_s: Callable[[], float], now_us: Callable[[], int], pause_s: float
    ) -> None:
        self._ask = ask
        self._clock_s = clock_s
        self._now_us = now_us
        self._pause_s = pause_s
        self._tried: dict[str, _Tried] = {}
        self._slots = asyncio.Semaphore(_SIDE_BY_SIDE)

    def health(self, model: Model) -> Health | None:
        """As it was last tried; None: not yet, with this endpoint."""
        tried = self._tried.get(model.name)
        return None if tried is None or tried.target != _target(model) else tried.health

    async def look(self, models: Iterable[Model]) -> set[str]:
        """Try the endpoints that are due. Returns the names of the models that were tried."""
        external = {
            model.name: model for model in models if model.spec.endpoint is not None and not model.deleting
        }
        for name in self._tried.keys() - external.keys():
            del self._tried[name]
        now = self._clock_s()
        due = [model for model in external.values() if self._is_due(model, now)]
        for model, health in zip(due, await asyncio.gather(*map(self._try, due)), strict=True):
            self._tried[model.name] = _Tried(_target(model), self._clock_s(), health)
        return {model.name for model in due}

    def _is_due(self, model: Model, now_s: float) -> bool:
        tried = self._tried.get(model.name)
        if tried is None or tried.target != _target(model):
            return True
        pause = self._pause_s if tried.health.healthy else min(self._pause_s, _FAILED_PAUSE_S)
        return now_s - tried.at_s >= pause

    async def _try(self, model: Model) -> Health:
        async with self._slots:
            begun = self._clock_s()
            try:
                async with asyncio.timeout(min(_DEADLINE_S, model.spec.timeout_seconds)):
                    problem = await self._ask(model)
            except TimeoutError:
                return Health(False, None, self._now_us(), f"{_url(model)} did not answer in time")
            except OSError as error:
                return Health(
                    False, None, self._now_us(), f"{_url(model)}: {str(error) or type(error).__name__}"
                )
            return Health(not problem, self._clock_s() - begun, self._now_us(), problem)


def _url(model: Model) -> str:
    return "" if model.spec.endpoint is None else model.spec.endpoint.url


def _target(model: Model) -> tuple[str, str]:
    return _url(model), model.spec.health_check_path


def network_ask(client: httpx.AsyncClient) -> Ask:
    """Returns what is wrong with the answer, empty when nothing is. Raises OSError without an answer."""

    async def ask(model: Model) -> str:
        endpoint = model.spec.endpoint
        if endpoint is None:
            return ""
        parts = urlsplit(endpoint.url)
        if endpoint.protocol is Protocol.GRPC:
            port = parts.port or _GRPC_PORTS.get(parts.scheme, 80)
            _, writer = await asyncio.open_connection(parts.hostname, port)
            writer.close()
            return ""
        address = f"{parts.scheme}://{parts.netloc}{model.spec.health_check_path}"
        try:
            async with client.stream("GET", address, headers=dict(endpoint.headers)) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from None
        if answer.is_success or status in (401, 403):
            return ""
        return f"{address} answered {status}"

    return ask
