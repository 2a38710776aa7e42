"""Jobs in messages: what is ordered, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from citadel.vector.v1 import jobs_pb2 as pb
from hanax.core.errors import InvalidJson
from hanax.gateway.grpc.failures import write_failure
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.grpc.words import JOB_STATE
from hanax.gateway.jobs.results import progress_of
from hanax.metadata.jobs.job import FailedItem, Job


def read_order(spec: pb.JobSpec) -> dict[str, Any]:
    """A job's spec as over REST, without its items."""
    kind = spec.WhichOneof("kind")
    told = read_message(spec, without=("bulk_embed", "bulk_insert", "reembed", "stop_on_error"))
    if kind is not None:
        told |= {"kind": kind, **read_message(getattr(spec, kind))}
    if spec.stop_on_error:
        told["on_error"] = "stop"
    if told.get("id_field") == "":
        told["id_field"] = None
    return told


def read_items(raws: Sequence[bytes]) -> list[Any]:
    """Raises InvalidJson, which names the index."""
    items: list[Any] = []
    for index, raw in enumerate(raws):
        try:
            items.append(orjson.loads(raw))
        except orjson.JSONDecodeError as error:
            raise InvalidJson(f"items[{index}]: expected JSON: {error}", index=index) from None
    return items


def write_job(job: Job) -> pb.Job:
    return pb.Job(
        id=job.id,
        kind=job.kind,
        state=JOB_STATE.write(job.state),
        model=job.model or "",
        collection=job.collection or "",
        priority=job.priority,
        progress=pb.JobProgress(**asdict(progress_of(job))),
        created_at_us=job.created_at_us,
        updated_at_us=job.updated_at_us,
        began_at_us=job.began_at_us or 0,
        ended_at_us=job.ended_at_us or 0,
        error=None if job.error is None else write_failure(job.error),
        result_json=b"" if job.result is None else orjson.dumps(job.result),
        spec_json=orjson.dumps(job.spec),
        has_result_file=job.result_upload_id is not None,
    )


def write_item(item: FailedItem) -> pb.FailedItem:
    return pb.FailedItem(
        number=item.number,
        line=item.line,
        id_json=b"" if item.id is None else orjson.dumps(item.id),
        code=item.code,
        message=item.message,
        item=item.item,
    )
