"""Errors as data, in messages: the same as a failed call tells."""

from __future__ import annotations

import orjson

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.errors import HanaxError
from hanax.gateway.exchange_headers import retry_after_s


def write_failure(error: HanaxError) -> pb.Failure:
    return pb.Failure(
        code=error.code,
        message=error.message,
        details_json=orjson.dumps(error.details, default=str) if error.details else b"",
        retry_after_s=retry_after_s(error),
    )
