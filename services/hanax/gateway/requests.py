"""What a user may ask for, field by field. Every door makes these models, whatever it parses.

Vectors, points, metadata, ids and filters are declared here and checked by code that knows the
collection: `batches`, `vectors`, `metadata`, hanax.core. pydantic would copy every number once more.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, ValidationError

from hanax.core.errors import InvalidArgument, InvalidFilter, InvalidId
from hanax.core.filter_parsing import filter_to_json, parse_filter
from hanax.core.filters import Filter
from hanax.core.ids import encode_id
from hanax.core.index_specs import SearchParameters
from hanax.core.json_values import kind_of
from hanax.core.limits import (
    MAX_BATCH_POINTS,
    MAX_FILTER_BYTES,
    MAX_SEARCH_LIMIT,
    MAX_TTL_SECONDS,
)
from hanax.core.model_routes import HYBRID_TEXTS
from hanax.core.specs import CHANGEABLE, CollectionChange, CollectionSpec
from hanax.gateway.faults import error_from_validation
from hanax.gateway.query_fields import (
    MetadataIncluded,
    Mmr,
    Offset,
    OrderBy,
    Threshold,
    Total,
    VectorsIncluded,
    VersionIncluded,
    read_order,
)

Model = TypeVar("Model", bound=BaseModel)

Id = int | str
Metadata = dict[str, Any]

CollectionField = Annotated[str, Field(description="name of the collection", examples=["docs"])]
IdList = Annotated[
    SkipValidation[list[Id]],
    Field(
        description=f"1 to {MAX_BATCH_POINTS} ids: unsigned 64-bit integers, UUIDs or strings",
        examples=[[7, "chapter-1"]],
    ),
]
FilterField = Annotated[
    SkipValidation[dict[str, Any] | list[Any] | None],
    Field(
        description="{field, operator, value}, conditions under and, or, not, or {year: {$gte: 2020}}",
        examples=[{"field": "year", "operator": "gte", "value": 2020}],
    ),
]
VectorField = Annotated[
    SkipValidation[list[float] | None],
    Field(
        description="as many numbers as the collection's dimension, or base64 of little-endian float32",
        examples=[[0.1, 0.2, 0.3]],
    ),
]
UrgentField = Annotated[
    bool,
    Field(description=f"do not queue texts: a model may queue more than {HYBRID_TEXTS} that are not urgent"),
]
LongTextsField = Annotated[
    Literal["truncate", "refuse", "split"],
    Field(
        description="a text that is longer than the model reads: truncate leaves out its tail, refuse "
        "answers text_too_long, split takes the mean of its parts"
    ),
]
LimitField = Annotated[int, Field(ge=1, le=MAX_SEARCH_LIMIT)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Point(Request):
    """One point: a vector (or embedding, the same thing), or a text for the collection's model."""

    id: Annotated[Id | None, Field(description="made by the gateway when missing")] = None
    vector: VectorField = None
    embedding: VectorField = None
    text: Annotated[str | None, Field(description='embedded, and kept in metadata under "text"')] = None
    metadata: Metadata | None = None
    if_version: Annotated[
        int | None,
        Field(description="the version that the stored point must have; 0: there must be none"),
    ] = None
    expires_at: Annotated[
        str | None,
        Field(description="from when on the point is no more, RFC 3339", examples=["2031-01-31T10:00:00Z"]),
    ] = None
    ttl_seconds: Annotated[
        int | None,
        Field(ge=1, le=MAX_TTL_SECONDS, description="after how long it is no more, in place of expires_at"),
    ] = None


WriteMode = Literal["upsert", "insert", "update"]


class InsertRequest(Request):
    """Points to store. A point whose id is there already is replaced, unless mode says otherwise."""

    collection: CollectionField
    mode: Annotated[
        WriteMode,
        Field(description="insert: only points that are not there yet; update: only those that are"),
    ] = "upsert"
    vectors: Annotated[SkipValidation[list[Point]], Field(description=f"1 to {MAX_BATCH_POINTS} points")]
    long_texts: LongTextsField = "truncate"
    urgent: UrgentField = False


class Sought(BaseModel):
    """What is searched for: one of the three."""

    vector: VectorField = None
    text: Annotated[SkipValidation[str | None], Field(description="embedded first")] = None
    id: Annotated[
        SkipValidation[Id | None], Field(description="a point, which is itself left out of the results")
    ] = None


