"""Tags of metadata: what is known already is not sent again, and what has changed is not overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import Stack, running_stack


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("etags")
    with running_stack(folder, (hash_model,), database_url=f"sqlite:///{folder / 'metadata.db'}") as stack:
        stack.create("tagged")
        stack.client.put("/api/v1/aliases/other", json={"collection": "tagged"})
        yield stack


def get(stack: Stack, path: str, tag: str = "") -> httpx.Response:
    return stack.client.get(path, headers={"If-None-Match": tag} if tag else {})


@pytest.fixture(scope="module")
def paths(world: Stack) -> list[str]:
    """Of all that has a tag, and stays as it is meanwhile."""
    library = world.post("/api/v1/libraries", {"name": "tagged", "index": {"type": "brute_force"}})
    place = library.headers["Location"]
    document = world.post(f"{place}/documents", {"chunks": [{"text": "one"}, {"text": "two"}]})
    chunk = document.json()["chunk_ids"][0]
    job = world.post("/api/v1/jobs", {"kind": "bulk_embed", "items": [{"text": "a"}]})
    assert job.status_code == 202, job.text
    return [
        "/api/v1/collections",
        "/api/v1/collections/tagged",
        "/api/v1/aliases",
        "/api/v1/aliases/other",
        "/api/v1/jobs",
        job.headers["Location"],
        "/v1/models",
        "/v1/models/hash-384",
        "/api/v1/libraries",
        place,
        f"{place}/documents",
        document.headers["Location"],
        f"{document.headers['Location']}/chunks",
        f"/api/v1/chunks/{chunk}",
    ]


def test_what_is_known_is_not_sent_again(world: Stack, paths: list[str]) -> None:
    for path in paths:
        first = get(world, path)
        assert first.status_code == 200, first.text
        tag = first.headers["ETag"]
        for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            known = get(world, path, given)
            assert (known.status_code, known.content) == (304, b""), (path, given, known.text)
            assert known.headers["ETag"] == tag
            assert "X-Request-ID" in known.headers
        assert get(world, path, '"other"').status_code == 200


def test_a_change_gives_another_tag(world: Stack) -> None:
    before = get(world, "/api/v1/collections/tagged").headers["ETag"]
    world.insert("tagged", [{"vector": [1, 2, 3]}])
    after = get(world, "/api/v1/collections/tagged", before)
    assert after.status_code == 200
    # More points, and no other declaration.
    assert after.headers["ETag"].partition(".")[0] == before.partition(".")[0]
    listed = get(world, "/api/v1/collections").headers["ETag"]
    world.create("tagged-2")
    assert get(world, "/api/v1/collections", listed).status_code == 200


def test_a_collection_is_changed_where_it_is_as_it_was_read(world: Stack) -> None:
    world.create("revised")
    path = "/api/v1/collections/revised"
    tag = get(world, path).headers["ETag"]

    def change(given: str, recall: float) -> httpx.Response:
        return world.client.patch(path, json={"target_recall": recall}, headers={"If-Match": given})

    changed = change(tag, 0.9)
    assert changed.status_code == 200, changed.text
    refused = change(tag, 0.8)
    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "revision_conflict")
    assert get(world, path).json()["data"]["target_recall"] == 0.9
    # The answer has the tag of what it made; another count of points is no other revision.
    world.insert("revised", [{"vector": [1, 2, 3]}])
    again = change(f"W/{changed.headers['ETag']}", 0.7)
    assert again.status_code == 200, again.text
    assert change("*", 0.6).status_code == 200

    gone = world.client.delete(path, headers={"If-Match": again.headers["ETag"]})
    assert gone.status_code == 412
    for given in ("what", '"a", "b"', '""'):
        bad = world.client.delete(path, headers={"If-Match": given})
        assert bad.status_code in (412, 422), bad.text
    tag = get(world, path).headers["ETag"]
    assert world.client.delete(path, headers={"If-Match": tag}).status_code == 200
    # A new one of the name is another.
    world.create("revised", target_recall=0.6)
    assert world.client.delete(path, headers={"If-Match": tag}).status_code == 412


def test_a_library_and_its_parts_too(world: Stack, paths: list[str]) -> None:
    library, document = paths[9], paths[11]
    for path, change in ((library, {"metadata": {"a": 1}}), (document, {"title": "another"})):
        tag = get(world, path).headers["ETag"]
        first = world.client.patch(path, json=change, headers={"If-Match": tag})
        assert first.status_code == 200, first.text
        second = world.client.patch(path, json=change, headers={"If-Match": tag})
        assert (second.status_code, second.json()["error"]["code"]) == (412, "revision_conflict")
        assert get(world, path, tag).status_code == 200
