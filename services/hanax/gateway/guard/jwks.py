"""The keys that sign tokens: a JWKS from a URL or a file, kept, and fetched again with moderation.

It is fetched when it is older than FRESH_S, while those whose key is known go on, and for a key id that is
not in it; but never sooner than APART_S after the fetch before: whoever sends tokens with made-up key ids
causes no more than that. While the server does not answer, the keys that are there stand for STALE_S.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from hanax.core.errors import FailedPrecondition, HanaxError, Unavailable

log = structlog.get_logger()

FRESH_S: Final = 600.0
STALE_S: Final = 86_400.0
APART_S: Final = 10.0
_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 1024 * 1024
_MAX_KEYS: Final = 100


class SigningKeys:
    def __init__(self, place: str, ca_file: Path | None, clock: Callable[[], float]) -> None:
        """place: https:// or http:// URL, or a path. ca_file: certificates beside the public ones."""
        self._place = place
        self._ca_file = ca_file
        self._clock = clock
        self._key_by_id: dict[str, PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._alone = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PyJWK | None:
        """None: no such key. Raises Unavailable where the keys can't be had."""
        age_s = self._clock() - self._fetched_at
        found = self._key_by_id.get(key_id)
        if found is not None and age_s <= STALE_S:
            if age_s > FRESH_S:
                self._refresh()
            return found
        await self._fetch_again()
        if self._clock() - self._fetched_at > STALE_S:
            raise Unavailable("the keys that tokens are signed with can't be had")
        return self._key_by_id.get(key_id)

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    def _refresh(self) -> None:
        is_due = self._clock() - self._tried_at >= APART_S
        if is_due and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._fetch_again(), name="keys of tokens")

    async def _fetch_again(self) -> None:
        """Unless that was tried a moment ago. What is there stays where it fails."""
        async with self._alone:
            if self._clock() - self._tried_at < APART_S:
                return
            self._tried_at = self._clock()
            try:
                self._key_by_id = _keys_of(await self._read())
                self._fetched_at = self._clock()
            except (HanaxError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                log.warning("the keys of tokens are not read", place=self._place, error=str(error)[:200])

    async def _read(self) -> bytes:
        if not self._place.startswith(("http://", "https://")):
            return await asyncio.to_thread(_read_file, Path(self._place))
        verify: Any = True if self._ca_file is None else _trust(self._ca_file)
        async with (
            asyncio.timeout(_TIMEOUT_S),
            httpx.AsyncClient(timeout=_TIMEOUT_S, verify=verify) as client,
            client.stream("GET", self._place) as answer,
        ):
            answer.raise_for_status()
            raw = bytearray()
            async for part in answer.aiter_bytes():
                raw += part
                if len(raw) > _MAX_BYTES:
                    raise FailedPrecondition(f"more than {_MAX_BYTES} bytes")
            return bytes(raw)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES)


def _trust(ca_file: Path) -> Any:
    import ssl

    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


def _keys_of(raw: bytes) -> dict[str, PyJWK]:
    """Those that sign, by their ids; one without an id under "". Raises FailedPrecondition."""
    told = orjson.loads(raw)
    keys = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        raise FailedPrecondition(f"expected a JWKS of at most {_MAX_KEYS} keys")
    found: dict[str, PyJWK] = {}
    for key in keys:
        if not isinstance(key, dict) or key.get("use", "sig") != "sig" or key.get("kty") == "oct":
            # A symmetric key that is published is no secret.
            continue
        try:
            found[str(key.get("kid", ""))] = PyJWK(key)
        except PyJWTError as error:
            log.info("a key of tokens is left out", error=str(error)[:200])
    if not found:
        raise FailedPrecondition("there is no key that signs")
    return found
