"""`idempotency-key` in the metadata of a call: what changes something is carried out once, as over REST.

The same call: its method and the bytes of its message, which a client that sends one again has at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call
from hanax.gateway.idempotency.keys import Claim, KeptAnswer, Keys
from hanax.gateway.idempotency.requests import (
    MAX_ANSWER_BYTES,
    begin,
    is_final,
    keep_error,
    kept_error,
    not_for_streams,
)
from hanax.rpc.errors import http_status

if TYPE_CHECKING:
    from grpc import aio

    Context = aio.ServicerContext[Any, Any]

_OK: Final = 200


class OnceOnly:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def run(
        self, call: Call, given: str, asked: tuple[bytes, bytes], work: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """What was answered before, or what `work` answers. asked: the method's name, and its message.

        Raises what `begin` and `work` raise, and what was raised before.
        """
        found = await begin(self._keys, call, given.encode("latin-1", "replace"), asked)
        if isinstance(found, Claim):
            return await _carry_out(found, work)
        call.replayed = True
        if (error := kept_error(found)) is not None:
            raise error
        return found.body


def given_key(context: Context) -> str | None:
    for name, value in context.invocation_metadata() or ():
        if name == "idempotency-key" and isinstance(value, str):
            return value
    return None


def refuse_key(context: Context) -> None:
    """Of a stream or an upload. Raises InvalidArgument."""
    if given_key(context) is not None:
        raise not_for_streams()


async def _carry_out(claim: Claim, work: Callable[[], Awaitable[bytes]]) -> bytes:
    kept: KeptAnswer | None = None
    try:
        answer = await work()
        kept = KeptAnswer(_OK, [], answer)
        return answer
    except HanaxError as error:
        if is_final(status := http_status(error)):
            kept = keep_error(status, error)
        raise
    finally:
        if kept is None or len(kept.body) > MAX_ANSWER_BYTES:
            await asyncio.shield(claim.release())
        else:
            await asyncio.shield(claim.keep(kept))
