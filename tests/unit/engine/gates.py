"""Maintenance held at a point of its work, and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.drafts import DRAFT_SUFFIX
from hanax.engine.segment.index_builder import Order, build_index
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.segment.metadata_indexes import SegmentMetadataIndex, build_metadata_index
from hanax.engine.segment.protocol import Segment
from hanax.engine.shard import ShardOptions, index_making, maintenance, metadata_indexing
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until

TINY = ShardOptions(segment_max_rows=16)


def settled(rig: Rig) -> None:
    """Nothing is left to seal, merge or index."""
    upkeep = rig.shard._upkeep
    jobs = (upkeep.seal_job, upkeep.merge_job, upkeep.index_job, upkeep.metadata_job)
    wait_until("maintenance rests", lambda: not any(job._active for job in jobs))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Gate:
    """Stops builds that merge segments, or all of them, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, merges_only: bool) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

        def build(folder: Path, schema: object, parts: Sequence[Part], stopped: threading.Event) -> None:
            if not merges_only or len(parts) > 1:
                self.reached.set()
                while not (self.go.is_set() or stopped.is_set()):
                    time.sleep(0.001)
            build_segment(folder, schema, parts, stopped)  # type: ignore[arg-type]

        monkeypatch.setattr(maintenance, "build_segment", build)


class BuildGate:
    """Stops builds of indexes, of all segments or of those with `least_rows`, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, least_rows: int = 0) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()
        # Rows of each segment whose build was begun.
        self.builds: list[int] = []
        # Of those, the ones that were ended while they were held.
        self.cut: list[int] = []

        def build(folder: Path, order: Order, stopped: threading.Event, threads: int) -> SegmentIndex:
            self.builds.append(order.segment.rows)
            if order.segment.rows >= least_rows:
                # What a build that was cut has left.
                draft = folder.with_name(folder.name + DRAFT_SUFFIX)
                draft.mkdir()
                self.reached.set()
                while not (self.go.is_set() or stopped.is_set()):
                    time.sleep(0.001)
            if stopped.is_set():
                self.cut.append(order.segment.rows)
            return build_index(folder, order, stopped, threads)

        monkeypatch.setattr(index_making, "build_index", build)


class MetadataGate:
    """Stops indexes of metadata that are made for sealed segments, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()
        # Pins of each that was begun.
        self.builds: list[dict[str, str]] = []

        def build(
            folder: Path, segment: Segment, rows: int, pins: Mapping[str, str], stopped: threading.Event
        ) -> SegmentMetadataIndex:
            self.builds.append(dict(pins))
            self.reached.set()
            while not (self.go.is_set() or stopped.is_set()):
                time.sleep(0.001)
            return build_metadata_index(folder, segment, rows, pins, stopped)

        monkeypatch.setattr(metadata_indexing, "build_metadata_index", build)


@contextmanager
def running(*threads: threading.Thread) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(2 * DEADLINE_S)
    assert not any(thread.is_alive() for thread in threads)
