"""What one write asks of all its batches, and what they did in sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hxp_vector_client.models import Inserted, Job
from hxp_vector_client.options import ProgressCallback

Mode = Literal["upsert", "insert", "update"]

_COLUMNS = ("if_versions", "expires_at", "ttl_seconds")


@dataclass(frozen=True, slots=True)
class Order:
    """options: that hold for every point."""

    collection: str
    mode: Mode
    options: Mapping[str, Any]

    def body(self) -> dict[str, Any]:
        return {"collection": self.collection, "mode": self.mode, **self.options}


@dataclass(slots=True)
class Tally:
    """points: that were sent and answered. jobs: that store points whose texts are queued."""

    points: int = 0
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    jobs: list[Job] = field(default_factory=list)

    def add(self, part: Inserted) -> None:
        self.points += len(part.ids)
        self.inserted += part.inserted
        self.updated += part.updated
        self.skipped += len(part.skipped)
        self.jobs += part.jobs


def split_options(
    options: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any], ProgressCallback | None]:
    """The columns among the options of a write, those that are sent, and who is told of progress."""
    columns = {name: options.pop(name) for name in _COLUMNS if options.get(name) is not None}
    progress = options.pop("progress", None)
    return columns, {name: value for name, value in options.items() if name not in _COLUMNS}, progress
