"""What a model is given of chunks and of queries, as its server sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.gateway.libraries.conftest import Api
from tests.integration.gateway.stack import running_stack
from tests.integration.gateway.upstreams.replies import Embeddings
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream

DECOMPOSED = "u\u0308bergro\u00dfe Gru\u0308\u00dfe"
COMPOSED = "\u00fcbergro\u00dfe Gr\u00fc\u00dfe"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[tuple[Api, UpstreamServer]]:
    with ExitStack() as opened:
        server = opened.enter_context(running_upstream(Embeddings(dimension=8)))
        route = route_to(server, name="outside", external=True, timeout_s=10.0, max_attempts=3)
        url = f"sqlite:///{tmp_path / 'metadata.db'}"
        stack = opened.enter_context(
            running_stack(tmp_path, (route,), database_url=url, database_timeout_s=30)
        )
        yield Api(stack.client), server


def test_equal_texts_are_embedded_alike_however_they_are_encoded(
    outside: tuple[Api, UpstreamServer],
) -> None:
    """Chunks and queries both in Unicode NFC: a model may see other tokens in what looks the same. What was
    sent is kept.
    """
    api, server = outside
    library = api.library(index={"type": "auto"}, model="outside")
    made = api.document(library, chunks=[{"text": DECOMPOSED}])
    for text in (DECOMPOSED, COMPOSED):
        (found,) = api.query(library, text=text, k=1)["results"]
        assert found["text"] == DECOMPOSED
    api.ask("PATCH", f"/api/v1/chunks/{made['chunk_ids'][0]}", {"text": f"{DECOMPOSED}!"})
    given = {text for request in server.requests for text in request.texts}
    assert given == {COMPOSED, f"{COMPOSED}!"}
