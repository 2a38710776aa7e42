"""What searches, reads and writes may be asked beside their subject, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

from hxp_vector_client.filters import FilterLike, filter_json

Included = bool | Sequence[str]
# Called with points that are done, and how many there are; None: not known.
ProgressCallback = Callable[[int, int | None], None]


class Mmr(TypedDict, total=False):
    """Results that are near to the query and unlike one another: diversity from 0 to 1."""

    diversity: float
    candidates: int


class _Answered(TypedDict, total=False):
    """include_metadata, include_vectors: whether, or which fields."""

    filter: FilterLike | None
    include_metadata: Included
    include_vectors: Included
    include_version: bool


class _Searched(_Answered, total=False):
    """score_threshold: the least score of a result. exact: compare every vector; ef_search (hnsw), nprobe
    (ivf), probes (lsh): how hard an index tries, in place of what was measured."""

    limit: int
    score_threshold: float | None
    exact: bool
    ef_search: int | None
    nprobe: int | None
    probes: int | None


class BatchSearchOptions(_Searched, total=False):
    """offset: results to pass over."""

    offset: int | None


class RecommendOptions(BatchSearchOptions, total=False):
    """include_total: answer how many points match the filter."""

    mmr: Mmr | None
    include_total: bool
    strategy: Literal["average_vector", "best_score"]


class SearchOptions(BatchSearchOptions, total=False):
    """include_total: answer how many points match the filter. explain: how each segment was searched."""

    mmr: Mmr | None
    include_total: bool
    explain: bool


class GroupSearchOptions(_Searched, total=False):
    """limit: groups. group_size: points of each."""

    group_size: int


class GetOptions(TypedDict, total=False):
    """include_metadata, include_vectors: whether, or which fields."""

    include_metadata: Included
    include_vectors: Included
    include_version: bool


class ScrollOptions(_Answered, total=False):
    """page_size: points in one answer. order_by: a metadata field, or {"field", "direction"}."""

    page_size: int
    order_by: str | Mapping[str, str] | None


LongTexts = Literal["truncate", "refuse", "split"]


class WriteOptions(TypedDict, total=False):
    """One entry for each point in if_versions (the version that it must have; 0: none may be there),
    expires_at and ttl_seconds. long_texts: what becomes of a text that is longer than the model reads.
    urgent: do not queue texts. progress: called with (done, total) after each batch."""

    if_versions: Sequence[int | None] | None
    expires_at: Sequence[datetime | str | None] | None
    ttl_seconds: Sequence[int | None] | None
    long_texts: LongTexts
    urgent: bool
    progress: ProgressCallback | None


class EmbedOptions(TypedDict, total=False):
    """purpose: what the texts are for. dimensions: the first numbers alone, where the model was trained for
    that. collection: whose model it is. batch_size: texts in one call to the model."""

    model: str
    collection: str | None
    purpose: Literal["query", "document", "none"]
    normalize: bool
    dimensions: int | None
    long_texts: LongTexts
    urgent: bool
    batch_size: int | None


class KeyOptions(TypedDict, total=False):
    """Of a new API key. filter: values that every point has which it reads or writes. rate: requests_per_s
    and burst. expires_at: with its offset."""

    filter: Mapping[str, str | int] | None
    rate: Mapping[str, float] | None
    expires_at: datetime | str | None


class CollectionOptions(TypedDict, total=False):
    """Of a new collection; docs/indexes.md tells of index, quantisation and target_recall."""

    metric: Literal["cosine", "dot", "euclidean", "manhattan"]
    shards: int
    embedding_model: str | None
    index: Mapping[str, Any]
    quantisation: Mapping[str, Any] | None
    target_recall: float | None
    payload_indexes: Mapping[str, str]
    ttl_seconds: int | None


class CollectionChanges(TypedDict, total=False):
    """What may change during a collection's life; what is left out stays, each is replaced whole."""

    index: Mapping[str, Any]
    quantisation: Mapping[str, Any] | None
    target_recall: float | None
    payload_indexes: Mapping[str, str]


class MetadataChange(TypedDict, total=False):
    """merge: keys to set. replace: the whole object, alone. delete: fields to take out. expires_at: from when
    on the points are no more; None: they stay."""

    merge: Mapping[str, Any]
    replace: Mapping[str, Any]
    delete: Sequence[str]
    expires_at: datetime | str | None


def checked(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as they go to the server. Raises TypeError for a name that the call does not take, as
    Python does, since a transport might pass it over."""
    if not given:
        return {}
    names = kind.__annotations__
    if unknown := given.keys() - names:
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}; expected: {', '.join(names)}")
    options = dict(given)
    if "filter" in options:
        options["filter"] = filter_json(options["filter"])
    return options
