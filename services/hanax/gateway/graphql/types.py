"""The objects of the schema: what REST answers, with fields between them."""

from __future__ import annotations

from typing import Any, Final

import strawberry
from strawberry import Parent

from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost
from hanax.gateway.graphql.library_types import LibraryTypes
from hanax.gateway.graphql.platform_types import PlatformTypes
from hanax.gateway.graphql.points import PointTypes
from hanax.gateway.graphql.scalars import Long, PointId
from hanax.gateway.graphql.shapes import Shapes, list_of, optional_of
from hanax.gateway.models.status import model_statuses
from hanax.gateway.renderings.collections import render_described
from hanax.gateway.renderings.models import render_status
from hanax.gateway.schemas import collections as collection_schemas
from hanax.gateway.schemas import jobs as job_schemas
from hanax.gateway.schemas import models as model_schemas

# Asked of every shard of the collection.
_DESCRIBED: Final = Cost(weight=10)


def _described(key: str, kind: Any, description: str) -> Any:
    """What the shards of a collection tell: all of it with one question, however much is asked for."""

    async def resolve(root: Parent[dict[str, Any]], info: Info) -> Any:
        if key not in root:
            root = render_described(await info.context.loaders.collections.load(root["name"]))
        return root[key]

    return strawberry.field(
        resolve, description=description, graphql_type=optional_of(kind), directives=[_DESCRIBED]
    )


def _model_field(model: Any) -> Any:
    def resolve(root: Parent[dict[str, Any]], info: Info) -> Any:
        name = root["embedding_model"]
        found = [one for one in model_statuses(info.context.services.models) if one.route.name == name]
        return render_status(found[0]) if found else None

    return strawberry.field(
        resolve, description="how the model is that embeds texts", graphql_type=optional_of(model)
    )


class Types:
    """All objects, by what they are called here."""

    def __init__(self) -> None:
        shapes = Shapes()
        self.job = shapes.object(job_schemas.Job, "Job", without=["ids"], ids=optional_of(list_of(PointId)))
        self.queue = shapes.object(job_schemas.Queue, "JobQueue")
        self.failed_items = shapes.object(job_schemas.FailedItems, "FailedItems", without=["next_cursor"])
        self.model = shapes.object(model_schemas.ModelStatus, "Model")
        self.ranking = shapes.object(model_schemas.Ranking, "Ranking")
        described = collection_schemas.CollectionDescription.model_fields
        totals = shapes.object(collection_schemas.IndexTotals, "IndexTotals")
        indexes = shapes.object(collection_schemas.MetadataIndexes, "MetadataIndexes")
        shard = shapes.object(collection_schemas.Shard, "Shard")
        self.collection = shapes.object(
            collection_schemas.Collection,
            "Collection",
            points=_described("points", Long, described["points"].description or ""),
            index_totals=_described("index_totals", totals, "sums of all shards"),
            metadata_indexes=_described("metadata_indexes", indexes, "sums of all shards"),
            shard_states=_described("shard_states", list_of(shard), "what each shard tells"),
            model=_model_field(self.model),
        )
        self.collections = shapes.object(
            collection_schemas.CollectionList,
            "CollectionPage",
            collections=list_of(self.collection),
            next_cursor=optional_of(str),
        )
        self.jobs = shapes.object(
            job_schemas.JobList, "JobPage", jobs=list_of(self.job), next_cursor=optional_of(str)
        )
        self.collection_deleted = shapes.object(collection_schemas.CollectionDeleted, "CollectionDeleted")
        self.alias = shapes.object(collection_schemas.Alias, "Alias")
        self.points = PointTypes(shapes, self.job)
        self.libraries = LibraryTypes(shapes)
        self.platform = PlatformTypes(shapes)


TYPES: Final = Types()
