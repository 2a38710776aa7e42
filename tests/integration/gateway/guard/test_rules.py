"""Every REST route, gRPC method and GraphQL field, asked without a key, with too little, with another
collection's key, and with what it needs. One that has no line in `rules` fails here.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from graphql import build_schema

from hanax.core.settings import GatewaySettings
from hanax.gateway.rest.app import build_app
from hanax.gateway.services import Services
from hanax.rpc.errors import error_from_call
from hanax.runtime.catalog_folder import CatalogFolder
from tests.grpc_services import METHODS
from tests.integration.gateway.guard.conftest import Guarded
from tests.integration.gateway.guard.rules import (
    ANY,
    GRAPHQL,
    GRPC,
    OPEN,
    OTHER,
    OWN,
    PATH_VALUES,
    QUERIES,
    REST,
    Rule,
)

SCHEMA: Final = Path(__file__).parents[4] / "docs" / "reference" / "schema.graphql"
REFUSED: Final = {"unauthenticated", "permission_denied"}
# What answers as much as is to be told of.
WEAKER: Final = {"read": "write", "write": "read", "admin": "write"}


@dataclass
class Keys:
    """By scope: over `guarded-*` and a library, over others, and over all collections."""

    own: dict[str, str]
    other: dict[str, str]
    all: dict[str, str]


@pytest.fixture(scope="module")
def keys(guard: Guarded) -> Keys:
    def made(*on: str) -> dict[str, str]:
        return {
            scope: guard.make({"scopes": [scope], "collections": list(on)})["key"]
            for scope in ("read", "write", "admin")
        }

    return Keys(made(*OWN), made(*OTHER), made("*"))


def enough(rule: Rule, keys: Keys) -> str:
    scope = "read" if rule.scope in (OPEN, ANY) else rule.scope
    return (keys.all if rule.over == "all" else keys.own)[scope]


def too_little(rule: Rule, keys: Keys) -> Iterator[tuple[str, str]]:
    """Keys that must not do, with what is wrong with them."""
    if rule.scope in (OPEN, ANY):
        return
    weaker = keys.all if rule.over == "all" else keys.own
    yield "another scope", weaker[WEAKER[rule.scope]]
    if rule.over == "own":
        yield "another collection", keys.other["admin"]
    if rule.over == "all":
        yield "some collections", keys.own["admin"]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Of the application, those too that its documentation leaves out."""
    folder = tmp_path_factory.mktemp("routes")
    settings = GatewaySettings(database_url=f"sqlite:///{folder}/metadata.db")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    services = Services(settings, CatalogFolder(folder), time.monotonic, lambda: 0)
    app = build_app(services, lifespan)
    found = set()
    for route in iter_route_contexts(app.routes):
        for method in set(route.methods or ()) - {"HEAD", "OPTIONS"}:
            found.add(f"{method} {route.path}")
    return found


def test_every_route_has_a_rule(routes: set[str]) -> None:
    # Of workers on one machine; by its address, which the entrance's own test is about.
    unruled = routes - set(REST) - {"GET /metrics/worker", "GET /docs/oauth2-redirect"}
    assert not {route for route in unruled if "/graphiql/" not in route and "static" not in route}
    assert not set(REST) - routes - {"GET /graphiql"}


@pytest.mark.parametrize("route", REST)
def test_routes(guard: Guarded, keys: Keys, route: str) -> None:
    rule = REST[route]
    method, path = route.split(" ")
    place = re.sub(r"\{([a-z_:]+)\}", lambda found: PATH_VALUES[found[1]], path)
    if route.startswith("GET /v1/models"):
        place = place.replace("guarded-1", "absent")

    def asked(key: str | None) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.request(
            method,
            f"{guard.stack.gateway.url}{place}",
            headers=headers,
            json=rule.body,
            params=QUERIES.get(route),
            timeout=30.0,
        )

    def code(answer: httpx.Response) -> str:
        if answer.is_success or "json" not in answer.headers["content-type"]:
            return str(answer.status_code)
        error = answer.json().get("error") or {}
        return str(error.get("code"))

    nobody = asked(None)
    assert (nobody.status_code == 401) == (rule.scope != OPEN), nobody.text
    for what, key in too_little(rule, keys):
        answer = asked(key)
        assert answer.status_code == 403, f"{what}: {answer.text}"
    answer = asked(enough(rule, keys))
    assert answer.status_code not in (401, 403), answer.text
    assert code(answer) not in REFUSED
    assert answer.status_code < 500 or code(answer) == "unavailable", answer.text


