"""The gateway's REST API as the commands use it: patient with a gateway that is busy or restarting."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson
from pydantic import SecretStr

import hanax
from hanax.core.errors import HanaxError, Internal, InvalidArgument, Unavailable, error_from_code

# Longer than a shard or the embedder takes to be restarted.
_PATIENCE_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 10.0
_DEFAULT_PAUSE_S: Final = 1.0
# Longer than the gateway's own deadline for a batch of texts.
_REQUEST_TIMEOUT_S: Final = 90.0

_LAST_PORT: Final = 65_535
_COME_BACK: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Access:
    """Where a gateway is, and how it is asked. ca_file: certificates to trust in place of the usual ones.

    timeout_s: of one request; None: longer than the gateway takes for any.
    """

    url: str
    api_key: SecretStr | None = None
    ca_file: Path | None = None
    timeout_s: float | None = None


class Api:
    """Close it, or use it as an asynchronous context."""

    def __init__(self, access: Access | str, patience_s: float = _PATIENCE_S) -> None:
        """access: or the gateway's address alone.

        patience_s: how long a gateway that does not answer, or is busy, is asked again. Raises
        InvalidArgument for an address, a key or a file of certificates that can be none.
        """
        told = Access(access) if isinstance(access, str) else access
        self._patience_s = patience_s
        self._timeout_s = told.timeout_s or _REQUEST_TIMEOUT_S
        self._url = told.url
        try:
            url = httpx.URL(told.url)
            if not url.host or not 0 < (url.port or 80) <= _LAST_PORT:
                raise httpx.InvalidURL("expected http://HOST:PORT")
            self._http = httpx.AsyncClient(
                base_url=url,
                headers=_headers(told.api_key),
                timeout=self._timeout_s,
                verify=_trusted(told.ca_file),
                # Proxies of the environment are for other machines.
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise InvalidArgument(f"{told.url!r} is no address of a gateway: {error}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> Any:
        """Return `data` of the answer. Raises the error that it names, or Unavailable."""
        return await self._call("GET", path, None)

    async def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """Return `data` of the answer. Raises the error that it names, or Unavailable.

        The request must be one that may be sent twice. In `body`, arrays of numpy are lists.
        """
        return await self._call("POST", path, body, headers)

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        """As `post`."""
        return await self._call("PUT", path, body)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        """As `post`."""
        return await self._call("PATCH", path, body)

    async def delete(self, path: str) -> Any:
        """As `post`."""
        return await self._call("DELETE", path, None)

    async def text(self, path: str) -> str:
        """The answer as it is, of a path that has no envelope. Raises Unavailable; asks once."""
        try:
            answer = await self._http.get(path)
        except httpx.TransportError as failure:
            raise self._silent(failure) from None
        if answer.status_code != httpx.codes.OK:
            raise Unavailable(f"{answer.url} answered {answer.status_code}")
        return answer.text

    def _silent(self, failure: httpx.TransportError) -> Unavailable:
        if isinstance(failure, httpx.TimeoutException):
            return Unavailable(f"{self._url} did not answer within {self._timeout_s:g} s")
        return Unavailable(f"{self._url} does not answer: {str(failure) or type(failure).__name__}")

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> Any:
        content = None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        give_up_at = time.monotonic() + self._patience_s
        while True:
            pause = _DEFAULT_PAUSE_S
            try:
                answer = await self._http.request(method, path, content=content, headers=headers)
            except httpx.TransportError as failure:
                error: HanaxError = self._silent(failure)
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
        envelope = orjson.loads(answer.content)
        if envelope["success"] or {"code", "message", "details"} <= set(envelope["error"]):
            return dict(envelope)
    except (ValueError, KeyError, TypeError):
        pass
    raise Internal(f"{answer.url} answered {answer.status_code} without the envelope of this API")


def _headers(key: SecretStr | None) -> dict[str, str]:
    headers = {"User-Agent": f"hana-x-vector/{hanax.__version__}", "Content-Type": "application/json"}
    if key is not None:
        secret = key.get_secret_value()
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise InvalidArgument("the API key has characters that no key has")
        headers["Authorization"] = f"Bearer {secret}"
    return headers


def _trusted(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file.expanduser())
    except OSError as error:
        raise InvalidArgument(f"the certificates {ca_file} can't be read: {error}") from None


def _pause_of(answer: httpx.Response) -> float:
    """Seconds that the server asks for, within reason."""
    try:
        asked = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return _DEFAULT_PAUSE_S
    return min(max(asked, 0.0), _LONGEST_PAUSE_S)
