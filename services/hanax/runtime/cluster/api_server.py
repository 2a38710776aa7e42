"""The way to the Kubernetes API, and what its errors mean.

Address, certificates and credentials are lightkube's to find: those of the pod's service account, else of the
file that KUBECONFIG names. A token that was renewed is read anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import orjson
from lightkube import Client, KubeConfig, SingleConfig
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.core.exceptions import ConfigError

from hanax.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    HanaxError,
    Internal,
    InvalidArgument,
    NotFound,
    Unavailable,
)

# The API server answers within milliseconds or is not well; who waits has a deadline of seconds.
TIMEOUT_S: Final = 5.0

# Statuses that tell of the request. Others tell of a server that is not well, or of our own defects.
_REFUSALS: Final = frozenset({400, 413, 422})

# How the API server introduces what an admission webhook says: its own status is of the webhook's choice.
_WEBHOOK: Final = "admission webhook "


@dataclass(frozen=True)
class ApiServer:
    """Where it is, and the namespace that this process works in."""

    config: SingleConfig
    namespace: str

    @classmethod
    def find(cls, namespace: str) -> ApiServer:
        """namespace: empty for that of the service account. Raises FailedPrecondition without a cluster."""
        try:
            config = KubeConfig.from_env().get()
        except ConfigError as error:
            raise FailedPrecondition(f"no way to the Kubernetes API: {error}") from None
        if config is None:
            raise FailedPrecondition("no way to the Kubernetes API: no context is chosen")
        return cls(config, namespace or config.namespace)

    def client(self) -> Client:
        """For calls from any thread."""
        return Client(self.config, namespace=self.namespace, timeout=httpx2.Timeout(TIMEOUT_S))

    def http(self) -> httpx2.AsyncClient:
        """For one event loop."""
        return AsyncClient(self.config, ConnectionParams(timeout=httpx2.Timeout(TIMEOUT_S)))


@contextmanager
def translating(what: str) -> Iterator[None]:
    """Raise our own errors for those of the API and of the way to it. what: was to be done."""
    try:
        yield
    except httpx2.HTTPStatusError as failure:
        raise translate(failure, what) from None
    except (httpx2.HTTPError, ConfigError) as failure:
        reason = str(failure) or type(failure).__name__
        raise Unavailable(f"{what}: the Kubernetes API can't be reached: {reason}") from None


def translate(failure: httpx2.HTTPStatusError, what: str) -> HanaxError:
    """What a refusal of the API server means."""
    status = failure.response.status_code
    message = _message(failure)
    told = f"{what}: {message}"
    if message.startswith(_WEBHOOK):
        return InvalidArgument(message.partition(" denied the request: ")[2] or message)
    if status in _REFUSALS:
        return InvalidArgument(told)
    if status == 404:
        return NotFound(told)
    if status == 409:
        return AlreadyExists(told) if _body(failure).get("reason") == "AlreadyExists" else Unavailable(told)
    if status in (401, 403):
        return Internal(f"{what}: the Kubernetes API does not allow it: {message}")
    return Unavailable(told)


def is_conflict(failure: httpx2.HTTPStatusError) -> bool:
    """Whether the object has changed since it was read: to be read and changed again."""
    return failure.response.status_code == 409 and _body(failure).get("reason") == "Conflict"


def _message(failure: httpx2.HTTPStatusError) -> str:
    message = _body(failure).get("message")
    if isinstance(message, str) and message:
        return message
    return f"status {failure.response.status_code}"


def _body(failure: httpx2.HTTPStatusError) -> dict[str, Any]:
    """The Status object that comes with an error; empty where a proxy answered in its place."""
    try:
        body = orjson.loads(failure.response.content)
    except (orjson.JSONDecodeError, httpx2.StreamError):
        return {}
    return body if isinstance(body, dict) else {}
