"""Processes that are killed with signal 9 in the middle of a document's change, and started again.

On real shard processes. `test_crashes` goes through every step of every change in one process; here some
steps of one change are met by what a user has: a gateway that is gone, and another one that comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.gateway.libraries.conftest import Api
from tests.integration.gateway.stack import GatewayProcess, Stack, running_shards
from tests.integration.waiting import wait_until

OLD = ["one", "two", "three"]
NEW = ["four", "five", "six", "seven"]


class MortalGateway(GatewayProcess):
    module = "tests.integration.gateway.libraries.mortal_gateway"


@pytest.fixture(scope="module")
def shard_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_shards(tmp_path_factory.mktemp("kills")) as running:
        yield running


@contextmanager
def _gateway(folder: Path, url: str) -> Iterator[tuple[MortalGateway, Api]]:
    # Short, so that leases end soon: after 28 s. A loaded machine still answers within these.
    limits = {"request_timeout_s": 8, "create_timeout_s": 16, "database_timeout_s": 5}
    settings = {"database_url": url, "test_death": folder / "death", **limits}
    gateway = MortalGateway(folder, **settings)
    try:
        with httpx.Client(base_url=gateway.url, timeout=60) as client:
            wait_until("it is ready", lambda: client.get("/ready").is_success)
            yield gateway, Api(client)
    finally:
        gateway.close()


def _chunks(texts: list[str]) -> list[dict[str, Any]]:
    return [{"text": text, "embedding": [1.0, 1.0, n / 10]} for n, text in enumerate(texts)]


# Before and after the first transaction, between the writes to the shards, before and after the commit,
# between the removals, and before the last word.
STEPS = [1, 4, 6, 7, 9]


@pytest.mark.timeout(600)
def test_documents_are_whole_after_kills_and_no_point_is_left(shard_stack: Stack, database_url: str) -> None:
    folder = shard_stack.folder
    death = folder / "death"
    documents: list[str] = []
    library = ""
    for steps in STEPS:
        with _gateway(folder, database_url) as (gateway, api):
            library = library or api.vectors(shards=2)
            made = api.document(library, chunks=_chunks(OLD))
            documents.append(made["id"])
            death.write_text(str(steps))
            with pytest.raises(httpx.TransportError):
                api.ask("PATCH", f"/api/v1/documents/{made['id']}", {"chunks": _chunks(NEW)})
            assert gateway.process.wait(60) == -9
            death.unlink()
    with _gateway(folder, database_url) as (_, api):
        texts = [[chunk["text"] for chunk in api.chunks(document)] for document in documents]
        assert all(one in (OLD, NEW) for one in texts)
        assert OLD in texts
        assert NEW in texts
        expected = sorted(text for one in texts for text in one)
        found = api.query(library, embedding=[1.0, 1.0, 1.0], k=50)["results"]
        assert sorted(one["text"] for one in found) == expected
        wait_until("no point is left that is no chunk", lambda: api.points(library) == len(expected))
        for document in documents:
            path = f"/api/v1/documents/{document}"
            api.ask("PATCH", path, {"chunks": _chunks(["last"])})
        words = {"field": "text", "operator": "text", "value": "LAST"}
        found = api.query(library, embedding=[1.0, 1.0, 1.0], k=50, filter=words)["results"]
        assert {one["document_id"] for one in found} == set(documents)
        assert api.points(library) == len(documents)
