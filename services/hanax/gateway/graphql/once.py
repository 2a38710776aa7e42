"""Mutations with an Idempotency-Key: carried out once, and answered again as they were.

GraphQL answers 200 whatever became of its fields, so what is kept is told by their errors: an answer is kept
where each of them would be the same again.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call
from hanax.gateway.graphql.errors import PATH, show_error
from hanax.gateway.graphql.execution import Operations, Prepared, Refused
from hanax.gateway.graphql.streams import encode
from hanax.gateway.idempotency.keys import Claim, KeptAnswer, Keys
from hanax.gateway.idempotency.requests import MAX_ANSWER_BYTES, begin, is_final, not_for_streams

# Their answers hold a secret, which is kept nowhere.
SECRETS: Final = ("createKey", "rotateKey")


class OnceOnly:
    """For one event loop."""

    def __init__(self, operations: Operations, keys: Keys) -> None:
        self._operations = operations
        self._keys = keys

    async def run(self, call: Call, prepared: Prepared, given: str) -> KeptAnswer | dict[str, Any]:
        """What was answered before, or the result of a mutation. given: the header. Raises Refused."""
        try:
            found = await begin(self._keys, call, given.encode("latin-1", "replace"), _asked(prepared))
        except HanaxError as error:
            raise _refused(error) from None
        if isinstance(found, KeptAnswer):
            return found
        return await self._carry_out(call, prepared, found)

    async def _carry_out(self, call: Call, prepared: Prepared, claim: Claim) -> dict[str, Any]:
        kept: KeptAnswer | None = None
        try:
            result = await self._operations.run(call, prepared)
            if _may_be_kept(prepared, result):
                body = encode(result)
                kept = KeptAnswer(status_of(result), [], body) if len(body) <= MAX_ANSWER_BYTES else None
            return result
        finally:
            await asyncio.shield(claim.release() if kept is None else claim.keep(kept))


def status_of(result: dict[str, Any]) -> int:
    """Where nothing was run, as a variable was wrong, there is no data."""
    status: int = 200 if "data" in result else result["errors"][0]["extensions"]["http_status"]
    return status


def refused_stream() -> Refused:
    return _refused(not_for_streams())


def _refused(error: HanaxError) -> Refused:
    shown = show_error(error)
    return Refused([shown], shown["extensions"]["http_status"])


def _asked(prepared: Prepared) -> tuple[bytes, ...]:
    """All that makes it this request, whether its document came or the hash of it."""
    variables = json.dumps(prepared.asked.variables or {}, sort_keys=True)
    return PATH.encode(), prepared.document.hash.encode(), (prepared.name or "").encode(), variables.encode()


def _may_be_kept(prepared: Prepared, result: dict[str, Any]) -> bool:
    if any(field in prepared.document.text for field in SECRETS):
        return False
    return all(is_final(error["extensions"]["http_status"]) for error in result.get("errors", ()))
