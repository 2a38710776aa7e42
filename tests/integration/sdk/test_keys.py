"""API keys: made, rotated, revoked and shown over every transport."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from hanax.core.api_keys import new_key, new_key_id
from hxp_vector_client import CallSettings, Connection, Retries, VectorClient
from hxp_vector_client.errors import PermissionDenied, Unauthenticated
from tests.integration.gateway.processor import job_settings
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.sdk.conftest import TRANSPORTS, url_of


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A gateway that asks for keys, and its administrator's."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    key = new_key(new_key_id())
    (folder / "admin-key").write_text(key)
    (folder / "admin-key").chmod(0o600)
    settings: dict[str, Any] = {**job_settings(folder), "admin_key_file": folder / "admin-key"}
    with running_stack(folder, **settings) as stack:
        yield stack, key


def _client(stack: Stack, transport: str, key: str | None) -> VectorClient:
    settings = CallSettings(retries=Retries(attempts=0))
    connection = Connection(url_of(stack, transport), key)
    return VectorClient(connection, transport=cast(Any, transport), settings=settings)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_key_opens_what_it_is_for(guarded: tuple[Stack, str], transport: str, name: str) -> None:
    stack, admin = guarded
    with _client(stack, transport, admin) as administrator:
        administrator.collections.create(name, 2)
        made = administrator.keys.create(
            name,
            [{"scopes": ["read"], "collections": [name]}],
            rate={"requests_per_s": 1_000, "burst": 1_000},
            expires_at="2131-01-31T10:00:00Z",
        )
        assert made.key is not None
        assert (made.rate, made.expires_at) == (
            {"requests_per_s": 1_000, "burst": 1_000},
            datetime(2131, 1, 31, 10, tzinfo=UTC),
        )
        assert (made.grants[0].scopes, made.grants[0].collections, made.filter) == (["read"], [name], None)
        with _client(stack, transport, made.key) as reader:
            assert reader.count(name) == 0
            with pytest.raises(PermissionDenied):
                reader.upsert(name, [[1.0, 0.0]])
        with _client(stack, transport, None) as nobody, pytest.raises(Unauthenticated):
            nobody.count(name)
        assert made.id in [key.id for key in administrator.keys.list(page_size=1)]
        assert administrator.keys.get(made.id).key is None
        rotated = administrator.keys.rotate(made.id, grace_s=60)
        assert rotated.key not in (None, made.key)
        with _client(stack, transport, rotated.key) as reader:
            assert reader.count(name) == 0
        revoked = administrator.keys.revoke(made.id)
        assert revoked.revoked_at is not None
