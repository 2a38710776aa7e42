"""Who comes in: from what a request shows at the door to the caller that service objects ask.

Where no key and no token is configured, nobody is guarded: doors look at `enabled` and go on.
"""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.api_keys import MAX_KEY_LENGTH
from hanax.core.errors import Unauthenticated
from hanax.gateway.calls import Call
from hanax.gateway.guard.caller import NOBODY, Caller
from hanax.gateway.guard.key_ring import KeyRing
from hanax.gateway.guard.limits import RateLimits
from hanax.gateway.guard.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Openness:
    """metrics: whether everybody is told them. origins: whose pages may call from a browser."""

    metrics: bool
    origins: tuple[str, ...]


class Guard:
    def __init__(
        self, ring: KeyRing | None, tokens: Tokens | None, limits: RateLimits, openness: Openness
    ) -> None:
        """ring: None where nobody is guarded. tokens: None where only keys are known."""
        self.openness = openness
        self._ring = ring
        self._tokens = tokens
        self._limits = limits

    @property
    def enabled(self) -> bool:
        return self._ring is not None

    def start(self) -> None:
        if self._ring is not None:
            self._ring.start()

    async def close(self) -> None:
        if self._ring is not None:
            await self._ring.close()
        if self._tokens is not None:
            await self._tokens.close()

    async def enter(self, call: Call, credential: str) -> None:
        """Make the call that of whoever has this credential, and count it.

        Raises Unauthenticated, RateLimited, or Unavailable where it can't be known now.
        """
        call.caller = NOBODY
        caller = await self._find(credential)
        call.caller = caller
        call.actor = f"{caller.name}, {call.actor}"
        call.rate = await self._limits.take(caller)
        if call.rate is not None:
            call.rate.check()

    async def _find(self, credential: str) -> Caller:
        if not credential:
            raise Unauthenticated(NOBODY.refusal)
        caller = None
        # First, as a key that somebody has made up may look like a token.
        if self._ring is not None and len(credential) <= MAX_KEY_LENGTH:
            caller = await self._ring.find(credential)
        if caller is None and self._tokens is not None and credential.count(".") == 2:
            return await self._tokens.find(credential)
        if caller is None:
            raise Unauthenticated("the API key is unknown, has expired or is revoked")
        return caller


def read_credential(authorization: str, api_key: str) -> str:
    """From the two headers, "" where they are missing. X-API-Key counts before what a proxy may have added.

    Raises Unauthenticated for another scheme.
    """
    if api_key:
        return api_key.strip()
    scheme, _, credential = authorization.partition(" ")
    if not scheme:
        return ""
    if scheme.lower() != "bearer":
        raise Unauthenticated("Authorization: expected Bearer and a key or token")
    return credential.strip()
