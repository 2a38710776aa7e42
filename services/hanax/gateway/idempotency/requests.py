"""What holds for a request with an Idempotency-Key, whichever door it comes through.

Kept is an answer that would be the same again: of success, or a refusal that the request itself deserves.
After any other one (not allowed, too much at once, something is away) the request may come again with its
key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import orjson

from hanax.core.errors import HanaxError, InvalidArgument, error_from_code
from hanax.gateway.calls import Call
from hanax.gateway.idempotency.keys import Claim, KeptAnswer, Keys

# Answers to what changes something are smaller: the longest name 2,000 ids.
MAX_ANSWER_BYTES: Final = 1024 * 1024

_KEY: Final = re.compile(rb'\s*(?:"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255}))\s*')
# HTTP statuses that another try may be answered differently than.
_NOT_FINAL: Final = frozenset({401, 403, 408, 409, 425, 429, 499})


async def begin(keys: Keys, call: Call, given: bytes, asked: Sequence[bytes]) -> Claim | KeptAnswer:
    """Claim the key for this request, or what the same request was answered before.

    given: the header, or the metadata of a call. asked: all that makes it this request. What has begun is
    brought to an end, so that its answer is there for who asks again. Raises InvalidArgument for a key that
    is none, IdempotencyKeyReused and IdempotencyKeyInFlight.
    """
    name = call.caller.identity.encode() + b"\0" + _read_key(given)
    found = await keys.begin(name, b"".join(len(part).to_bytes(8, "big") + part for part in asked))
    if isinstance(found, Claim):
        call.must_end = True
    return found


def is_final(status: int) -> bool:
    """Whether the same request would be answered so again. status: of HTTP."""
    return status < 500 and status not in _NOT_FINAL


def keep_error(status: int, error: HanaxError) -> KeptAnswer:
    """In no form of an answer's: who asks again is told of it in the form that the new request asks for.

    status: of HTTP.
    """
    told = orjson.dumps([error.code, error.message, error.details], default=str)
    return KeptAnswer(status, [], told, is_error=True)


def kept_error(kept: KeptAnswer) -> HanaxError | None:
    """What `keep_error` kept; None where an answer was."""
    if not kept.is_error:
        return None
    code, message, details = orjson.loads(kept.body)
    return error_from_code(code, message, details)


def not_for_streams() -> InvalidArgument:
    return InvalidArgument("Idempotency-Key: not for streams and files, whose body is not kept")


def _read_key(given: bytes) -> bytes:
    """Raises InvalidArgument."""
    found = _KEY.fullmatch(given)
    if found is None:
        raise InvalidArgument(
            "Idempotency-Key: expected 1 to 255 visible ASCII characters, in quotes or without"
        )
    return found[1] or found[2]
