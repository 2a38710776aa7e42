"""Who is let in without a key: gateways of the same machine, at the port that is theirs alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hanax.core.errors import Unauthenticated
from hanax.gateway.calls import Call
from hanax.gateway.guard.guard import Guard, Openness
from hanax.gateway.guard.key_files import KeyFiles, KeyPaths
from hanax.gateway.guard.key_ring import KeyRing
from hanax.gateway.guard.limits import RateLimits
from hanax.gateway.rest.entrance import Entrance

OWN_PORT = 18_001
CLIENTS_PORT = 8_000


@pytest.mark.parametrize(
    ("client", "server", "path", "is_open"),
    [
        ("127.0.0.1", ("127.0.0.1", OWN_PORT), "/metrics/worker", True),
        # A proxy of the same machine, for whoever is behind it.
        ("127.0.0.1", ("127.0.0.1", CLIENTS_PORT), "/metrics/worker", False),
        ("10.0.0.1", ("127.0.0.1", OWN_PORT), "/metrics/worker", False),
        ("127.0.0.1", ("10.0.0.2", OWN_PORT), "/metrics/worker", False),
        ("127.0.0.1", ("127.0.0.1", OWN_PORT), "/metrics", False),
    ],
)
async def test_who_may_ask_a_worker_for_its_metrics(
    tmp_path: Path, client: str, server: tuple[str, int], path: str, is_open: bool
) -> None:
    scope = {"type": "http", "path": path, "client": (client, 50_000), "server": server}
    for own_port, may in ((OWN_PORT, is_open), (None, False)):
        entrance = Entrance(_guard(tmp_path), own_port)
        if may:
            await entrance.enter(scope, {}, Call("request", time.monotonic))
            continue
        with pytest.raises(Unauthenticated):
            await entrance.enter(scope, {}, Call("request", time.monotonic))


def _guard(folder: Path) -> Guard:
    (folder / "admin").write_text("an administrator's key of forty letters")
    ring = KeyRing(None, KeyFiles(KeyPaths(admin=folder / "admin")), time.monotonic, lambda: 0)
    openness = Openness(metrics=False, origins=())
    return Guard(ring, None, RateLimits(None, None, 1, time.monotonic), openness)
