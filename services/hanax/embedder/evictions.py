"""Which model makes room for another. Pure: what is loaded in, what to do out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# A model that is in use all the time is taken away from its users for one that others wait for,
# but not before this: two that do not fit together would spend their time on being loaded.
SHORTEST_STAY_S: Final = 10.0


@dataclass(frozen=True)
class Resident:
    """A loaded model. Times: the clock of the store."""

    name: str
    memory_bytes: int
    users: int
    used_at: float
    loaded_at: float


@dataclass(frozen=True)
class Eviction:
    """`name` goes, at once when nobody uses it; else its users end first and no new one begins."""

    name: str
    in_use: bool


def next_eviction(residents: Sequence[Resident], now: float) -> Eviction | float:
    """The least recently used goes; of those in use, the least recently used that stayed long enough.

    Where none may go yet: seconds until one may. There is at least one resident.
    """
    idle = [resident for resident in residents if not resident.users]
    if idle:
        return Eviction(min(idle, key=lambda resident: resident.used_at).name, in_use=False)
    ripe = [resident for resident in residents if now - resident.loaded_at >= SHORTEST_STAY_S]
    if ripe:
        return Eviction(min(ripe, key=lambda resident: resident.used_at).name, in_use=True)
    return min(resident.loaded_at for resident in residents) + SHORTEST_STAY_S - now