def test_every_method_has_a_rule() -> None:
    assert METHODS.keys() == GRPC.keys()


@pytest.mark.parametrize("name", GRPC)
def test_methods(guard: Guarded, keys: Keys, name: str) -> None:
    rule = GRPC[name]
    method = METHODS[name]
    question = ParseDict(rule.body, GetMessageClass(method.input_type)()).SerializeToString()
    answers = GetMessageClass(method.output_type)

    def code(channel: grpc.Channel, key: str | None) -> str:
        call: Any = channel.stream_stream(
            f"/{method.containing_service.full_name}/{name}",
            request_serializer=None,
            response_deserializer=answers.FromString,
        )
        metadata = () if key is None else (("authorization", f"Bearer {key}"),)
        try:
            for answer in call(iter([question]), metadata=metadata, timeout=30.0):
                failure = getattr(answer, "failure", None)
                return str(getattr(failure, "code", "")) or "ok"
        except grpc.RpcError as error:
            return error_from_call(error).code
        return "ok"

    with grpc.insecure_channel(guard.stack.gateway.grpc_address) as channel:
        assert code(channel, None) == "unauthenticated"
        for what, key in too_little(rule, keys):
            assert code(channel, key) == "permission_denied", what
        told = code(channel, enough(rule, keys))
        assert told not in REFUSED | {"internal"}


def test_every_field_has_a_rule() -> None:
    schema = build_schema(SCHEMA.read_text())
    kinds = (schema.query_type, schema.mutation_type, schema.subscription_type)
    fields = {f"{kind.name}.{name}" for kind in kinds if kind is not None for name in kind.fields}
    assert fields == set(GRAPHQL)


@pytest.mark.parametrize("name", GRAPHQL)
def test_fields(guard: Guarded, keys: Keys, name: str) -> None:
    rule = GRAPHQL[name]
    kind = name.split(".", maxsplit=1)[0].lower()

    def asked(key: str | None) -> tuple[int, set[str]]:
        headers: dict[str, Any] = {} if key is None else {"X-API-Key": key}
        if kind == "subscription":
            headers["Accept"] = "text/event-stream"
        body = {"query": f"{kind} {{ {rule.body} }}"}
        answer = httpx.post(f"{guard.stack.gateway.url}/graphql", headers=headers, json=body, timeout=30.0)
        found = set(re.findall(r'"code":\s*"([a-z_]+)"', answer.text))
        return answer.status_code, found

    assert asked(None) == (401, {"unauthenticated"})
    for what, key in too_little(rule, keys):
        assert asked(key) == (200, {"permission_denied"}), what
    status, codes = asked(enough(rule, keys))
    assert status == 200, codes
    assert not codes & (REFUSED | {"internal"}), codes


def test_lists_hold_what_a_caller_may_see(guard: Guarded) -> None:
    own, other = guard.collection(), guard.collection()
    for alias, collection in (("guarded-own", own), ("guarded-other", other)):
        answer = guard.client.put(f"/api/v1/aliases/{alias}", json={"collection": collection})
        assert answer.status_code == 200, answer.text
    asking = guard.caller(guard.key("read", on=own))
    collections = asking.data(asking.client.get("/api/v1/collections"))["collections"]
    assert [one["name"] for one in collections] == [own]
    assert asking.data(asking.client.get("/api/v1/aliases"))["aliases"] == [
        {"alias": "guarded-own", "collection": own}
    ]
    seen = asking.client.get("/api/v1/aliases/guarded-other")
    assert seen.json()["error"]["code"] == "alias_not_found"
    asking.data(asking.post("/api/v1/vectors/count", {"collection": "guarded-own"}))


def test_a_refusal_does_not_tell_what_there_is(guard: Guarded) -> None:
    """Of a collection that is there, of one that is not, and of an alias: word for word the same."""
    there = guard.collection()
    guard.client.put("/api/v1/aliases/guarded-alias", json={"collection": there})
    asking = guard.caller(guard.key("admin", on="mine-*"))
    told = set()
    for name in (there, "absent", "guarded-alias"):
        for path, body in (
            ("/api/v1/vectors/search", {"vector": [1, 0, 0]}),
            ("/api/v1/vectors/delete", {"ids": [1]}),
        ):
            answer = asking.post(path, {"collection": name, **body})
            assert answer.status_code == 403
            error = orjson.loads(answer.content.replace(name.encode(), b"*"))["error"]
            told.add((path, orjson.dumps(error)))
        described = asking.client.get(f"/api/v1/collections/{name}")
        told.add(("describe", described.content.replace(name.encode(), b"*")[:120]))
    assert len(told) == 3, told
