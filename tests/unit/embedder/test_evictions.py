"""Who makes room: the least recently used, never one in use before it had its time."""

from __future__ import annotations

import pytest

from hanax.embedder.evictions import SHORTEST_STAY_S, Eviction, Resident, next_eviction

NOW = 100.0


def resident(name: str, *, users: int = 0, used_at: float = 90.0, loaded_at: float = 0.0) -> Resident:
    return Resident(name, 1, users, used_at, loaded_at)


@pytest.mark.parametrize(
    ("residents", "expected"),
    [
        ([resident("old", used_at=1), resident("new", used_at=2)], Eviction("old", in_use=False)),
        # One that is idle goes before one that was used longer ago and is in use.
        ([resident("busy", users=1, used_at=1), resident("idle")], Eviction("idle", in_use=False)),
        # An idle one goes however short it was there.
        ([resident("idle", loaded_at=NOW)], Eviction("idle", in_use=False)),
        (
            [resident("a", users=1, used_at=2), resident("b", users=9, used_at=1)],
            Eviction("b", in_use=True),
        ),
        # Of those in use, only one that had its time.
        (
            [resident("young", users=1, used_at=1, loaded_at=NOW - 1), resident("old", users=1)],
            Eviction("old", in_use=True),
        ),
        ([resident("young", users=1, loaded_at=NOW - 4)], SHORTEST_STAY_S - 4),
    ],
)
def test_next_eviction(residents: list[Resident], expected: Eviction | float) -> None:
    assert next_eviction(residents, NOW) == expected
