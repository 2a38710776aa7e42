"""What a shard holds, and how one record changes it.

Three kinds of picture exist of the same segments: `current` is what readers see; each of `captured` is a
moment that is being made durable in segment files; `persisted` is what the manifest names.
When maintenance replaces segments it replaces them in all three, so every picture stays true.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hanax.engine.schema import Schema, Vectors
from hanax.engine.segment.growing import GrowingSegment, NewRows
from hanax.engine.segment.view import Places, SegmentView, View, hash_ids
from hanax.engine.storage.records import Kind, Record


@dataclass(frozen=True, slots=True)
class Applied:
    """How many of a record's points were live before, and how many were not."""

    known: int
    unknown: int


class ShardState:
    """`apply` and `capture` are the writer's, `replace_segments` maintenance's; they exclude each other."""

    def __init__(self, schema: Schema, persisted: View) -> None:
        self._schema = schema
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._growing = GrowingSegment(schema)
        self.persisted = persisted
        self.captured: deque[View] = deque()
        self.current = View(persisted.sequence, (*persisted.segments, SegmentView(self._growing, 0)))

    @property
    def growing(self) -> GrowingSegment:
        return self._growing

    def apply(self, sequence: int, record: Record) -> Applied:
        """Publish the state after the record. Deterministic: it looks at the state and the record alone."""
        with self._lock:
            view = self.current
            hashes = hash_ids(record.ids)
            places = view.locate(record.ids, hashes)
            # An expired point is no point any more, though its row is live until a write buries it.
            there = _unexpired(view, places, record.time_us)
            if record.kind is Kind.UPSERT:
                created = np.full(len(record.ids), record.time_us, np.int64)
                for number, here in there.by_segment():
                    created[here] = view.segments[number].segment.created_at_us(there.rows[here])
                self._growing.append(
                    NewRows(
                        record.ids,
                        hashes,
                        record.metadata,
                        record.vectors,
                        created,
                        record.time_us,
                        sequence,
                        record.expires_at_us,
                    )
                )
            elif record.kind is Kind.METADATA:
                self._append_with_new_metadata(sequence, record, there, view)
            segments = list(view.segments)
            segments[-1] = replace(segments[-1], rows=self._growing.rows)
            for number, here in places.by_segment():
                segments[number] = segments[number].without(places.rows[here])
            self.current = View(sequence, tuple(segments))
            known = int(there.found.sum())
            return Applied(known, len(record.ids) - known)

    def capture(self) -> bool:
        """Freeze the growing segment and begin another. False when nothing is new since the last time."""
        with self._lock:
            view = self.current
            last = self.captured[-1] if self.captured else self.persisted
            if view.sequence == last.sequence:
                return False
            if self._growing.rows == 0:
                self.captured.append(View(view.sequence, view.segments[:-1]))
                return True
            self.captured.append(view)
            self._growing = GrowingSegment(self._schema)
            self.current = View(view.sequence, (*view.segments, SegmentView(self._growing, 0)))
            return True

    def go_by(self, schema: Schema) -> None:
        """What segments that begin from now on index of the metadata. The vector columns are the same."""
        with self._lock:
            self._schema = schema

    def forget(self) -> None:
        """When the shard is closed: let go of memory and mapped files now, not at a garbage collection."""
        with self._lock:
            self._growing = GrowingSegment(self._schema)
            self.persisted = self.current = View(self.current.sequence, ())
            self.captured.clear()

    def replace_segments(self, change: Callable[[View], View]) -> None:
        """Exchange segments in every picture. `change` keeps the live points of each the same."""
        with self._lock:
            self.persisted = change(self.persisted)
            self.captured = deque(change(view) for view in self.captured)
            self.current = change(self.current)

    def set_persisted(self, view: View) -> None:
        """The manifest covers the oldest capture now."""
        with self._lock:
            self.persisted = view
            self.captured.popleft()
            self._room.notify_all()

    def wait_for_room(self, most: int, timeout_s: float) -> bool:
        """Return when fewer than `most` captured moments are not durable yet; False when time is up."""
        with self._room:
            return self._room.wait_for(lambda: len(self.captured) < most, timeout_s)

    def _append_with_new_metadata(self, sequence: int, record: Record, places: Places, view: View) -> None:
        """New rows with the vectors of the old ones. Ids that are not live are passed over."""
        kept = np.flatnonzero(places.found)
        rows, segments = places.rows[kept], places.segments[kept]
        vectors: Mapping[str, Vectors] = {
            name: np.empty((len(kept), field.dimension), np.float32)
            for name, field in self._schema.fields.items()
        }
        created = np.empty(len(kept), np.int64)
        expires = np.zeros(len(kept), np.int64)
        for number, here in Places(segments, rows).by_segment():
            segment = view.segments[number].segment
            created[here] = segment.created_at_us(rows[here])
            if (times := segment.expires_at_us(rows[here])) is not None:
                expires[here] = times
            for name, column in vectors.items():
                column[here] = segment.vectors(name, rows[here])
        ids = [record.ids[place] for place in kept.tolist()]
        metadata = [record.metadata[place] for place in kept.tolist()]
        if record.expires_at_us is not None:
            expires = record.expires_at_us[kept]
        self._growing.append(
            NewRows(ids, hash_ids(ids), metadata, vectors, created, record.time_us, sequence, expires)
        )


def _unexpired(view: View, places: Places, now_us: int) -> Places:
    """Those of the places whose points have not expired."""
    segments = places.segments
    for number, here in places.by_segment():
        expires = view.segments[number].segment.expires_at_us(places.rows[here])
        if expires is not None:
            segments = segments.copy()
            segments[here] = np.where((expires > 0) & (expires <= now_us), -1, number)
    return Places(segments, places.rows)
