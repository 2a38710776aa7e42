"""Answers of libraries: what was asked for as it is, without an envelope, and its revision in headers."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import InvalidArgument
from hanax.gateway.rest.etags import revision_to_match

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
_MAX_DIGITS: Final = 10


def bare(data: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(data, option=_OPTIONS), status, headers, "application/json")


def revised(data: dict[str, Any], revision: int, status: int = 200, place: str = "") -> Response:
    """With the revision as ETag. place: the path of what was made."""
    headers = {"ETag": f'"{revision}"'}
    return bare(data, status, {**headers, "Location": place} if place else headers)


def read_revision(request: Request) -> int | None:
    """What If-Match names; None: any. Raises InvalidArgument."""
    given = revision_to_match(request)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > _MAX_DIGITS:
        raise InvalidArgument(f'If-Match: expected one revision, such as "3", or *, got {given[:60]!r}')
    return int(given)
