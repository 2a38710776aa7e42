"""Batches of a task: what is done together, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from hanax.batch_processor.columns import PointColumns
from hanax.batch_processor.points import Point, failed_item
from hanax.core.errors import HanaxError
from hanax.metadata.jobs.job import FailedItem

# A batch is closed at so many bytes, whatever the job says: a call is one message.
MAX_BATCH_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class Batch:
    """items: how many it takes the watermark on; each of them is a point, or has failed already.

    cursor: where to go on behind it, for feeds that need more than the watermark. columns: points that are
    good as far as can be told here, beside no others; rows: the same, read one by one.
    """

    points: list[Point]
    failed: list[FailedItem]
    cursor: Mapping[str, Any] | None = None
    columns: PointColumns | None = None
    rows: Callable[[], Iterator[Batch]] = lambda: iter(())

    @property
    def items(self) -> int:
        if self.columns is not None:
            return len(self.columns.ids)
        return len(self.points) + len(self.failed)

    def fail(self, faults: Mapping[int, HanaxError]) -> None:
        """Points by their places."""
        if faults:
            self.failed += [failed_item(self.points[place], error) for place, error in faults.items()]
            self.points = [point for place, point in enumerate(self.points) if place not in faults]

    def add(self, read: Point | FailedItem) -> None:
        if isinstance(read, Point):
            self.points.append(read)
        else:
            self.failed.append(read)


@dataclass(slots=True)
class Outcome:
    """What came of one batch, or of several that follow one another.

    result: bytes for the result file, in the items' order.
    """

    done: int = 0
    failed: list[FailedItem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Any] = field(default_factory=dict)
    result: list[bytes] = field(default_factory=list)
    cursor: Mapping[str, Any] | None = None

    @property
    def items(self) -> int:
        return self.done + len(self.failed)

    def add(self, other: Outcome) -> None:
        """What follows."""
        self.done += other.done
        self.failed += other.failed
        self.counts += other.counts
        self.facts |= other.facts
        self.result += other.result
        self.cursor = other.cursor or self.cursor


class Feed(Protocol):
    """Where a task's batches come from."""

    def batches(self, watermark: int, cursor: Mapping[str, Any] | None) -> AsyncGenerator[Batch, None]:
        """Those behind the watermark, in order. cursor: as the last batch before it had it."""
        ...


class Target(Protocol):
    """Where they go."""

    async def take(self, batch: Batch) -> Outcome:
        """Durable on return. Raises what fails the whole job."""
        ...
