"""Every route does what the OpenAPI document says, whatever is sent: schemathesis against a real gateway.

Requests that the document allows, and such that it does not, half of them for things that are there: no
answer is a 5xx, and each has a status, a content type, headers and a form that the document tells.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.control import SkipTest
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.conftest import hash_model
from tests.integration.gateway.stack import Stack, running_shards

__all__ = ["hash_model"]

DOCUMENT: Final[dict[str, Any]] = orjson.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_bytes()
)
OPERATIONS: Final = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]

# Of what is there: its events have no end, and what is deleted would not be there for the others.
LEFT_ALONE: Final = {("/api/v1/jobs/{job_id}/events", "get")}

EXAMPLES: Final = int(os.environ.get("HANAX_TEST_EXAMPLES", "4"))
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# What they do has tests of its own; here they would keep most requests from what is asked.
HEADERS_LEFT_OUT: Final = frozenset({"Idempotency-Key", "If-Match", "If-None-Match"})
# Their content is no JSON, and has tests of its own.
TYPES_LEFT_OUT: Final = ("application/x-ndjson", "multipart/form-data")


@dataclass(frozen=True)
class World:
    """known: what is there, by the names of parameters and fields."""

    stack: Stack
    schemas: dict[GenerationMode, Any]
    known: dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("conformance")
    database = f"sqlite:///{folder / 'metadata.db'}"
    with running_shards(folder, (hash_model,), database_url=database) as stack:
        yield World(stack, {mode: _schema(stack, mode) for mode in GenerationMode}, _known(stack))


def _known(stack: Stack) -> dict[str, Any]:
    stack.create("docs", embedding_model="hash-384", dimension=384)
    points = [{"id": n, "text": f"text {n}", "metadata": {"n": n}} for n in range(5)]
    stack.insert("docs", points)
    library = stack.post("/api/v1/libraries", {"name": "handbook", "index": {"type": "brute_force"}}).json()
    document = stack.post(
        f"/api/v1/libraries/{library['id']}/documents", {"title": "T", "chunks": [{"text": "one"}]}
    ).json()
    job = stack.data(
        stack.post("/api/v1/jobs", {"kind": "bulk_embed", "collection": "docs", "items": [{"text": "a"}]})
    )
    return {
        "name": "docs",
        "collection": "docs",
        "id": "3",
        "model": "hash-384",
        "library_id": library["id"],
        "document_id": document["id"],
        "chunk_id": document["chunk_ids"][0],
        "job_id": job["job_id"],
    }


def _schema(stack: Stack, mode: GenerationMode) -> Any:
    document = copy.deepcopy(DOCUMENT)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [
                one for one in operation.get("parameters", ()) if one["name"] not in HEADERS_LEFT_OUT
            ]
            for kind in TYPES_LEFT_OUT:
                operation.get("requestBody", {}).get("content", {}).pop(kind, None)
    generation = GenerationConfig(modes=[mode], allow_x00=True, with_security_parameters=False)
    project = ProjectConfig(base_url=stack.gateway.url, generation=generation)
    return schemathesis.openapi.from_dict(
        document, config=SchemathesisConfig(projects=ProjectsConfig(default=project))
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_are_as_the_document_says(world: World, path: str, method: str, mode: GenerationMode) -> None:
    operation = world.schemas[mode][path][method]
    session = requests.Session()

    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any, is_known: bool) -> None:
        if is_known and (path, method) not in LEFT_ALONE and method != "delete":
            _put_known(case, world.known)
        answer = case.call(session=session, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    # Of some routes there is nothing that the document does not allow.
    with session, suppress(SkipTest):
        ask()


def _put_known(case: Any, known: dict[str, Any]) -> None:
    for name in case.path_parameters or {}:
        if name in known:
            case.path_parameters[name] = known[name]
    if isinstance(case.body, dict):
        for name in ("collection", "model"):
            if name in case.body and isinstance(case.body[name], str):
                case.body[name] = known[name]
