"""Texts that a model queues: requests that are answered with a job, of the kind bulk_embed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from hanax.core.ids import PointId, decode_id
from hanax.core.job_specs import BulkEmbed, JobKind
from hanax.core.routing import CollectionRoute
from hanax.gateway.batches import Batch
from hanax.gateway.calls import Call
from hanax.gateway.embedding_requests import EmbedOptions
from hanax.gateway.jobs.submissions import Submissions, order_of
from hanax.gateway.models.registry import Model
from hanax.gateway.requests import InsertRequest
from hanax.metadata.jobs.job import Job

# A job runs with the rights of the platform.
_JOBS: Final = "a job"
# Items that are done together.
_BATCH: Final = 100

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Queued:
    """ids: of the points, in the order sent; None where texts are embedded for their own sake."""

    job: Job
    ids: list[PointId] | None = None


class Queueing:
    """Each method raises DatabaseNotConfigured, DatabaseUnavailable, and Overloaded for too many jobs."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions

    async def texts(self, call: Call, model: Model, texts: Sequence[str], options: EmbedOptions) -> Queued:
        """Into a result file: item i is text i."""
        call.caller.require_unconfined(_JOBS)
        spec = BulkEmbed(
            kind=JobKind.BULK_EMBED,
            model=model.route.name,
            id_field=None,
            metadata="none",
            purpose=options.purpose,
            normalize=options.normalize,
            dimensions=options.dimensions,
            long_texts=options.long_texts,
            batch_size=_BATCH,
        )
        order = order_of(spec, None, model.route.name)
        return Queued(await self._submissions.submit_items(call, order, [{"text": text} for text in texts]))

    async def points(
        self, call: Call, route: CollectionRoute, model: Model, request: InsertRequest, batch: Batch
    ) -> Queued:
        """Into the collection: item i is point i. batch: of the request, checked."""
        call.caller.require_unconfined(_JOBS)
        spec = BulkEmbed(
            kind=JobKind.BULK_EMBED,
            model=model.route.name,
            collection=route.spec.name,
            rows="points",
            mode=request.mode,
            long_texts=request.long_texts,
            batch_size=_BATCH,
        )
        ids = [decode_id(encoded) for encoded in batch.ids]
        # Each was checked when the batch was parsed.
        points = cast("list[dict[str, Any]]", request.vectors)
        items = [_item(point, ids[row], batch, row) for row, point in enumerate(points)]
        order = order_of(spec, route, model.route.name)
        return Queued(await self._submissions.submit_items(call, order, items), ids)


def _item(point: dict[str, Any], point_id: PointId, batch: Batch, row: int) -> dict[str, Any]:
    """The point as it was meant when it was sent: with its id, and with the instant that its life ends."""
    item = {key: value for key, value in point.items() if value is not None and key != "ttl_seconds"}
    item["id"] = point_id
    if point.get("ttl_seconds") is not None:
        ends = _EPOCH + timedelta(microseconds=batch.expires_at_us[row])
        item["expires_at"] = ends.isoformat()
    return item
