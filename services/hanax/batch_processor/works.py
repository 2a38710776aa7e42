"""What each kind of job does with a claimed task: from its spec to feed and target, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from citadel.vector.v1 import vector_pb2 as pb
from hanax.batch_processor.batches import Feed, Target
from hanax.batch_processor.columns import TableReader
from hanax.batch_processor.divisions import Division
from hanax.batch_processor.feeds import FileFeed, Lookup, RetryFeed, Sizes, TableFeed
from hanax.batch_processor.flow import Flow
from hanax.batch_processor.gateway import Gateway
from hanax.batch_processor.metrics import BatchMetrics
from hanax.batch_processor.patience import Patience, Waiting
from hanax.batch_processor.points import PointReader, Shape
from hanax.batch_processor.reembedding import KeptPoints, Pages, ScrollFeed
from hanax.batch_processor.results import put_together
from hanax.batch_processor.sources import Item, Part
from hanax.batch_processor.sources.tables import TableSource
from hanax.batch_processor.targets import CollectionTarget, Into, ResultTarget
from hanax.batch_processor.task_runs import Ended, Lease, TaskRun
from hanax.batch_processor.uploaded import Uploaded
from hanax.core.distances import Metric
from hanax.core.errors import Internal
from hanax.core.job_specs import JOB_SPEC, BulkEmbed, BulkInsert, Reembed
from hanax.metadata.jobs.job import Job
from hanax.metadata.jobs.task import Claim, FoundPart

_METRICS = {
    pb.METRIC_COSINE: Metric.COSINE,
    pb.METRIC_DOT: Metric.DOT,
    pb.METRIC_EUCLIDEAN: Metric.EUCLIDEAN,
    pb.METRIC_MANHATTAN: Metric.MANHATTAN,
}


@dataclass(frozen=True, slots=True)
class Means:
    """What tasks are done with. added: told when a division has added tasks."""

    gateway: Gateway
    lease: Lease
    uploaded: Uploaded
    waiting: Waiting
    metrics: BatchMetrics
    added: Callable[[], None]


class Works:
    def __init__(self, means: Means) -> None:
        self._means = means

    async def divide(self, claim: Claim, flow: Flow) -> None:
        """Raises what fails the job."""
        means, job = self._means, claim.job
        patience = Patience(means.waiting, flow)
        division = Division(means.lease.work, claim, means.added)
        spec = JOB_SPEC.validate_python(job.spec)
        if isinstance(spec, Reembed):
            await division.of_collection(means.gateway, patience, spec)
            return
        collection = await self._collection(patience, job)
        async with means.uploaded.source(job, spec) as source:
            await division.of_upload(source, spec, collection.spec.dimension if collection else None)

    async def run(self, claim: Claim, flow: Flow, stopping: asyncio.Event) -> Ended:
        """Raises what fails the job."""
        patience = Patience(self._means.waiting, flow)
        async with self._ends(claim, patience) as (feed, target):
            metrics = self._means.metrics.of(claim.job.kind)
            return await TaskRun(self._means.lease, claim, feed, target, flow, metrics).run(stopping)

    async def finish(self, claim: Claim, flow: Flow) -> tuple[dict[str, Any], str | None]:
        """What the job came to, and the upload of its result file. Raises what fails the job."""
        job = claim.job
        spec = JOB_SPEC.validate_python(job.spec)
        if isinstance(spec, Reembed):
            switched = spec.alias is not None and job.failed == 0
            if spec.alias is not None and switched:
                patience, alias = Patience(self._means.waiting, flow), spec.alias
                await patience.run(lambda: self._means.gateway.point_alias(alias, spec.target))
            return {"collection": spec.target, "alias": spec.alias if switched else None}, None
        if job.collection is not None or not isinstance(spec, BulkEmbed):
            return {"collection": job.collection}, None
        return await self._result(claim, spec)

    @asynccontextmanager
    async def _ends(self, claim: Claim, patience: Patience) -> AsyncIterator[tuple[Feed, Target]]:
        means, job, task = self._means, claim.job, claim.task
        spec = JOB_SPEC.validate_python(job.spec)
        sizes = Sizes(spec.batch_size)
        work = means.lease.work
        if isinstance(spec, Reembed):
            pages = Pages(means.gateway, patience, job)
            uid = task.position.get("target_uid")
            if uid is None:
                uid = (await patience.run(lambda: means.gateway.collection(spec.target))).uid
            into = Into(spec.target, str(uid), long_texts=spec.long_texts)
            target = CollectionTarget(means.gateway, patience, into)
            if task.position.get("failed"):
                yield RetryFeed(work, claim, KeptPoints(spec), sizes, _not_kept), target
            else:
                yield ScrollFeed(pages, claim, spec), target
            return
        collection = await self._collection(patience, job)
        shape = _shape(collection) if collection else None
        reader = PointReader(job, spec, shape)
        async with means.uploaded.source(job, spec) as source:
            feed: Feed
            if task.position.get("failed"):
                feed = RetryFeed(work, claim, reader, sizes, Lookup(source).find)
            else:
                part = Part(task.first, task.count, task.position)
                feed = FileFeed(source, part, reader, sizes)
                if isinstance(spec, BulkInsert) and isinstance(source, TableSource) and shape is not None:
                    feed = TableFeed(source, part, TableReader(job, spec, shape, reader), sizes)
            if collection is None:
                assert isinstance(spec, BulkEmbed)
                yield feed, ResultTarget(means.gateway, patience, job.model or spec.model, spec)
            else:
                yield feed, CollectionTarget(means.gateway, patience, _into(job, spec, collection))

    async def _collection(self, patience: Patience, job: Job) -> pb.Collection | None:
        """None: the job has none."""
        if job.collection is None:
            return None
        name, uid = job.collection, job.collection_uid
        return await patience.run(lambda: self._means.gateway.collection(name, uid))

    async def _result(self, claim: Claim, spec: BulkEmbed) -> tuple[dict[str, Any], str | None]:
        lease, job = self._means.lease, claim.job
        if job.total is None:
            raise Internal(f"job {job.id} ends before its items are counted")
        parts = await lease.work.parts(claim)

        def read(found: FoundPart) -> AsyncIterator[bytes]:
            return lease.uploads.read(found.part.upload_id, found.part.bytes)

        size = 0
        async with lease.uploads.create() as writer:
            async for piece in put_together(parts, read, spec.result_format, job.total):
                await writer.write(piece)
                size += len(piece)
            await writer.finish()
        return {"format": spec.result_format.value, "bytes": size}, writer.id


def _into(job: Job, spec: BulkEmbed | BulkInsert, collection: pb.Collection) -> Into:
    name, uid = collection.spec.name, collection.uid
    if isinstance(spec, BulkInsert):
        return Into(name, uid, spec.mode)
    own = not collection.spec.embedding_model
    return Into(name, uid, spec.mode, spec.long_texts, (job.model or "") if own else "")


def _shape(collection: pb.Collection) -> Shape:
    return Shape(collection.spec.dimension, _METRICS[collection.spec.metric])


def _not_kept(number: int) -> Item:
    return Item(number, None, {})
