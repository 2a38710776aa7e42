"""Points in the schema: what a search finds, what is read, and what a write answers."""

from __future__ import annotations

from typing import Any, Final

import orjson
import strawberry
from strawberry import Parent

from hanax.gateway.graphql.cost import Cost
from hanax.gateway.graphql.scalars import Vector, VectorEncoding, encode_vector
from hanax.gateway.graphql.shapes import Shapes, list_of, optional_of
from hanax.gateway.schemas import models as model_schemas
from hanax.gateway.schemas import points as point_schemas

# Numbers are many: a vector costs more to answer than a value.
VECTOR_COST: Final = Cost(weight=10)


def vector_field(key: str, description: str) -> Any:
    """A vector that is fetched because it is asked for. key: where the answer of other doors has it."""

    def resolve(root: Parent[dict[str, Any]], encoding: VectorEncoding = VectorEncoding.LIST) -> object:
        return encode_vector(root.get(key), encoding)

    return strawberry.field(
        resolve, description=description, graphql_type=optional_of(Vector), directives=[VECTOR_COST]
    )


def provenance_field(shapes: Shapes) -> Any:
    """Of a vector that was embedded here: other doors pass it on as it is stored."""

    def resolve(root: Parent[dict[str, Any]]) -> Any:
        stored = root.get("provenance")
        return None if stored is None else orjson.loads(orjson.dumps(stored))

    kind = shapes.known(point_schemas.Provenance) or shapes.object(point_schemas.Provenance, "Provenance")
    return strawberry.field(
        resolve, description="of a vector that was embedded here", graphql_type=optional_of(kind)
    )


def entries(key: str, kind: Any, cost: int) -> Any:
    """A list whose entries cost more than one value each."""

    def resolve(root: Parent[dict[str, Any]]) -> Any:
        return root[key]

    return strawberry.field(resolve, graphql_type=list_of(kind), directives=[Cost(weight=cost)])


def _embeddings(root: Parent[dict[str, Any]], encoding: VectorEncoding = VectorEncoding.LIST) -> object:
    rows = root.get("embeddings")
    return None if rows is None else [encode_vector(row, encoding) for row in rows]


class PointTypes:
    def __init__(self, shapes: Shapes, job: Any) -> None:
        """job: the type of jobs, which answers where a model queues its texts."""
        vector = vector_field("vector", "the point's vector")
        provenance = provenance_field(shapes)
        shapes.object(point_schemas.Hit, "Hit", vector=vector, provenance=provenance)
        point_vector = vector_field("embedding", "the point's vector")
        self.point = shapes.object(
            point_schemas.Vector,
            "Point",
            without=["embedding"],
            vector=point_vector,
            provenance=provenance_field(shapes),
        )
        self.points = shapes.object(point_schemas.Vectors, "Points")
        self.page = shapes.object(point_schemas.Page, "PointPage")
        self.results = shapes.object(point_schemas.SearchResults, "SearchResults")
        self.batch = shapes.object(point_schemas.BatchResults, "BatchResults")
        self.groups = shapes.object(point_schemas.Groups, "Groups")
        self.facet = shapes.object(point_schemas.Facet, "Facet")
        self.values = shapes.object(point_schemas.Values, "Values")
        self.inserted = shapes.object(
            point_schemas.Inserted, "InsertResult", loose=True, job=optional_of(job)
        )
        self.deleted = shapes.object(point_schemas.Deleted, "DeleteResult")
        self.changed = shapes.object(point_schemas.MetadataChanged, "MetadataChanged")
        self.embeddings = shapes.object(
            model_schemas.Embeddings,
            "Embeddings",
            loose=True,
            embeddings=strawberry.field(
                _embeddings,
                description="one per text, in order",
                graphql_type=optional_of(list_of(Vector)),
                directives=[VECTOR_COST],
            ),
            job=optional_of(job),
        )
