"""One gateway with a database for the tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import Stack, running_shards

POINTS = [
    {"id": number, "vector": [1, number, 0], "metadata": {"n": number, "title": f"page {number}"}}
    for number in range(1, 6)
]


@pytest.fixture(scope="package")
def graph(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Stack]:
    """With a collection `docs` of POINTS, `texts` whose model embeds, and room for libraries and jobs."""
    folder = tmp_path_factory.mktemp("graphql")
    settings = {"database_url": f"sqlite:///{folder}/metadata.db", "jobs_dir": folder / "jobs"}
    with running_shards(folder, (hash_model,), **settings) as stack:
        stack.create("docs")
        stack.insert("docs", POINTS)
        stack.create("texts", dimension=384, embedding_model="hash-384")
        yield stack
