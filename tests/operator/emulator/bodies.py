"""Bodies of requests and answers, and what kind of change a body asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import yaml
from aiohttp import web

from tests.operator.emulator import answers, merging
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.store import Obj


async def body_of(request: web.Request) -> Any:
    raw = await request.read()
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise answers.bad_request(f"the body of the request can't be read: {error}") from error


def answer_of(document: Mapping[str, Any], code: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=code, content_type="application/json")


def edit_of(media: str, kind: Kind, patch: Any) -> Callable[[Obj], Obj]:
    if media == "application/json-patch+json":
        return lambda old: merging.json_patch(old, patch)
    if media == "application/merge-patch+json":
        return lambda old: dict(merging.merge_patch(old, patch))
    if media == "application/strategic-merge-patch+json" and not kind.custom:
        return lambda old: dict(merging.strategic_merge_patch(old, patch, kind.schema))
    raise answers.unsupported_media_type(media)


def check_kind(kind: Kind, body: Any) -> None:
    if not isinstance(body, dict):
        raise answers.bad_request("the body of the request is no object")
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if body.get(field, wanted) != wanted:
            raise answers.bad_request(
                f"the {field} in the data ({body[field]}) does not match the expected {field} ({wanted})"
            )
