"""Which index each sealed segment should have, and what has to be done until it has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import InvalidArgument
from hanax.core.index_specs import FlatIndex, Indexing, NoQuantisation
from hanax.engine.index import factory
from hanax.engine.index.factory import Plan
from hanax.engine.index.protocol import Source, memory_bytes
from hanax.engine.index.tuning import DEFAULT_TARGET, Aim, fixed_effort
from hanax.engine.schema import Schema
from hanax.engine.segment.index_builder import Order
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.shard.results import IndexStats

# Fewer rows than this are compared one by one, whatever was asked for: no index is faster.
LEAST_ROWS = 1_000
# What an effort is called in the specs; it can change without a build.
_EFFORTS = {"ef_search", "nprobe", "probes"}

# (segment, column)
Place = tuple[str, str]


class Step(Enum):
    BUILD = "build"
    RETUNE = "retune"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Task:
    step: Step
    order: Order

    @property
    def place(self) -> Place:
        return self.order.segment.name, self.order.column


@dataclass(slots=True)
class IndexPlans:
    """What a shard wants of its indexes. Methods may be called from any thread.

    schema: as it is now: its payload_indexes may change.

    A build that was refused is not tried again before the indexing changes or the shard is opened.
    """

    schema: Schema
    indexing: Indexing
    # With the plan: by the time that a build fails, another may be wanted.
    _refused: dict[Place, tuple[Plan, str]] = field(default_factory=dict, init=False)
    building: set[Place] = field(default_factory=set, init=False)
    # Queries that users asked, by column, and the segments' columns to be tuned for them.
    _live: dict[str, NDArray[np.float32]] = field(default_factory=dict, init=False)
    _stale: set[Place] = field(default_factory=set, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.check(self.indexing)

    def check(self, indexing: Indexing) -> None:
        """Raises InvalidArgument for what can't be built for the shard's vectors."""
        for name, column in self.schema.fields.items():
            if problem := indexing.problem(column.metric, column.dimension):
                raise InvalidArgument(
                    problem if len(self.schema.fields) == 1 else f"vector {name!r}: {problem}"
                )

    def change(self, indexing: Indexing) -> None:
        """Raises InvalidArgument and changes nothing for what can't be built."""
        self.check(indexing)
        with self._lock:
            self.indexing = indexing
            self._refused = {}

    def pin(self, payload_indexes: Mapping[str, str]) -> None:
        """What is indexed of the metadata from now on."""
        self.schema = replace(self.schema, payload_indexes=dict(payload_indexes))

    def is_described(self, segment: SealedSegment) -> bool:
        """Whether its metadata index is what is wanted."""
        known = segment.metadata_index
        return known is not None and known.index.goes_by(self.schema.payload_indexes)

    def tune_for(self, column: str, queries: NDArray[np.float32], segments: Sequence[SealedSegment]) -> None:
        """Have the efforts of these segments measured anew, with what users ask: float32[q, d]."""
        with self._lock:
            self._live[column] = queries
            self._stale |= {(segment.name, column) for segment in segments if column in segment.indexes}

    def settled(self, task: Task) -> None:
        """The task is done, or came to nothing."""
        with self._lock:
            if task.step is Step.RETUNE:
                self._stale.discard(task.place)

    def refuse(self, task: Task, reason: str) -> None:
        with self._lock:
            self._refused[task.place] = task.order.plan, reason

    def forget_others(self, segments: Set[str]) -> None:
        """These are all the segments that there are."""
        with self._lock:
            self._refused = {place: why for place, why in self._refused.items() if place[0] in segments}
            self._stale = {place for place in self._stale if place[0] in segments}

    def tasks(self, segment: SealedSegment) -> Iterator[Task]:
        """What is to be done for a segment."""
        for column, source in segment.sources.items():
            step, order = self._step(segment, column, source)
            if step is not None and not self._refusal(order):
                yield Task(step, order)

    def _refusal(self, order: Order) -> str:
        """Why this can't be built; empty when that is not known."""
        plan, reason = self._refused.get((order.segment.name, order.column), (None, ""))
        return reason if plan == order.plan else ""

    def _step(self, segment: SealedSegment, column: str, source: Source) -> tuple[Step | None, Order]:
        indexing = self.indexing
        plan = _plan(indexing, source)
        fixed = fixed_effort(indexing.index, plan.index.type)
        live = self._live.get(column, np.empty((0, 0), np.float32))
        order = Order(segment, column, plan, Aim(indexing.target_recall or DEFAULT_TARGET, fixed, live))
        known = segment.indexes.get(column)
        if _scans(plan):
            return (Step.DROP if known else None), order
        if known is None or _built_from(known.plan) != _built_from(plan):
            return Step.BUILD, order
        aimed = (known.target, fixed_effort(known.plan.index, plan.index.type))
        if aimed != (order.aim.target, fixed) or (segment.name, column) in self._stale:
            return Step.RETUNE, order
        return None, order

    def plans_of(self, rows: int) -> Iterator[tuple[Plan, int]]:
        """What a segment of so many rows would get, and the dimension, of each column."""
        for column in self.schema.fields.values():
            # The plan looks at the shape alone.
            vectors = np.broadcast_to(np.float32(0.0), (rows, column.dimension))
            source = Source(vectors, np.empty(0, np.float32), column.metric)
            yield _plan(self.indexing, source), column.dimension

    def stats(self, segment: SealedSegment) -> list[IndexStats]:
        """Of each column of a segment."""
        return [self._stats(segment, column, source) for column, source in segment.sources.items()]

    def _stats(self, segment: SealedSegment, column: str, source: Source) -> IndexStats:
        place = segment.name, column
        known = segment.indexes.get(column)
        step, order = self._step(segment, column, source)
        refusal = self._refusal(order)
        state = "building" if place in self.building else "waiting"
        state = "refused" if refusal else "built" if step is None else state
        plan = order.plan if known is None else known.plan
        return IndexStats(
            segment=segment.name,
            column=column,
            rows=segment.rows,
            state=state,
            type=plan.index.type,
            quantisation=plan.quantisation.type,
            effort=0 if known is None else known.tuned.effort.at(10),
            recall=float("nan") if known is None else known.tuned.recall,
            memory_bytes=0 if known is None else memory_bytes(known.index),
            reason=refusal or plan.reason,
        )


def _plan(indexing: Indexing, source: Source) -> Plan:
    rows = len(source.vectors)
    if rows < LEAST_ROWS:
        reason = f"{rows} vectors, fewer than {LEAST_ROWS}: comparing all is fast"
        return Plan(FlatIndex(), NoQuantisation(), reason)
    return factory.plan(indexing, source)


def _scans(plan: Plan) -> bool:
    """Every vector is compared: there is nothing to build."""
    return plan.index.type == "flat" and plan.quantisation.type == "none"


def _built_from(plan: Plan) -> tuple[object, object]:
    return plan.index.model_dump(exclude=_EFFORTS), plan.quantisation
