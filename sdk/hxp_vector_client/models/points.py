"""Points, and what is found among them. Vectors are numpy float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hxp_vector_client.arrays import Array, VectorField, stack
from hxp_vector_client.models.base import Model
from hxp_vector_client.models.jobs import Job

Id = int | str
# Of a metadata field.
Value = str | int | float | bool | None


class Provenance(Model):
    """Of a vector that was embedded by the server."""

    model: str
    version: str
    pattern: str
    at: datetime
    content_hash: str


class _Stored(Model):
    """created_at, updated_at: None where the transport was not asked for them. expires_at: None: never."""

    id: Id
    metadata: dict[str, Any] | None = None
    provenance: Provenance | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    version: int | None = None


class Hit(_Stored):
    """score: larger is nearer. What was not asked for is None."""

    score: float
    vector: VectorField | None = None


class Point(_Stored):
    """What was not asked for is None. model: the collection's embedding model."""

    vector: VectorField | None = Field(None, alias="embedding")
    collection: str = ""
    model: str | None = None


class SearchResults(Model):
    """Best first. A sequence of hits. has_more, total_count, explanation: if asked for."""

    hits: list[Hit] = Field(alias="results")
    truncated: bool = False
    has_more: bool | None = None
    total_count: int | None = None
    total_is_exact: bool | None = None
    explanation: list[dict[str, Any]] | None = None

    @property
    def ids(self) -> list[Id]:
        return [hit.id for hit in self.hits]

    @property
    def scores(self) -> NDArray[np.float64]:
        """float64 of shape (n,), descending."""
        return np.array([hit.score for hit in self.hits], dtype=np.float64)

    @property
    def vectors(self) -> Array:
        """float32 of shape (n, dimension). Raises InvalidArgument if they were not asked for."""
        return stack(hit.vector for hit in self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: int) -> Hit:
        return self.hits[place]

    def __iter__(self) -> Iterator[Hit]:  # type: ignore[override]
        return iter(self.hits)


class Group(Model):
    """value: of the field that is grouped by."""

    value: Value
    hits: list[Hit] = Field(alias="results")


class Groups(Model):
    """By the score of their best hits."""

    groups: list[Group]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: int) -> Group:
        return self.groups[place]

    def __iter__(self) -> Iterator[Group]:  # type: ignore[override]
        return iter(self.groups)


class Points(Model):
    """In the order asked for. A sequence of points. missing: ids that no point has."""

    points: list[Point] = Field(alias="vectors")
    missing: list[Id] = Field(default_factory=list)

    @property
    def ids(self) -> list[Id]:
        return [point.id for point in self.points]

    @property
    def vectors(self) -> Array:
        """float32 of shape (n, dimension). Raises InvalidArgument if vectors were not asked for."""
        return stack(point.vector for point in self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, place: int) -> Point:
        return self.points[place]

    def __iter__(self) -> Iterator[Point]:  # type: ignore[override]
        return iter(self.points)


class Page(Model):
    """next_cursor: None on the last page."""

    points: list[Point] = Field(alias="vectors")
    next_cursor: str | None = None


class ValueCount(Model):
    value: Value
    count: int


class Facet(Model):
    """The most frequent values first. distinct: how many there are. matches: points that match the filter."""

    values: list[ValueCount]
    distinct: int
    matches: int


class ValuesPage(Model):
    values: list[Value]
    next_cursor: str | None = None


class Inserted(Model):
    """What a write did, all its batches together.

    ids: of all points, in the order sent. versions: likewise; None where nothing was written. skipped: left
    alone by the mode. truncated, split: whose text the model read in part, or in parts. jobs: that store the
    points, where the collection's model queues texts.
    """

    inserted: int = 0
    updated: int = 0
    ids: list[Id] = Field(default_factory=list)
    versions: list[int | None] = Field(default_factory=list)
    skipped: list[Id] = Field(default_factory=list)
    truncated: list[Id] = Field(default_factory=list)
    split: list[Id] = Field(default_factory=list)
    jobs: list[Job] = Field(default_factory=list)

    @classmethod
    def of(cls, parts: Sequence[Inserted]) -> Inserted:
        return cls(
            inserted=sum(part.inserted for part in parts),
            updated=sum(part.updated for part in parts),
            ids=[one for part in parts for one in part.ids],
            versions=[one for part in parts for one in part.versions],
            skipped=[one for part in parts for one in part.skipped],
            truncated=[one for part in parts for one in part.truncated],
            split=[one for part in parts for one in part.split],
            jobs=[one for part in parts for one in part.jobs],
        )


class MetadataChanged(Model):
    """matched: points that were there. ids, versions, missing: not told for a filter."""

    matched: int
    updated: int
    ids: list[Id] | None = None
    versions: list[int] | None = None
    missing: list[Id] | None = None
