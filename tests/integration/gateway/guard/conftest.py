"""Gateways whose callers need keys: one on memory nodes, one on the engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanax.core.api_keys import new_key, new_key_id
from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import Stack, running_shards, running_stack
from tests.integration.waiting import wait_until

KEYS = "/api/v1/keys"
ALL = [{"scopes": ["admin"]}]


@dataclass
class Guarded:
    """A stack whose own client is the administrator's."""

    stack: Stack
    admin_key: str
    service_key: str
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def client(self) -> httpx.Client:
        return self.stack.client

    def make(self, *grants: dict[str, Any], **rights: object) -> dict[str, Any]:
        """A key as it is told."""
        body = {"name": "test", "grants": list(grants) or ALL, **rights}
        made: dict[str, Any] = self.stack.data(self.stack.post(KEYS, body))
        return made

    def key(self, *scopes: str, on: str = "*", **rights: object) -> str:
        key: str = self.make({"scopes": list(scopes), "collections": [on]}, **rights)["key"]
        return key

    def caller(self, key: str) -> Stack:
        """The same gateway for whoever has the key."""
        client = httpx.Client(base_url=self.client.base_url, timeout=30.0, headers={"X-API-Key": key})
        self.opened.enter_context(client)
        return Stack(self.stack.folder, self.stack.gateway, self.stack.nodes, self.stack.reconciler, client)

    def collection(self, **spec: object) -> str:
        """A new one of dimension 3."""
        name = f"c{uuid.uuid4().hex[:12]}"
        self.stack.create(name, **spec)
        return name


def guarded_settings(folder: Path) -> dict[str, Any]:
    """With keys of its own in files, which Guarded is told."""
    for name in ("admin", "service"):
        (folder / name).write_text(new_key(new_key_id()) + "\n")
    return {
        "admin_key_file": folder / "admin",
        "service_key_file": folder / "service",
        "database_url": f"sqlite:///{folder}/metadata.db",
        "jobs_dir": folder / "uploads",
    }


@contextmanager
def guarded(stack: Stack) -> Iterator[Guarded]:
    """Its callers' clients are closed at the end."""
    admin, service = ((stack.folder / name).read_text().strip() for name in ("admin", "service"))
    stack.client.headers["X-API-Key"] = admin
    # A database that takes long to open keeps no gateway from starting. Services have no limit of their rate.
    asking = {"X-API-Key": service}
    wait_until("the database is open", lambda: stack.client.get(KEYS, headers=asking).status_code == 200)
    with ExitStack() as opened:
        yield Guarded(stack, admin, service, opened)


@pytest.fixture(scope="package")
def guard(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    with running_stack(folder, (hash_model,), **guarded_settings(folder)) as stack, guarded(stack) as running:
        yield running


@pytest.fixture(scope="package")
def guarded_shards(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded-shards")
    with (
        running_shards(folder, (hash_model,), **guarded_settings(folder)) as stack,
        guarded(stack) as running,
    ):
        yield running
