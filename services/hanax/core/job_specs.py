"""What a batch job is to do: the body of POST /api/v1/jobs, and what the batch processor reads.

A job has items: those of `items`, or the rows of an upload. Where a job is kept, `items` is empty and
`format` is set: items that came in the body are kept as an upload in JSON lines too.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, SkipValidation, TypeAdapter, model_validator

from hanax.core.index_specs import Spec
from hanax.core.limits import MAX_BATCH_POINTS, MAX_DIMENSION
from hanax.core.specs import CollectionName, ModelName


class JobKind(StrEnum):
    BULK_EMBED = "bulk_embed"
    BULK_INSERT = "bulk_insert"
    REEMBED = "reembed"


class UploadFormat(StrEnum):
    """npy: a two-dimensional array of floats, C order. fvecs: of each row its length as int32, then
    float32.
    """

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    NPY = "npy"
    FVECS = "fvecs"


class ResultFormat(StrEnum):
    """jsonl: a line for each item that was embedded. npy: float32[n, d] in the items' order, NaN for failed
    ones.
    """

    JSONL = "jsonl"
    NPY = "npy"


# PostgreSQL's text can't hold the NUL character.
FieldName = Annotated[str, Field(max_length=512, pattern=r"^[^\x00]+$")]
Items = Annotated[
    SkipValidation[list[dict[str, Any]]],
    Field(description=f"1 to {MAX_BATCH_POINTS} rows, in place of an upload; each is an object"),
]
IdField = Annotated[
    FieldName | None,
    Field(description="field of a row's id; rows without one get an id made of the job's and their number"),
]
MetadataFrom = Annotated[
    Literal["auto", "object", "rest", "none"],
    Field(
        description="of a row. object: its field metadata; rest: its other fields; auto: the object where "
        "there is one, else the rest"
    ),
]
Mode = Annotated[
    Literal["upsert", "insert", "update"],
    Field(description="insert: only points that are not there yet; update: only those that are"),
]
LongTexts = Annotated[
    Literal["truncate", "refuse", "split"],
    Field(
        description="a text that is longer than the model reads: refuse makes it a failed item, split takes "
        "the mean of its parts"
    ),
]


class _Job(Spec):
    batch_size: int = Field(
        100,
        ge=1,
        le=10_000,
        description=f"items that are done together; one call carries at most {MAX_BATCH_POINTS}",
    )
    priority: int = Field(5, ge=0, le=9, description="9 before 8 before 7; of equals the oldest first")
    on_error: Literal["continue", "stop"] = Field(
        "continue", description="stop: the job fails with its first failed item; continue: the others go on"
    )


class _JobWithItems(_Job):
    items: Items = Field(default_factory=list)
    format: UploadFormat | None = Field(None, description="of the uploaded file; none: by the file's name")

    @model_validator(mode="after")
    def _items_are_rows(self) -> _JobWithItems:
        # SkipValidation: anything may be there.
        items: object = self.items
        if not isinstance(items, list) or len(items) > MAX_BATCH_POINTS:
            raise ValueError(
                f"items: expected a list of 1 to {MAX_BATCH_POINTS} objects; upload a file for more"
            )
        if "items" in self.model_fields_set and not items:
            raise ValueError("items: expected at least one")
        return self


class BulkEmbed(_JobWithItems):
    """Texts to vectors: into a collection, or into a result file."""

    kind: Literal[JobKind.BULK_EMBED]
    model: ModelName = Field("auto", description="auto: the collection's, else the first that is served")
    collection: CollectionName | None = Field(None, description="none: the vectors are a result file")
    rows: Literal["fields", "points"] = Field(
        "fields",
        description="points: each row is a point as an insert takes it, with text, vector or embedding, id, "
        "metadata, if_version, expires_at; it needs a collection, and text_field, id_field and metadata are "
        "not looked at",
    )
    text_field: FieldName = Field("text", description="field of a row that is embedded")
    id_field: IdField = "id"
    metadata: MetadataFrom = "auto"
    mode: Mode = "upsert"
    long_texts: LongTexts = "truncate"
    result_format: ResultFormat = ResultFormat.JSONL
    purpose: Literal["query", "document", "none"] = Field(
        "document", description="what the texts are for; in a collection always document"
    )
    normalize: bool = Field(True, description="scale vectors of a result file to length 1")
    dimensions: int | None = Field(
        None,
        ge=1,
        le=MAX_DIMENSION,
        description="first numbers alone, in a result file, of models trained for it",
    )

    @model_validator(mode="after")
    def _fits_where_it_goes(self) -> BulkEmbed:
        if self.collection is None and self.rows == "points":
            raise ValueError("rows: points need a collection")
        if self.collection is not None:
            for name in ("normalize", "dimensions", "result_format", "purpose"):
                # Not model_fields_set: a job that is kept has all fields.
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name}: goes with a result file; leave it or collection out")
        return self


class BulkInsert(_JobWithItems):
    """Vectors into a collection."""

    kind: Literal[JobKind.BULK_INSERT]
    collection: CollectionName
    vector_field: FieldName = Field(
        "vector", description="field of a row with its numbers; of npy and fvecs the row"
    )
    id_field: IdField = "id"
    metadata: MetadataFrom = "auto"
    mode: Mode = "upsert"


class Reembed(_Job):
    """All points of a collection that have a text, with another model, into a new collection."""

    kind: Literal[JobKind.REEMBED]
    collection: CollectionName = Field(description="that is read, by its name or an alias")
    target: CollectionName = Field(
        description="the new one: as the first, but for its model and the model's dimension"
    )
    model: ModelName
    text_field: FieldName = Field("text", description="metadata field of a point that holds its text")
    long_texts: LongTexts = "truncate"
    alias: CollectionName | None = Field(
        None, description="is pointed to the new collection when no point failed; none: nothing is switched"
    )


JobSpec = Annotated[BulkEmbed | BulkInsert | Reembed, Field(discriminator="kind")]
JOB_SPEC: TypeAdapter[BulkEmbed | BulkInsert | Reembed] = TypeAdapter(JobSpec)
# Of each kind, as the body of a request.
SPEC_BY_KIND: dict[JobKind, type[BulkEmbed] | type[BulkInsert] | type[Reembed]] = {
    JobKind.BULK_EMBED: BulkEmbed,
    JobKind.BULK_INSERT: BulkInsert,
    JobKind.REEMBED: Reembed,
}
