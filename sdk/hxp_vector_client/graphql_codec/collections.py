"""Collections, aliases and models."""

from __future__ import annotations

from typing import Any, Final

from hxp_vector_client.errors import AliasNotFound
from hxp_vector_client.graphql_codec.writing import Asked, Document, ask, camel_keys, fields, same
from hxp_vector_client.requests import Request

_LISTED: Final = fields(
    "name dimension metric shards embedding_model index quantisation target_recall payload_indexes "
    "ttl_seconds uid created_at state aliases library"
)
_TOTALS: Final = fields(
    "index_totals{settled segments{built waiting building refused}unsealed_points memory_bytes "
    "memory_bytes_per_vector recall live_recall live_recall_samples}"
)
_METADATA: Final = fields(
    "metadata_indexes{fields fields_left_out field_limit_reached rows_without_index bytes}"
)
_SEGMENT: Final = fields(
    "indexes{segment vector_name points state type quantisation effort recall memory_bytes "
    "memory_bytes_per_vector reason}"
)
_SHARD: Final = fields(
    "shard_states{shard node state reason points deleted_rows segments growing_rows last_sequence disk_bytes "
    "log_bytes index_memory_bytes "
)
_DESCRIBED: Final = f"{{{_LISTED} points {_TOTALS}{_METADATA}{_SHARD}{_SEGMENT}}}}}"
_MODEL: Final = fields(
    "{model version health external protocol pattern dimension max_tokens load_balancing waiting endpoints"
    "{address weight state inflight latency_ms error_rate resting_s last_failure{code message at}checked_at}}"
)


def _create(request: Request) -> Asked:
    given = ("CollectionInput!", camel_keys(request.body or {}))
    return ask("mutation", "createCollection(input:$input)", _DESCRIBED, input=given)


def _get(request: Request) -> Asked:
    return ask("query", "collection(name:$name)", _DESCRIBED, name=("String!", request.path["name"]))


def _list(request: Request) -> Asked:
    query = request.query
    return ask(
        "query",
        "collections(limit:$limit,cursor:$cursor)",
        f"{{collections{{{_LISTED}}}{fields('next_cursor')}}}",
        limit=("Int!", query.get("limit", 1_000)),
        cursor=("String", query.get("cursor")),
    )


def _update(request: Request) -> Asked:
    return ask(
        "mutation",
        "updateCollection(name:$name,input:$input)",
        _DESCRIBED,
        name=("String!", request.path["name"]),
        input=("CollectionChangeInput!", camel_keys(request.body or {})),
    )


def _delete(request: Request) -> Asked:
    return ask(
        "mutation",
        "deleteCollection(name:$name,withAliases:$with)",
        "{name deleted}",
        name=("String!", request.path["name"]),
        **{"with": ("Boolean!", request.query.get("aliases") == "delete")},
    )


def _aliases(_: Request) -> Asked:
    return ask("query", "aliases", "{alias collection}")


def _read_aliases(answer: Any, _: Request) -> dict[str, Any]:
    return {"aliases": answer}


def _read_alias(answer: Any, request: Request) -> dict[str, Any]:
    """The one that was asked for, among all. Raises AliasNotFound."""
    alias = request.path["alias"]
    for one in answer:
        if one["alias"] == alias:
            return dict(one)
    raise AliasNotFound(f"there is no alias {alias!r}")


def _switch(request: Request) -> Asked:
    given = ("AliasesInput!", dict(request.body or {}))
    return ask("mutation", "switchAliases(input:$input)", "{alias collection}", input=given)


def _rerank(request: Request) -> Asked:
    given = ("RerankInput!", camel_keys(request.body or {}))
    return ask("query", "rerank(input:$input)", fields("{model results{index relevance_score}}"), input=given)


def _models(_: Request) -> Asked:
    return ask("query", "models", _MODEL)


def _read_models(answer: Any, _: Request) -> dict[str, Any]:
    return {"models": answer}


CREATE: Final = Document(_create, same)
GET: Final = Document(_get, same)
LIST: Final = Document(_list, same)
UPDATE: Final = Document(_update, same)
DELETE: Final = Document(_delete, same)
LIST_ALIASES: Final = Document(_aliases, _read_aliases)
GET_ALIAS: Final = Document(_aliases, _read_alias)
SWITCH_ALIASES: Final = Document(_switch, _read_aliases)
RERANK: Final = Document(_rerank, same)
MODEL_STATUS: Final = Document(_models, _read_models)
