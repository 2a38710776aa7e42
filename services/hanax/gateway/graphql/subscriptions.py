"""Subscriptions: what changes, as it is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import strawberry

from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost
from hanax.gateway.graphql.fields import follows
from hanax.gateway.graphql.types import TYPES
from hanax.gateway.renderings.jobs import render_job


@strawberry.type
class Subscription:
    @follows(TYPES.job, "A job as it is, then each of its changes; ends with the job", Cost(weight=100))
    async def job_progress(self, info: Info, id: strawberry.ID) -> AsyncIterator[Any]:
        async with info.context.part("jobProgress") as call:
            job = await info.context.services.jobs.get(call, id)
        # Such a client waits, and nothing is worked on for it.
        with info.context.call.away():
            async for change in info.context.services.followers.follow(job, -1):
                if change.job is not None:
                    yield render_job(change.job)
