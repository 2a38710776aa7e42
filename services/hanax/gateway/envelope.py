"""The one form of every answer, success or error, whatever the protocol."""

from __future__ import annotations

from typing import Any, Final

import orjson

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call

# Vectors are numpy rows; instants are shown in UTC with a Z.
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z


def wrap_data(call: Call, protocol: str, data: object) -> bytes:
    """The envelope of a success. `data` may hold orjson.Fragment, numpy arrays and datetimes."""
    return _render(call, protocol, True, data, None)


def wrap_error(call: Call, protocol: str, error: HanaxError, path: str) -> bytes:
    """The envelope of a failure. `path` is what was asked for."""
    described = {
        "code": error.code,
        "type": type(error).__name__,
        "message": error.message,
        "path": path,
        "details": error.details,
    }
    return _render(call, protocol, False, None, described)


def _render(call: Call, protocol: str, success: bool, data: object, error: dict[str, Any] | None) -> bytes:
    return orjson.dumps(
        {
            "success": success,
            "data": data,
            "error": error,
            "request_id": call.request_id,
            "processing_time_ms": round(call.elapsed_s() * 1e3, 3),
            "protocol": protocol,
            "cached": call.cached_age_s is not None,
        },
        option=_OPTIONS,
        default=str,
    )
