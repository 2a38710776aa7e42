"""Every error there is, as a REST answer."""

from __future__ import annotations

import itertools

import orjson
import pytest
from starlette.types import Scope

from hanax.core.errors import HanaxError, UpstreamFailed, error_types
from hanax.gateway.calls import Call
from hanax.gateway.rest.answers import refuse
from hanax.rpc.errors import STATUS_BY_CODE


def _scope(path: str) -> Scope:
    call = Call("an-id", itertools.count().__next__)
    return {"type": "http", "path": path, "headers": [], "state": {"call": call}}


def _code(kind: type[HanaxError]) -> str:
    return kind.code


ERRORS: list[type[HanaxError]] = sorted(error_types(), key=_code)


@pytest.mark.parametrize("kind", ERRORS, ids=_code)
def test_an_error_has_its_status_and_its_names(kind: type[HanaxError]) -> None:
    response = refuse(_scope("/api/v1/x"), kind("expected better", index=3), {})
    assert response.status_code == STATUS_BY_CODE[kind.code].http
    body = orjson.loads(response.body)
    assert body == {
        "success": False,
        "data": None,
        "error": {
            "code": kind.code,
            "type": kind.__name__,
            "message": "expected better",
            "path": "/api/v1/x",
            "details": {"index": 3},
        },
        "request_id": "an-id",
        "processing_time_ms": 1000.0,
        "protocol": "rest",
        "cached": False,
    }
    assert ("retry-after" in response.headers) == (response.status_code in (429, 503))


def test_when_to_come_again_is_told_wherever_it_is_known() -> None:
    failed = UpstreamFailed("no endpoint takes requests now", retry_after_s=29.2)
    assert refuse(_scope("/"), failed, {}).headers["retry-after"] == "30"


def test_details_of_any_kind_can_be_written() -> None:
    response = refuse(_scope("/"), HanaxError("x", where=ValueError("y")), {"Allow": "GET"})
    assert orjson.loads(response.body)["error"]["details"] == {"where": "y"}
    assert response.headers["allow"] == "GET"
