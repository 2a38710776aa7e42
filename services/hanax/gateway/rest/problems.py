"""Problem details (RFC 9457): errors for clients that ask for `application/problem+json`.

The same error in another form, on every route: whoever does not name the type in Accept gets the form of the
route. Success is never changed.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.responses import Response
from starlette.types import Scope

from hanax.core.errors import HanaxError
from hanax.gateway.calls import Call

MEDIA_TYPE: Final = "application/problem+json"

_NAME: Final = MEDIA_TYPE.encode()
_REFUSED: Final = re.compile(rb";\s*q=0(\.0*)?\s*$")
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def wants_problem(scope: Scope) -> bool:
    """Whether Accept names the type."""
    return any(
        name == b"accept" and _NAME in value.lower() and _is_accepted(value.lower())
        for name, value in scope["headers"]
    )


def problem(scope: Scope, call: Call, error: HanaxError, status: int) -> dict[str, Any]:
    """`errors` are the faults of single fields, `details` all that the error tells programs."""
    told: dict[str, Any] = {
        "type": f"urn:hana-x-vector:error:{error.code}",
        "title": title_of(error),
        "status": status,
        "detail": error.message,
        "instance": quote(scope["path"]),
        "code": error.code,
        "request_id": call.request_id,
    }
    if (faults := error.details.get("errors")) is not None:
        told["errors"] = faults
    others = {name: value for name, value in error.details.items() if name != "errors"}
    if others:
        told["details"] = others
    return told


def problem_answer(
    scope: Scope, call: Call, error: HanaxError, status: int, headers: dict[str, str]
) -> Response:
    body = orjson.dumps(problem(scope, call, error, status), default=str)
    return Response(body, status, {**headers, "Vary": "Accept"}, MEDIA_TYPE)


def title_of(error: HanaxError) -> str:
    """The error's class in words: the same for every occurrence."""
    return _WORDS.sub(" ", type(error).__name__).capitalize()


def _is_accepted(accept: bytes) -> bool:
    return any(_NAME in part and not _REFUSED.search(part) for part in accept.split(b","))
