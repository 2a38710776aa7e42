"""The gateway's REST API as the commands use it: patient with a gateway that is busy or restarting."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Final, Self

import httpx

from hanax.core.errors import HanaxError, Internal, Unavailable, error_from_code

# Longer than a shard or the embedder takes to be restarted.
_PATIENCE_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 10.0
_DEFAULT_PAUSE_S: Final = 1.0
# Longer than the gateway's own deadline for a batch of texts.
_REQUEST_TIMEOUT_S: Final = 90.0

_COME_BACK: Final = (429, 503)


class Api:
    """Close it, or use it as an asynchronous context."""

    def __init__(self, url: str, patience_s: float = _PATIENCE_S) -> None:
        """patience_s: how long a gateway that does not answer, or is busy, is asked again."""
        self._patience_s = patience_s
        # Proxies of the environment are for other machines.
        self._http = httpx.AsyncClient(base_url=url, timeout=_REQUEST_TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> Any:
        """Return `data` of the answer. Raises the error that it names, or Unavailable."""
        return await self._call("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return `data` of the answer. Raises the error that it names, or Unavailable.

        The request must be one that may be sent twice.
        """
        return await self._call("POST", path, body)

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        """As `post`."""
        return await self._call("PUT", path, body)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        """As `post`."""
        return await self._call("PATCH", path, body)

    async def delete(self, path: str) -> Any:
        """As `post`."""
        return await self._call("DELETE", path, None)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        give_up_at = time.monotonic() + self._patience_s
        while True:
            pause = _DEFAULT_PAUSE_S
            try:
                answer = await self._http.request(method, path, json=body)
            except httpx.TransportError as failure:
                error: HanaxError = Unavailable(f"{self._http.base_url} does not answer: {failure!r}")
            else:
                envelope = _read(answer)
                if envelope["success"]:
                    return envelope["data"]
                told = envelope["error"]
                error = error_from_code(told["code"], told["message"], told["details"])
                if answer.status_code not in _COME_BACK:
                    raise error
                pause = _pause_of(answer)
            if time.monotonic() + pause > give_up_at:
                raise error
            await asyncio.sleep(pause)


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        envelope = answer.json()
        if envelope["success"] or {"code", "message", "details"} <= set(envelope["error"]):
            return dict(envelope)
    except (ValueError, KeyError, TypeError):
        pass
    raise Internal(f"{answer.url} answered {answer.status_code} without the envelope of this API")


def _pause_of(answer: httpx.Response) -> float:
    """Seconds that the server asks for, within reason."""
    try:
        asked = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return _DEFAULT_PAUSE_S
    return min(max(asked, 0.0), _LONGEST_PAUSE_S)
