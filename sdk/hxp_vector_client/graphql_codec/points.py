"""Points: searched, read, stored, changed and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.graphql_codec.jobs import JOB
from hxp_vector_client.graphql_codec.writing import Asked, Document, ask, camel_keys, fields, same
from hxp_vector_client.requests import Request

_INCLUDED: Final = ("include_metadata", "include_vectors", "include_version")
_STORED: Final = fields("created_at updated_at expires_at")
_PROVENANCE: Final = fields("provenance{model version pattern at content_hash}")
_TOTALS: Final = fields("truncated has_more total_count total_is_exact explanation")
_INSERTED: Final = f"{{inserted updated ids versions skipped truncated split job{JOB}}}"
_EMBEDDED: Final = fields(
    "{embeddings(encoding:BASE64) model model_version dimension tokens total_tokens truncated split job"
)


def _input(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the selection says."""
    given = {name: value for name, value in body.items() if name not in _INCLUDED}
    included = body.get("include_metadata", True)
    if not isinstance(included, bool):
        given["metadata_fields"] = list(included)
    return camel_keys(given)


def _selected(body: Mapping[str, Any], vectors: bool, versions: bool, vector: str) -> str:
    parts = ["id", _STORED]
    metadata = body.get("include_metadata", True)
    if metadata is not False:
        parts += ["metadata", _PROVENANCE]
    if body.get("include_vectors", vectors):
        parts.append(vector)
    if body.get("include_version", versions):
        parts.append("version")
    return " ".join(parts)


def _hit(body: Mapping[str, Any]) -> str:
    return f"{{score {_selected(body, False, False, 'vector(encoding:BASE64)')}}}"


def _point(body: Mapping[str, Any], vectors: bool) -> str:
    chosen = _selected(body, vectors, vectors, "embedding:vector(encoding:BASE64)")
    return f"{{collection model {chosen}}}"


def _search(request: Request) -> Asked:
    body = request.body or {}
    selection = f"{{results{_hit(body)}{_TOTALS}}}"
    return ask("query", "searchVectors(input:$input)", selection, input=("SearchInput!", _input(body)))


def _search_batch(request: Request) -> Asked:
    body = request.body or {}
    selection = f"{{batches{{results{_hit(body)}{_TOTALS}}}}}"
    given = ("BatchSearchInput!", _input(body))
    return ask("query", "searchVectorsBatch(input:$input)", selection, input=given)


def _search_groups(request: Request) -> Asked:
    body = request.body or {}
    selection = f"{{groups{{value results{_hit(body)}}}truncated}}"
    return ask("query", "searchGroups(input:$input)", selection, input=("GroupSearchInput!", _input(body)))


def _recommend(request: Request) -> Asked:
    body = dict(request.body or {})
    for name in ("positive", "negative"):
        # Text among examples is an id, so that their vectors are lists.
        body[name] = [one if isinstance(one, int | str) else one.tolist() for one in body[name]]
    selection = f"{{results{_hit(body)}{_TOTALS}}}"
    return ask("query", "recommend(input:$input)", selection, input=("RecommendInput!", _input(body)))


def _facet(request: Request) -> Asked:
    selection = "{values{value count}distinct matches}"
    return ask(
        "query", "facet(input:$input)", selection, input=("FacetInput!", camel_keys(request.body or {}))
    )


def _distinct(request: Request) -> Asked:
    given = ("DistinctInput!", camel_keys(request.body or {}))
    return ask("query", "distinct(input:$input)", fields("{values next_cursor}"), input=given)


def _count(request: Request) -> Asked:
    return ask("query", "count(input:$input)", "", input=("CountInput!", camel_keys(request.body or {})))


def _read_count(answer: Any, _: Request) -> dict[str, Any]:
    return {"count": answer}


def _scroll(request: Request) -> Asked:
    body = dict(request.body or {})
    if isinstance(body.get("order_by"), str):
        body["order_by"] = {"field": body["order_by"]}
    selection = f"{{vectors{_point(body, False)}{fields('next_cursor')}}}"
    return ask("query", "scroll(input:$input)", selection, input=("ScrollInput!", _input(body)))


def _get(request: Request) -> Asked:
    body = request.body or {}
    if not isinstance(body.get("include_metadata", True), bool):
        raise InvalidArgument("include_metadata: over GraphQL get answers all metadata or none")
    return ask(
        "query",
        "getVectors(collection:$collection,ids:$ids)",
        f"{{vectors{_point(body, True)}missing}}",
        collection=("String!", body["collection"]),
        ids=("[PointId!]!", body["ids"]),
    )


def _insert(request: Request) -> Asked:
    given = camel_keys(request.body or {})
    columns = request.columns
    given["vectors"] = [] if columns is None else [camel_keys(point) for point in columns.points()]
    return ask("mutation", "insertVectors(input:$input)", _INSERTED, input=("InsertInput!", given))


def _embed(request: Request) -> Asked:
    given = ("EmbeddingInput!", camel_keys(request.body or {}))
    return ask("mutation", "generateEmbedding(input:$input)", f"{_EMBEDDED}{JOB}}}", input=given)


def _read_or_job(answer: dict[str, Any], _: Request) -> Any:
    """What was done, or the job that does it later."""
    return answer["job"] if answer.get("job") is not None else answer


def _delete(request: Request) -> Asked:
    given = ("DeleteInput!", camel_keys(request.body or {}))
    return ask("mutation", "deleteVectors(input:$input)", "{deleted}", input=given)


def _set_metadata(request: Request) -> Asked:
    given = ("MetadataInput!", camel_keys(request.body or {}))
    return ask(
        "mutation", "updateMetadata(input:$input)", "{matched updated ids versions missing}", input=given
    )


SEARCH: Final = Document(_search, same)
SEARCH_BATCH: Final = Document(_search_batch, same)
SEARCH_GROUPS: Final = Document(_search_groups, same)
RECOMMEND: Final = Document(_recommend, same)
FACET: Final = Document(_facet, same)
DISTINCT: Final = Document(_distinct, same)
COUNT: Final = Document(_count, _read_count)
SCROLL: Final = Document(_scroll, same)
GET: Final = Document(_get, same)
INSERT: Final = Document(_insert, _read_or_job)
EMBED: Final = Document(_embed, _read_or_job)
DELETE: Final = Document(_delete, same)
SET_METADATA: Final = Document(_set_metadata, same)
