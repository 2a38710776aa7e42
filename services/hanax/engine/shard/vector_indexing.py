"""Building, tuning and dropping the vector indexes of sealed segments, while the old ones serve."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hanax.core.errors import Cancelled
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.segment.protocol import Segment
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.shard.index_making import IndexMaker
from hanax.engine.shard.index_plans import Step, Task
from hanax.engine.shard.ledger import Ledger
from hanax.engine.shard.state import ShardState

# Segments that are being merged, or should be: nothing is made of what is about to go.
Leaving = Callable[[], Collection[Segment]]


class VectorIndexing:
    """One index at a time. `running` is held meanwhile; the ledger's lock comes after it."""

    def __init__(self, ledger: Ledger, state: ShardState, maker: IndexMaker, leaving: Leaving) -> None:
        self._ledger = ledger
        self._state = state
        self._maker = maker
        self._leaving = leaving
        self.running = threading.Lock()
        self._stopped = threading.Event()
        # How to end the build of an index that nobody needs any more.
        self._build: _Build | None = None

    @property
    def is_settled(self) -> bool:
        """Nothing is built, and nothing is due."""
        return self._build is None and self.next_task() is None

    def step(self) -> bool:
        """Build, tune or drop one index. Returns False when there was nothing to do."""
        with self.running:
            task = None if self._stopped.is_set() else self.next_task()
            if task is not None:
                self._do(task)
            return task is not None

    def next_task(self) -> Task | None:
        """What lacks an index comes first."""
        passed = {id(segment) for segment in self._leaving()}
        tasks = [
            task
            for part in self._state.persisted.segments
            if isinstance(part.segment, SealedSegment) and id(part.segment) not in passed
            for task in self._maker.plans.tasks(part.segment)
        ]
        return min(tasks, key=lambda task: bool(task.order.segment.indexes), default=None)

    @contextmanager
    def made(self, task: Task, stopped: threading.Event) -> Iterator[SegmentIndex | None]:
        """A new index, to be committed in the block. None: refused."""
        plans = self._maker.plans
        with self._ledger.new_index(task.order.segment.name) as folder:
            plans.building.add(task.place)
            try:
                yield self._maker.make(task, folder.name, stopped)
                plans.settled(task)
            finally:
                plans.building.discard(task.place)

    def stop(self) -> None:
        """Nothing is begun any more, and what runs is cut short."""
        self._stopped.set()
        self.cancel()

    def cancel(self, of: Collection[Segment] | None = None) -> None:
        """End the build that runs; `of`: only where it is of one of these segments."""
        build = self._build
        if build is not None and (of is None or any(one is build.task.order.segment for one in of)):
            build.stopped.set()
            self._maker.wake()

    def _do(self, task: Task) -> None:
        self._build = build = _Build(task, threading.Event())
        try:
            # Looked at again: from now on `cancel` sees this one.
            if self._stopped.is_set() or any(one is task.order.segment for one in self._leaving()):
                return
            if task.step is Step.DROP:
                self._attach(task, None)
                return
            with self.made(task, build.stopped) as made:
                if made is not None:
                    self._attach(task, made)
        except Cancelled:
            # Its segment is being merged, or something else was asked for; else the shard is closing.
            if self._stopped.is_set():
                raise
        finally:
            self._build = None

    def _attach(self, task: Task, made: SegmentIndex | None) -> None:
        """Search a segment by this index from now on."""
        segment = task.order.segment
        with self._ledger.amended(self._state, segment):
            segment.indexes = with_index(segment, task, made)


class _Build(NamedTuple):
    task: Task
    stopped: threading.Event


def with_index(segment: SealedSegment, task: Task, made: SegmentIndex | None) -> dict[str, SegmentIndex]:
    """The segment's indexes by column, with this one in the place of what the task is about."""
    others = {column: index for column, index in segment.indexes.items() if column != task.order.column}
    return others if made is None else others | {task.order.column: made}
