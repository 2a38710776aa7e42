"""Lists, the same everywhere: limit, cursor, next_cursor, and a Link to the next page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import Stack, running_stack

COUNT = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("pages")
    database = f"sqlite:///{folder / 'metadata.db'}"
    with running_stack(folder, (hash_model,), database_url=database, request_timeout_s=60) as stack:
        for number in range(COUNT):
            stack.create(f"page-{number}", shards=1)
            stack.client.put(f"/api/v1/aliases/alias-{number}", json={"collection": "page-0"})
            job = {"kind": "bulk_embed", "items": [{"text": "a"}]}
            assert stack.post("/api/v1/jobs", job).status_code == 202
            library = stack.post("/api/v1/libraries", {"name": f"library {number}"})
            assert library.status_code == 201, library.text
        for _ in range(COUNT):
            stack.post(f"{library.headers['Location']}/documents", {"title": "a"})
        chunks = [{"text": f"chunk {number}"} for number in range(COUNT)]
        stack.post(f"{library.headers['Location']}/documents", {"chunks": chunks})
        yield stack


def data(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body["data"] if "success" in body else body


def walk(stack: Stack, path: str, field: str, limit: int) -> list[Any]:
    """All entries, by the links alone."""
    found: list[Any] = []
    following = f"{path}?limit={limit}"
    while following:
        answer = stack.client.get(following)
        page = data(answer)
        assert len(page[field]) <= limit
        found += page[field]
        if page["next_cursor"] is None:
            assert "Link" not in answer.headers
            return found
        link = answer.links["next"]["url"]
        assert httpx.URL(link).params["cursor"] == page["next_cursor"]
        assert httpx.URL(link).params["limit"] == str(limit)
        following = link
    raise AssertionError


def library_of(stack: Stack) -> str:
    (library,) = data(stack.client.get("/api/v1/libraries?limit=1"))["libraries"]
    return f"/api/v1/libraries/{library['id']}"


def document_of(stack: Stack) -> str:
    documents = data(stack.client.get(f"{library_of(stack)}/documents"))["documents"]
    return next(f"/api/v1/documents/{one['id']}" for one in documents if one["chunk_count"])


LISTS = ["collections", "aliases", "jobs", "libraries", "documents", "chunks", "operations"]


@pytest.mark.parametrize("field", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 1_000])
def test_a_list_is_read_page_by_page(world: Stack, field: str, limit: int) -> None:
    path = f"/api/v1/{field}"
    if field == "documents":
        path = f"{library_of(world)}/documents"
    elif field == "chunks":
        path, limit = f"{document_of(world)}/chunks", min(limit, 500)
    if field == "operations":
        # What is noted while it is read comes before the first page.
        path += "?operation=create_collection"
        first = data(world.client.get(f"{path}&limit={limit}"))
        assert {"operations", "next_cursor"} <= first.keys()
        return
    whole = data(world.client.get(path))[field]
    assert len(whole) >= COUNT
    assert walk(world, path, field, limit) == whole


@pytest.mark.parametrize("path", ["collections", "aliases", "jobs", "libraries", "operations"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_limit"),
        ("limit=1001", "invalid_limit"),
        ("limit=many", "invalid_limit"),
        ("cursor=%FF%00", "invalid_cursor"),
        ("cursor=what", "invalid_cursor"),
        ("cursor=" + "A" * 600, "invalid_cursor"),
    ],
)
def test_what_is_no_page_is_refused(world: Stack, path: str, query: str, code: str) -> None:
    answer = world.client.get(f"/api/v1/{path}?{query}")
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["error"]["code"] in (code, "job_not_found")


def test_what_comes_and_goes_moves_no_other(world: Stack) -> None:
    first = data(world.client.get("/api/v1/aliases?limit=2"))
    names = [one["alias"] for one in first["aliases"]]
    assert names == ["alias-0", "alias-1"]
    world.client.delete("/api/v1/aliases/alias-0")
    world.client.put("/api/v1/aliases/alias-00", json={"collection": "page-0"})
    second = data(world.client.get(f"/api/v1/aliases?limit=2&cursor={first['next_cursor']}"))
    assert [one["alias"] for one in second["aliases"]] == ["alias-2", "alias-3"]
    world.client.put("/api/v1/aliases/alias-0", json={"collection": "page-0"})
    world.client.delete("/api/v1/aliases/alias-00")
