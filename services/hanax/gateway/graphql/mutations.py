"""Mutations. Those of one document are made one after the other."""

from __future__ import annotations

from typing import Annotated, Any, Final

import strawberry

from hanax.core.specs import CollectionSpec
from hanax.gateway.change_requests import AliasSwitchRequest, MetadataRequest
from hanax.gateway.embedding_requests import EmbeddingRequest
from hanax.gateway.graphql import inputs
from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost
from hanax.gateway.graphql.fields import answers
from hanax.gateway.graphql.inputs import Told
from hanax.gateway.graphql.library_mutations import LibraryMutations
from hanax.gateway.graphql.platform_fields import PlatformMutations
from hanax.gateway.graphql.scalars import Json
from hanax.gateway.graphql.shapes import list_of
from hanax.gateway.graphql.types import TYPES
from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.renderings.collections import render_described
from hanax.gateway.renderings.jobs import render_job
from hanax.gateway.renderings.models import render_embedded
from hanax.gateway.renderings.points import render_inserted
from hanax.gateway.requests import DeleteRequest, InsertRequest, parse_change, parse_request

_WRITE: Final = Cost(weight=100)
_DECLARE: Final = Cost(weight=500)


@strawberry.type
class Mutation(LibraryMutations, PlatformMutations):
    @answers(
        TYPES.points.inserted,
        "Store points, durable on return; `job` alone where their model queues texts",
        _WRITE,
    )
    async def insert_vectors(self, info: Info, input: Annotated[Told, inputs.INSERT]) -> Any:
        asked = parse_request(InsertRequest, input)
        async with info.context.part("insertVectors") as call:
            done = await info.context.services.points.insert(call, asked)
        if isinstance(done, Queued):
            return {"ids": done.ids, "job": render_job(done.job)}
        return render_inserted(done)

    @answers(TYPES.points.deleted, "Delete points by id, or all that match a filter", _WRITE)
    async def delete_vectors(self, info: Info, input: Annotated[Told, inputs.DELETE]) -> Any:
        asked = parse_request(DeleteRequest, input)
        async with info.context.part("deleteVectors") as call:
            return {"deleted": await info.context.services.points.delete(call, asked)}

    @answers(
        TYPES.points.changed,
        "Set, replace or delete metadata of points, by id or of all that match a filter",
        _WRITE,
    )
    async def update_metadata(self, info: Info, input: Annotated[Told, inputs.METADATA]) -> Any:
        asked = parse_request(MetadataRequest, input)
        async with info.context.part("updateMetadata") as call:
            done = await info.context.services.metadata_changes.change(call, asked)
        known = done.versions
        return {
            "matched": done.matched,
            "updated": done.updated,
            "ids": None if known is None else list(known),
            "versions": None if known is None else list(known.values()),
            "missing": done.missing,
        }

    @answers(TYPES.points.embeddings, "Embed texts; `job` alone where the model queues them", _WRITE)
    async def generate_embedding(self, info: Info, input: Annotated[Told, inputs.EMBEDDING]) -> Any:
        asked = parse_request(EmbeddingRequest, input)
        async with info.context.part("generateEmbedding") as call:
            made = await info.context.services.generation.generate(call, asked)
        return {"job": render_job(made.job)} if isinstance(made, Queued) else render_embedded(made)

    @answers(TYPES.collection, "Create a collection, ready for points on return", _DECLARE)
    async def create_collection(self, info: Info, input: Annotated[Told, inputs.COLLECTION]) -> Any:
        spec = parse_request(CollectionSpec, input)
        async with info.context.part("createCollection") as call:
            return render_described(await info.context.services.collections.create(call, spec))

    @answers(
        TYPES.collection,
        "Change how a collection is indexed; what is left out stays, null is the default",
        _DECLARE,
    )
    async def update_collection(
        self, info: Info, name: str, input: Annotated[Told, inputs.COLLECTION_CHANGE]
    ) -> Any:
        change = parse_change(input)
        async with info.context.part("updateCollection") as call:
            return render_described(await info.context.services.collections.update(call, name, change))

    @answers(
        TYPES.collection_deleted,
        "Delete a collection and all its points; with_aliases: and its other names",
        _DECLARE,
    )
    async def delete_collection(self, info: Info, name: str, with_aliases: bool = False) -> Any:
        async with info.context.part("deleteCollection") as call:
            deleted = await info.context.services.collections.delete(call, name, with_aliases)
        return {"name": deleted, "deleted": True}

    @answers(
        list_of(TYPES.alias), "Make, move and remove aliases at one moment; all that there are then", _DECLARE
    )
    async def switch_aliases(self, info: Info, input: Annotated[Told, inputs.ALIASES]) -> Any:
        asked = parse_request(AliasSwitchRequest, input)
        async with info.context.part("switchAliases") as call:
            found = await info.context.services.aliases.switch(call, asked)
        return [{"alias": alias, "collection": name} for alias, name in sorted(found.items())]

    @answers(TYPES.job, "Queue a job: the JSON that POST /api/v1/jobs takes, with its items", _WRITE)
    async def submit_job(
        self, info: Info, job: Annotated[Any, strawberry.argument(graphql_type=Json)]
    ) -> Any:
        async with info.context.part("submitJob") as call:
            return render_job(await info.context.services.submissions.submit(call, job))

    @answers(TYPES.job, "Cancel a job that has not ended; what it has stored already stays", _WRITE)
    async def cancel_job(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("cancelJob") as call:
            return render_job(await info.context.services.jobs.cancel(call, id))

    @answers(TYPES.job, "Remove a job that has ended, with its files; as it was", _WRITE)
    async def forget_job(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("forgetJob") as call:
            return render_job(await info.context.services.jobs.forget(call, id))

    @answers(TYPES.job, "Begin nothing new of a job that is queued or runs", _WRITE)
    async def pause_job(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("pauseJob") as call:
            return render_job(await info.context.services.jobs.pause(call, id))

    @answers(TYPES.job, "Queue a job that is paused", _WRITE)
    async def resume_job(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("resumeJob") as call:
            return render_job(await info.context.services.jobs.resume(call, id))

    @answers(
        TYPES.job,
        "Queue a partial or failed job again: its failed items, and what it had not come to",
        _WRITE,
    )
    async def retry_job(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("retryJob") as call:
            return render_job(await info.context.services.jobs.retry(call, id))
