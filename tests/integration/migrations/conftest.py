"""A gateway for tests of migrations, and the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.processor import job_settings
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.migrations.command import Migrations

MODEL = ModelRoute(
    name="model",
    dimension=3,
    max_tokens=128,
    endpoints=("http://127.0.0.1:9",),
    protocol="openai",
    external=True,
)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    # Jobs are taken, and stay queued: nothing runs them here.
    with running_stack(folder, (MODEL,), **job_settings(folder)) as stack:
        yield stack


@pytest.fixture
def migrations(
    tmp_path: Path, stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migrations]:
    migrations = Migrations(tmp_path, stack, capsys)
    for name, value in migrations.variables.items():
        monkeypatch.setenv(name, value)
    yield migrations
    for one in stack.data(stack.client.get("/api/v1/collections"))["collections"]:
        stack.client.delete(f"/api/v1/collections/{one['name']}?aliases=delete")
