"""Making the indexes of one shard's segments: files, memory, and what to do when one fails."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path

import structlog

from hanax.core.errors import Cancelled, HanaxError, StorageFull
from hanax.engine.filters.collecting import collecting_bytes
from hanax.engine.segment.index_builder import build_index, retune_index
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.shard.budget import MemoryBudget, build_bytes, merge_bytes
from hanax.engine.shard.index_plans import IndexPlans, Step, Task
from hanax.engine.shard.options import ShardOptions

log = structlog.get_logger()


class IndexMaker:
    def __init__(self, folder: Path, plans: IndexPlans, budget: MemoryBudget, options: ShardOptions) -> None:
        """folder: of the shard's indexes."""
        self.plans = plans
        self.folder = folder
        self._budget = budget
        self._memory_bytes = options.index_memory_bytes
        self._threads = options.build_threads

    def affords_rows(self, rows: int) -> bool:
        """Whether a segment of so many rows can be made and indexed within the memory allowed."""
        needed = [build_bytes(plan, rows, dimension) for plan, dimension in self.plans.plans_of(rows)]
        return max(merge_bytes(rows), *needed) <= self._memory_bytes

    def merging(self, rows: int, stopped: threading.Event) -> AbstractContextManager[None]:
        """Hold the memory that merging to so many rows takes."""
        return self._budget.hold(min(merge_bytes(rows), self._memory_bytes), self._memory_bytes, stopped)

    def sealing(self, rows: int) -> AbstractContextManager[None]:
        """As `merging`, for a segment that writers wait for: it waits for nobody."""
        return self._budget.take(collecting_bytes(rows))

    def collecting(self, rows: int, stopped: threading.Event) -> AbstractContextManager[None]:
        """Hold the memory that a metadata index of so many rows takes while it is made."""
        return self._budget.hold(min(collecting_bytes(rows), self._memory_bytes), self._memory_bytes, stopped)

    def wake(self) -> None:
        """Have builds that wait for memory look at whether they were stopped."""
        self._budget.wake()

    def make(self, task: Task, name: str, stopped: threading.Event) -> SegmentIndex | None:
        """Write an index to the folder `name`. None when it is refused.

        Raises Cancelled soon after `stopped` is set, and StorageFull or OSError for what may pass.
        """
        folder = self.folder / name
        order = task.order
        try:
            if task.step is Step.RETUNE:
                known = self.folder / order.segment.indexes[order.column].name
                return retune_index(folder, order, known, stopped)
            dimension = self.plans.schema.field(order.column).dimension
            size = build_bytes(order.plan, order.segment.rows, dimension)
            with self._budget.hold(size, self._memory_bytes, stopped):
                return build_index(folder, order, stopped, self._threads)
        except (Cancelled, StorageFull, OSError):
            raise
        except HanaxError as error:
            reason = error.message
        except Exception as error:
            log.exception("an index could not be built", folder=str(folder))
            reason = f"{type(error).__name__}: {error}"
        log.warning("a segment has no index", folder=str(folder), reason=reason)
        self.plans.refuse(task, reason)
        return None
