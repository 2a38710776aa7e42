"""What a client sends: one operation, by POST, or by GET where it changes nothing.

A POST is JSON and says so: what a foreign page may send without asking is refused, so that nobody's browser
acts for others. Lists of operations are refused: fields of one document do the same, and are weighed
together.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation
from starlette.requests import Request as HttpRequest

from hanax.core.errors import GraphqlInvalid, InvalidJson, UnsupportedMediaType
from hanax.gateway.bodies import decode_json, read_json
from hanax.gateway.requests import Request, parse_request

# Of GET: a server's line is not longer.
_PARAMETERS: Final = ("query", "variables", "operationName", "extensions")


class PersistedQuery(BaseModel):
    """The hash of a document, as Apollo's clients send it."""

    model_config = ConfigDict(frozen=True, strict=True)

    version: Literal[1]
    hash: Annotated[str, Field(alias="sha256Hash", pattern=r"^[0-9a-f]{64}$")]


class Extensions(BaseModel):
    """Others than these are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)

    persisted: Annotated[PersistedQuery | None, Field(alias="persistedQuery")] = None


class Asked(Request):
    """One operation. query: the document; it may be left out where its hash is known."""

    query: str | None = None
    variables: SkipValidation[dict[str, Any] | None] = None
    operation_name: Annotated[str | None, Field(alias="operationName")] = None
    extensions: Extensions | None = None

    @property
    def hash(self) -> str | None:
        if self.extensions is None or self.extensions.persisted is None:
            return None
        return self.extensions.persisted.hash


async def read_asked(request: HttpRequest) -> Asked:
    """Raises UnsupportedMediaType, InvalidJson, GraphqlInvalid, and what reading a body raises."""
    told = _of_parameters(request) if request.method == "GET" else await _of_body(request)
    asked = parse_request(Asked, told)
    if asked.variables is not None and not isinstance(asked.variables, dict):
        raise GraphqlInvalid("variables: expected an object")
    return asked


async def _of_body(request: HttpRequest) -> object:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/graphql-response+json"):
        raise UnsupportedMediaType(f"Content-Type: expected application/json, got {kind[:60] or 'none'}")
    told = await read_json(request)
    if isinstance(told, list):
        raise GraphqlInvalid("expected one operation, got a list: put them into one document")
    return told


def _of_parameters(request: HttpRequest) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in _PARAMETERS:
        text = request.query_params.get(name)
        if not text:
            continue
        if name in ("query", "operationName"):
            told[name] = text
            continue
        try:
            told[name] = decode_json(text.encode())
        except InvalidJson as error:
            raise InvalidJson(f"{name}: {error.message}") from None
    return told
