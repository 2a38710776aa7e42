"""API keys, what was asked of the platform, and its cache."""

from __future__ import annotations

from typing import Any, Final

from hxp_vector_client.graphql_codec.writing import Asked, Document, ask, camel_keys, fields, same
from hxp_vector_client.requests import Request

_KEY: Final = fields(
    "id name grants{scopes collections}filter rate{requests_per_s burst}created_at expires_at revoked_at "
    "last_used_at previous_until"
)
_TOLD: Final = f"{{{_KEY} key}}"
_OPERATION: Final = fields("{id at duration_ms operation collection actor outcome items request_id instance}")
_CACHE: Final = fields(
    "{backend state keeps_searches entries bytes hits misses hit_rate operations{operation hits misses "
    "hit_rate}frequent_requests}"
)


def _create(request: Request) -> Asked:
    given = camel_keys(request.body or {})
    if given.get("rate") is not None:
        given["rate"] = camel_keys(given["rate"])
    return ask("mutation", "createKey(input:$input)", _TOLD, input=("KeyInput!", given))


def _list(request: Request) -> Asked:
    return ask(
        "query",
        "keys(limit:$limit,cursor:$cursor)",
        f"{{keys{{{_KEY}}}{fields('next_cursor')}}}",
        limit=("Int!", request.query.get("limit", 100)),
        cursor=("String", request.query.get("cursor")),
    )


def _get(request: Request) -> Asked:
    return ask("query", "key(id:$id)", f"{{{_KEY}}}", id=("ID!", request.path["key_id"]))


def _rotate(request: Request) -> Asked:
    return ask(
        "mutation",
        "rotateKey(id:$id,graceS:$grace)",
        _TOLD,
        id=("ID!", request.path["key_id"]),
        grace=("Float", (request.body or {}).get("grace_s")),
    )


def _revoke(request: Request) -> Asked:
    return ask("mutation", "revokeKey(id:$id)", f"{{{_KEY}}}", id=("ID!", request.path["key_id"]))


def _operations(request: Request) -> Asked:
    query = request.query
    return ask(
        "query",
        "operations(collection:$collection,operation:$operation,outcome:$outcome,limit:$limit,cursor:$cursor)",
        f"{{operations{_OPERATION}{fields('next_cursor dropped waiting')}}}",
        collection=("String", query.get("collection")),
        operation=("String", query.get("operation")),
        outcome=("String", query.get("outcome")),
        limit=("Int!", query.get("limit", 100)),
        cursor=("String", query.get("cursor")),
    )


def _cache(_: Request) -> Asked:
    return ask("query", "cache", _CACHE)


def _read_cache(answer: Any, _: Request) -> dict[str, Any]:
    rates = {one["operation"]: one for one in answer["operations"]}
    return {
        **answer,
        "operations": {
            name: {kind: rate[kind] for kind in ("hits", "misses", "hit_rate")}
            for name, rate in rates.items()
        },
    }


def _warm(request: Request) -> Asked:
    limit = ("Int!", request.query.get("limit", 32))
    return ask("mutation", "warmCache(limit:$limit)", "{asked failed}", limit=limit)


def _clear(_: Request) -> Asked:
    return ask("mutation", "clearCache", "{entries}")


CREATE_KEY: Final = Document(_create, same)
LIST_KEYS: Final = Document(_list, same)
GET_KEY: Final = Document(_get, same)
ROTATE_KEY: Final = Document(_rotate, same)
REVOKE_KEY: Final = Document(_revoke, same)
OPERATIONS: Final = Document(_operations, same)
CACHE_STATS: Final = Document(_cache, _read_cache)
WARM_CACHE: Final = Document(_warm, same)
CLEAR_CACHE: Final = Document(_clear, same)
