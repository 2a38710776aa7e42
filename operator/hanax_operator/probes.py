"""Whether models that run elsewhere answer: each endpoint of each is tried at a pause of its own.

They are tried side by side, with a bound, so that those that hang do not hold up the others for long. An
endpoint of HTTP is well when its health path answers 2xx; one of gRPC when its port takes a connection.
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

_SIDE_BY_SIDE = 64
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
class _Target:
    model: str
    url: str
    path: str


@dataclass(frozen=True)
class _Tried:
    at_s: float
    health: Health


Ask = Callable[[Model, str], Awaitable[str]]


class Probes:
    """`clock_s` is monotonic, `now_us` the time of day. `pause_s`: between two tries of one endpoint."""

    def __init__(
        self, ask: Ask, clock_s: Callable[[], float], now_us: Callable[[], int], pause_s: float
    ) -> None:
        self._ask = ask
        self._clock_s = clock_s
        self._now_us = now_us
        self._pause_s = pause_s
        self._tried: dict[_Target, _Tried] = {}
        self._slots = asyncio.Semaphore(_SIDE_BY_SIDE)

    def health(self, model: Model) -> dict[str, Health]:
        """Of its endpoints by URL, as they were last tried; without those that were not yet."""
        return {target.url: self._tried[target].health for target in _targets(model) if target in self._tried}

    async def look(self, models: Iterable[Model]) -> set[str]:
        """Try the endpoints that are due. Returns the names of the models of which any was tried."""
        model_of = {target: model for model in models if not model.deleting for target in _targets(model)}
        for gone in self._tried.keys() - model_of.keys():
            del self._tried[gone]
        now = self._clock_s()
        due = [target for target in model_of if self._is_due(target, now)]
        answers = await asyncio.gather(*(self._try(model_of[target], target.url) for target in due))
        for target, health in zip(due, answers, strict=True):
            self._tried[target] = _Tried(self._clock_s(), health)
        return {target.model for target in due}

    def _is_due(self, target: _Target, now_s: float) -> bool:
        tried = self._tried.get(target)
        if tried is None:
            return True
        pause = self._pause_s if tried.health.healthy else min(self._pause_s, _FAILED_PAUSE_S)
        return now_s - tried.at_s >= pause

    async def _try(self, model: Model, url: str) -> Health:
        async with self._slots:
            begun = self._clock_s()
            try:
                async with asyncio.timeout(min(_DEADLINE_S, model.spec.timeout_seconds)):
                    problem = await self._ask(model, url)
            except TimeoutError:
                return Health(False, None, self._now_us(), f"{url} did not answer in time")
            except Exception as error:
                # Whatever it is about one endpoint, the others are tried.
                why = str(error) or type(error).__name__
                return Health(False, None, self._now_us(), f"{url}: {why}")
            return Health(not problem, self._clock_s() - begun, self._now_us(), problem)


def urls_of(model: Model) -> tuple[str, ...]:
    """Every place where a model runs elsewhere, as the spec names them; none for one that runs here."""
    endpoint = model.spec.endpoint
    return () if endpoint is None else (endpoint.url, *(other.url for other in endpoint.alternatives))


def _targets(model: Model) -> list[_Target]:
    return [_Target(model.name, url, model.spec.health_check_path) for url in urls_of(model)]


def network_ask(client: httpx.AsyncClient) -> Ask:
    """Returns what is wrong with the answer of the model's endpoint at a URL, empty when nothing is.

    Raises OSError without an answer.
    """

    async def ask(model: Model, url: str) -> str:
        endpoint = model.spec.endpoint
        if endpoint is None:
            return ""
        try:
            parts = urlsplit(url)
            port = parts.port
            if endpoint.protocol is Protocol.GRPC:
                known = _GRPC_PORTS.get(parts.scheme, 80)
                _, writer = await asyncio.open_connection(parts.hostname, port or known)
                writer.close()
                return ""
            address = f"{parts.scheme}://{parts.netloc}{model.spec.health_check_path}"
            async with client.stream("GET", address, headers=dict(endpoint.headers)) as answer:
                status = answer.status_code
        # No address can be made of some that the spec's pattern lets pass, such as one with port 99999.
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from None
        if answer.is_success or status in (401, 403):
            return ""
        return f"{address} answered {status}"

    return ask
