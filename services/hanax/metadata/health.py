"""How the database is, for probes: however many ask, it is asked once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hanax.metadata.database import Database, DatabaseHealth

_KEEP_S: Final = 1.0


class HealthLook:
    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """clock: seconds."""
        self._database = database
        self._clock = clock
        self._looking = asyncio.Lock()
        self._found: DatabaseHealth | None = None
        self._until = 0.0

    async def health(self) -> DatabaseHealth:
        """At most a second old."""
        async with self._looking:
            if self._found is None or self._clock() >= self._until:
                self._found = await self._database.health()
                self._until = self._clock() + _KEEP_S
            return self._found