class SearchRequest(Request, Sought, SearchParameters):
    """The nearest points to a vector, to a text, or to a point.

    Without exact, ef_search, nprobe or probes, the index does what was measured to hold the target recall.
    """

    collection: CollectionField
    limit: LimitField = 10
    offset: Offset = None
    score_threshold: Threshold = None
    filter: FilterField = None
    mmr: Annotated[Mmr | None, Field(description="results that are unlike one another")] = None
    include_metadata: MetadataIncluded = True
    include_vectors: VectorsIncluded = False
    include_version: VersionIncluded = False
    include_total: Total = False
    explain: Annotated[bool, Field(description="answer how each segment was searched")] = False


class GetRequest(Request):
    """Points by their ids."""

    collection: CollectionField
    ids: IdList
    include_metadata: MetadataIncluded = True
    include_vectors: VectorsIncluded = True
    include_version: VersionIncluded = True


class DeleteRequest(Request):
    """Which points to remove: ids, or all that match a filter."""

    collection: CollectionField
    ids: SkipValidation[list[Id] | None] = None
    filter: FilterField = None


class ScrollRequest(Request):
    """One page of all points, in an order that writes do not disturb, or by a metadata field."""

    collection: CollectionField
    filter: FilterField = None
    limit: LimitField = 100
    cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None
    order_by: Annotated[
        OrderBy | None,
        BeforeValidator(read_order),
        Field(
            description="a field, or its name for ascending",
            examples=[{"field": "year", "direction": "desc"}],
        ),
    ] = None
    include_metadata: MetadataIncluded = True
    include_vectors: VectorsIncluded = False
    include_version: VersionIncluded = False


class CountRequest(Request):
    """How many points there are, or how many match."""

    collection: CollectionField
    filter: FilterField = None


MetadataMode = Literal["merge", "replace"]

# All that a body may be, for the OpenAPI document.
BODIES: Final[list[type[BaseModel]]] = [CollectionSpec, CollectionChange, *Request.__subclasses__()]


def parse_request(model: type[Model], data: object) -> Model:
    """Make a request of decoded JSON. Raises the error of the first field that is wrong."""
    if not isinstance(data, dict):
        raise InvalidArgument(f"expected an object, got {kind_of(data)}")
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        raise error_from_validation(model, failure) from None


def parse_change(data: object) -> CollectionChange:
    """What a collection shall change; its `model_fields_set` says what. Raises InvalidArgument."""
    if isinstance(data, dict):
        changeable = ", ".join(CHANGEABLE)
        if not data:
            raise InvalidArgument(f"expected at least one of: {changeable}")
        for name in data:
            if name in CollectionSpec.model_fields and name not in CHANGEABLE:
                raise InvalidArgument(
                    f"{name}: fixed for a collection's life; what can be changed is: {changeable}"
                )
    return parse_request(CollectionChange, data)


def change_spec(spec: CollectionSpec, change: CollectionChange) -> CollectionSpec:
    """The spec with what was given in `change`. Raises InvalidArgument for what can't be built together."""
    changed = {name: getattr(change, name) for name in change.model_fields_set}
    return parse_request(CollectionSpec, {**dict(spec), **changed})


def parse_ids(ids: object) -> list[bytes]:
    """Encoded ids in order, each once. Raises InvalidArgument, or InvalidId naming the index."""
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_BATCH_POINTS:
        got = len(ids) if isinstance(ids, list) else kind_of(ids)
        raise InvalidArgument(f"ids: expected a list of 1 to {MAX_BATCH_POINTS} ids, got {got}")
    encoded: dict[bytes, None] = {}
    for index, value in enumerate(ids):
        try:
            encoded[encode_id(value)] = None
        except InvalidId as error:
            raise InvalidId(f"ids[{index}]: {error.message}", **{**error.details, "index": index}) from None
    return list(encoded)


def encode_filter(data: object) -> bytes:
    """The wire form of a filter; empty for none. Raises InvalidFilter."""
    if data is None:
        return b""
    return _encode(parse_filter(data))


def _encode(expression: Filter) -> bytes:
    raw = filter_to_json(expression)
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, got {len(raw)}")
    return raw
