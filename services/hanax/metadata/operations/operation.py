"""One line of the operation log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Its `items` operations were not noted between this line and the one before it, as too many waited.
DROPPED: Final = "log_dropped"


@dataclass(frozen=True, slots=True)
class Operation:
    """at_us: when it ended, microseconds since 1970 UTC. collection: its name, no alias; "": of none.

    actor: who asked, as far as is known. outcome: ok or an error code. items: points that were written,
    removed or answered; of a search_batch the results of all queries.
    """

    at_us: int
    duration_us: int
    operation: str
    collection: str
    actor: str
    outcome: str
    items: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A line as it is kept. instance: the process that noted it."""

    id: int
    instance: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: those that all that is given here is true of."""

    collection: str | None = None
    operation: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The last line of a page; the next one has older lines."""

    at_us: int
    id: int
