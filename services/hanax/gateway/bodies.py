"""Request bodies: read whole within a limit and a time, decoded by orjson."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request

from hanax.core.errors import Cancelled, DeadlineExceeded, InvalidJson
from hanax.gateway.requests import parse_request

Model = TypeVar("Model", bound=BaseModel)

# 32 MiB over a slow link; a client that stalls does not hold its place for longer.
BODY_TIMEOUT_S: Final = 60.0

_NOT_FINITE: Final = re.compile(r"-?(NaN|Infinity|[0-9])")


async def read_request(request: Request, model: type[Model]) -> Model:
    """The body as a request model. Raises InvalidJson, or the error of the first field that is wrong."""
    return parse_request(model, await read_json(request))


async def read_json(request: Request) -> object:
    """The decoded body. Raises InvalidJson, BodyTooLarge (from the edge) or DeadlineExceeded.

    Numbers may be NaN or infinite: each field refuses them by name, where JSON could only say
    "byte 4711".
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.body()
    except TimeoutError:
        raise DeadlineExceeded(f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None
    except ClientDisconnect:
        raise Cancelled("the client went away before its body had arrived") from None
    return decode_json(raw)


def decode_json(raw: bytes) -> object:
    """Decode JSON, and the NaN and Infinity that some writers take for JSON. Raises InvalidJson."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        refusal = InvalidJson(f"the body is not JSON: {error}" if raw else "the body is empty; expected JSON")
        if not _NOT_FINITE.match(error.doc, error.pos):
            raise refusal from None
    try:
        data: object = json.loads(raw, parse_int=_read_integer)
        # A lone surrogate is no text: it could not be stored or answered.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise refusal from None
    return data


def _read_integer(digits: str) -> int | float:
    """As orjson does: what 64 bits can't hold becomes a float."""
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(digits)
