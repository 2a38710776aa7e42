"""Tags of what is read of metadata (RFC 9110, 8.8): a client that has it already is answered 304.

A tag is `"revision.hash"`, or `"hash"` of what has no revision. The hash tells one answer from another; the
revision, of what was declared alone, is what If-Match compares: counts in an answer change all the time. Time
and id of a request, which the envelope tells, are left out of it.
"""

from __future__ import annotations

import re
from typing import Final

import orjson
import xxhash
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import InvalidArgument
from hanax.gateway.rest.answers import answer

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
# The revision that `_tag` wrote, also without its quotes, or any.
_MATCH: Final = re.compile(r'\s*(?:(?:W/)?"([0-9a-z]{1,32})(?:\.[0-9a-f]{16})?"|([0-9a-z]{1,32})|(\*))\s*')


def tagged(
    request: Request, data: object, revision: str = "", headers: dict[str, str] | None = None
) -> Response:
    """`data` in the envelope with its tag, or 304."""
    raw, told = _encoded(data, revision, headers)
    if _is_known(request, told["ETag"]):
        return Response(status_code=304, headers=told)
    return answer(request, orjson.Fragment(raw), headers=told)


def tagged_bare(
    request: Request, data: object, revision: str = "", headers: dict[str, str] | None = None
) -> Response:
    """The same without the envelope."""
    raw, told = _encoded(data, revision, headers)
    if _is_known(request, told["ETag"]):
        return Response(status_code=304, headers=told)
    return Response(raw, 200, told, "application/json")


def revision_to_match(request: Request) -> str | None:
    """What If-Match names; None: any. Raises InvalidArgument."""
    given = request.headers.get("if-match")
    if given is None:
        return None
    found = _MATCH.fullmatch(given)
    if found is None:
        raise InvalidArgument(f"If-Match: expected one ETag as an answer has it, or *, got {given[:60]!r}")
    return found[1] or found[2]


def _encoded(data: object, revision: str, headers: dict[str, str] | None) -> tuple[bytes, dict[str, str]]:
    """As JSON, and the headers with its tag."""
    raw = orjson.dumps(data, option=_OPTIONS, default=str)
    return raw, {**(headers or {}), "ETag": _tag(raw, revision)}


def _tag(raw: bytes, revision: str) -> str:
    digest = xxhash.xxh3_64_hexdigest(raw)
    return f'"{revision}.{digest}"' if revision else f'"{digest}"'


def _is_known(request: Request, tag: str) -> bool:
    """Whether If-None-Match names it: weakly, as RFC 9110 has it there."""
    given = request.headers.get("if-none-match")
    if given is None or request.method != "GET":
        return False
    return given.strip() == "*" or tag.strip('"') in _TAG.findall(given)
