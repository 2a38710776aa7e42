"""What is done with a routing table that was read, wherever it was read from.

A table is taken whole or not at all. An equal revision is passed over, an older one refused, and one that
could not be applied is offered again. What keeps a table from being taken is logged once, until one is taken.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from hanax.core.routing import RoutingTable

log = structlog.get_logger()


class NewerTables:
    """Not for several threads at once. `place` is where tables come from, for the log."""

    def __init__(self, on_change: Callable[[RoutingTable], None], **place: str) -> None:
        self._on_change = on_change
        self._place = place
        self._revision = -1
        self._complaint = ""

    def offer(self, table: RoutingTable) -> bool:
        """Take the table if it is newer. False when it could not be applied, and is worth another try."""
        if table.revision < self._revision:
            self.keep(f"revision {table.revision} is older than {self._revision}")
            return True
        if table.revision == self._revision:
            self._complaint = ""
            return True
        try:
            self._on_change(table)
        except Exception as error:
            if self._is_news(f"revision {table.revision} is not applied: {error!r}"):
                log.exception("routing table not applied", revision=table.revision, **self._place)
            return False
        self._revision = table.revision
        self._complaint = ""
        return True

    def keep(self, reason: str) -> None:
        """Say why no newer table is taken."""
        if self._is_news(reason):
            log.warning("routing table kept", reason=reason, **self._place)

    def _is_news(self, complaint: str) -> bool:
        """Keep a lasting trouble from being logged at every look."""
        known, self._complaint = self._complaint, complaint
        return complaint != known
