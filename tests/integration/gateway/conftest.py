"""One stack for the tests that leave it as they found it; the hash embedder beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import (
    Stack,
    running_shards,
    running_stack,
)
from tests.integration.hash_embedder import running_hash_embedder


@pytest.fixture(scope="package")
def hash_model() -> Iterator[ModelRoute]:
    with running_hash_embedder() as route:
        yield route


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), (hash_model,)) as running:
        yield running


@pytest.fixture(scope="package")
def shards(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    with running_shards(tmp_path_factory.mktemp("shards"), (hash_model,)) as running:
        yield running


@pytest.fixture(params=["memory", "shards"])
def either(request: pytest.FixtureRequest) -> Stack:
    """The same gateway on nodes of a dictionary, and on the engine: users see no difference."""
    found: Stack = request.getfixturevalue("stack" if request.param == "memory" else "shards")
    return found


@pytest.fixture(scope="package")
def bad(stack: Stack) -> Stack:
    """With collections for requests that are refused."""
    stack.create("bad")
    stack.create("bad-texts", dimension=384, embedding_model="hash-384")
    stack.create("bad-dot", metric="dot")
    return stack


@pytest.fixture
def unwritten(bad: Stack) -> Iterator[Stack]:
    """Fails when a write reached a node, or a collection was declared or changed."""
    writes, declared = bad.writes, _declared(bad)
    yield bad
    assert bad.writes == writes
    assert _declared(bad) == declared


def _declared(stack: Stack) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (stack.folder / "catalog").iterdir()}
