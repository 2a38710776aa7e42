# Written by scripts/gen_sdk.py from _async/writes.py; edit that, and run `make gen`.
"""Writing points: in batches, several under way at once, within the server's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._sync.calls import Calls
from hxp_vector_client._sync.waiting import each, in_flight
from hxp_vector_client.arrays import MatrixLike
from hxp_vector_client.columns import (
    Columns,
    IdLike,
    Metadata,
    NewPoint,
    columns_of,
    cut,
    make_columns,
    plain_id,
)
from hxp_vector_client.errors import VectorError
from hxp_vector_client.filters import FilterLike, filter_json
from hxp_vector_client.frames import FrameColumns, points_of
from hxp_vector_client.models import Inserted, Job, MetadataChanged
from hxp_vector_client.options import MetadataChange, ProgressCallback, WriteOptions, checked
from hxp_vector_client.requests import Request
from hxp_vector_client.writing import Mode, Order, Tally, split_options


class Writes:
    """Part of the client."""

    _calls: Calls

    def upsert(
        self,
        collection: str,
        vectors: MatrixLike | None = None,
        *,
        ids: Iterable[IdLike] | None = None,
        texts: Sequence[str | None] | None = None,
        metadata: Sequence[Metadata | None] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Inserted:
        """Store points, durable on return; those whose id is there already are replaced.

        vectors: shape (n, dimension), sent as float32; or texts, for the collection's model. ids: made here
        when missing. More than one request carries are sent in batches, several at once; when one fails the
        error is raised, the others end, and `points_done` of the error says how many points were stored.
        Options: see WriteOptions.
        """
        return self._columns("upsert", collection, vectors, (ids, texts, metadata), options)

    def insert(
        self,
        collection: str,
        vectors: MatrixLike | None = None,
        *,
        ids: Iterable[IdLike] | None = None,
        texts: Sequence[str | None] | None = None,
        metadata: Sequence[Metadata | None] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Inserted:
        """As upsert, but points that are there already are left alone, and named as skipped."""
        return self._columns("insert", collection, vectors, (ids, texts, metadata), options)

    def update(
        self,
        collection: str,
        vectors: MatrixLike | None = None,
        *,
        ids: Iterable[IdLike] | None = None,
        texts: Sequence[str | None] | None = None,
        metadata: Sequence[Metadata | None] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Inserted:
        """As upsert, but only points that are there already are written, the others named as skipped."""
        return self._columns("update", collection, vectors, (ids, texts, metadata), options)

    def write_points(
        self,
        collection: str,
        points: Sequence[NewPoint | Mapping[str, Any]],
        *,
        mode: Mode = "upsert",
        **options: Unpack[WriteOptions],
    ) -> Inserted:
        """Store points that are objects, see NewPoint."""
        _, sent, progress = split_options(checked(WriteOptions, options))
        return self._write(Order(collection, mode, sent), columns_of(points), progress)

    def write_frame(
        self,
        collection: str,
        frame: Any,
        columns: FrameColumns | None = None,
        *,
        mode: Mode = "upsert",
        **options: Unpack[WriteOptions],
    ) -> Inserted:
        """Store the rows of a pandas or polars DataFrame, or of a pyarrow Table.

        columns: which hold what; else `vector`, `id` if it is there, and all others are metadata. Raises
        InvalidArgument.
        """
        points = points_of(frame, columns)
        named = (points["ids"], points["texts"], points["metadata"])
        return self._columns(mode, collection, points["vectors"], named, options)

    def stream(
        self,
        collection: str,
        points: Iterable[NewPoint | Mapping[str, Any]] | Iterable[NewPoint | Mapping[str, Any]],
        *,
        mode: Mode = "upsert",
        total: int | None = None,
        **options: Unpack[WriteOptions],
    ) -> Tally:
        """Store however many points there are: read as they are sent, so that few are in memory.

        total: how many there will be, for progress. Answers numbers, and no ids.
        """
        _, sent, progress = split_options(checked(WriteOptions, options))
        order = Order(collection, mode, sent)
        tally = Tally()

        def send(batch: tuple[int, Columns]) -> Inserted:
            return self._send(order, batch)

        try:
            for part in in_flight(send, self._batches(points), self._calls.settings.batches.parallel):
                tally.add(part)
                if progress is not None:
                    progress(tally.points, total)
        except VectorError as error:
            error.points_done = tally.points
            raise
        return tally

    def delete(
        self,
        collection: str,
        ids: Sequence[IdLike] | None = None,
        *,
        filter: FilterLike | None = None,
    ) -> int:
        """Remove points by id (up to 2,000), or all that match a filter. Answers how many were there."""
        named = None if ids is None else [plain_id(one) for one in ids]
        body = {"collection": collection, "ids": named, "filter": filter_json(filter)}
        answer = self._calls.call(Request(operations.DELETE_POINTS, body))
        return int(answer["deleted"])

    def set_metadata(
        self,
        collection: str,
        ids: Sequence[IdLike] | None = None,
        *,
        filter: FilterLike | None = None,
        **change: Unpack[MetadataChange],
    ) -> MetadataChanged:
        """Change the metadata of points by id, or of all that match a filter.

        merge: keys to set; replace: the whole object; delete: fields to take out; expires_at.
        """
        body: dict[str, Any] = {"collection": collection, **checked(MetadataChange, change)}
        if ids is not None:
            body["ids"] = [plain_id(one) for one in ids]
        if filter is not None:
            body["filter"] = filter_json(filter)
        return MetadataChanged.read(self._calls.call(Request(operations.SET_METADATA, body)))

    def _columns(
        self,
        mode: Mode,
        collection: str,
        vectors: object,
        named: tuple[Any, Any, Any],
        options: Mapping[str, Any],
    ) -> Inserted:
        others, sent, progress = split_options(checked(WriteOptions, options))
        ids, texts, metadata = named
        columns = make_columns(vectors, ids, texts, metadata, others)
        return self._write(Order(collection, mode, sent), columns, progress)

    def _write(self, order: Order, columns: Columns, progress: ProgressCallback | None) -> Inserted:
        total = len(columns)
        parts: list[Inserted] = []
        done = 0

        def send(batch: tuple[int, Columns]) -> Inserted:
            return self._send(order, batch)

        batches = self._calls.settings.batches
        cuts = cut(columns, batches, self._calls.session.transport.carried)
        try:
            for part in in_flight(send, cuts, batches.parallel):
                parts.append(part)
                done += len(part.ids)
                if progress is not None:
                    progress(done, total)
        except VectorError as error:
            error.points_done = done
            raise
        return parts[0] if len(parts) == 1 else Inserted.of(parts)

    def _send(self, order: Order, batch: tuple[int, Columns]) -> Inserted:
        first, columns = batch
        request = Request(operations.INSERT, order.body(), columns=columns)
        try:
            answer = self._calls.call(request)
        except VectorError as error:
            if first:
                error.add_note(f"in a batch whose first point is number {first} of the call")
            raise
        if "job_id" in answer:
            return Inserted(ids=columns.ids, versions=[None] * len(columns), jobs=[Job.read(answer)])
        return Inserted.read(answer)

    def _batches(
        self, points: Iterable[NewPoint | Mapping[str, Any]] | Iterable[NewPoint | Mapping[str, Any]]
    ) -> Iterator[tuple[int, Columns]]:
        """Batches of points as they come, each with the number of its first point."""
        batches = self._calls.settings.batches
        carried = self._calls.session.transport.carried
        most = min(batches.points, carried.points)
        held: list[NewPoint | Mapping[str, Any]] = []
        first = 0
        for point in each(points):
            held.append(point)
            if len(held) >= most:
                for begin, columns in cut(columns_of(held), batches, carried):
                    yield first + begin, columns
                first += len(held)
                held = []
        if held:
            for begin, columns in cut(columns_of(held), batches, carried):
                yield first + begin, columns
