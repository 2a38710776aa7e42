"""One name for requests that mean the same: a digest of all that an answer depends on, but for the points.

Digests are BLAKE2b: who finds two requests with one digest could have others given a wrong answer.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import orjson
from pydantic import BaseModel

from hanax.core.model_routes import ModelRoute
from hanax.core.routing import CollectionRoute

DIGEST_BYTES: Final = 16

# Changes with what a kept answer is made of, so that none is read by a version that does not know it.
_FORM: Final = b"1"

# Told apart by others than their spelling: the collection by its uid, the filter by its tree, and what is
# searched for by numbers, encoded ids and models.
_APART: Final = frozenset({"collection", "filter", "vector", "text", "id", "queries", "positive", "negative"})
# What may be written in another order: in filters without these words there is one spelling.
_UNORDERED: Final = re.compile(rb'"(?:and|or|min_should|in|not_in|has_id)"')
# Groups of which the order tells nothing.
_GROUPS: Final = ("and", "or")
_SETS: Final = frozenset({"in", "not_in"})


def digest_of(operation: str, route: CollectionRoute, parts: Iterable[bytes]) -> bytes:
    """A request's digest. parts: those of `request_part`, `filter_part` and what is searched for."""
    head = f"{operation} {route.uid} {route.generation}".encode()
    return _digest([_FORM, head, *parts])


def confined_digest(digest: bytes, forced: Mapping[str, object]) -> bytes:
    """Of the same request by a caller whose points have these values."""
    return _digest([b"confined", digest, orjson.dumps(sorted(forced.items()))])


def text_digest(model: ModelRoute, wanted: bytes, text: str) -> bytes:
    return _digest([_FORM, model_part(model), wanted, text.encode("utf-8", "surrogatepass")])


def request_part(request: BaseModel) -> bytes:
    """All fields of a request, defaults filled in, but for those that have parts of their own."""
    fields = _fields(type(request))
    return orjson.dumps([getattr(request, name) for name in fields], default=_plain)


def filter_part(raw: bytes) -> bytes:
    """The wire form of a filter, with groups of conditions and lists of values in one order. b"" for none."""
    if not _UNORDERED.search(raw):
        return raw
    return orjson.dumps(_ordered(orjson.loads(raw)))


def model_part(model: ModelRoute) -> bytes:
    """Which vectors a model makes: another one under its name makes others."""
    return orjson.dumps(
        [
            model.name,
            model.version,
            model.upstream_model,
            model.protocol,
            model.dimension,
            model.prompts.query,
            model.prompts.document,
        ]
    )


def _digest(parts: Iterable[bytes]) -> bytes:
    """Of these parts, not of their bytes in a row."""
    given = list(parts)
    lengths = array("Q", map(len, given)).tobytes()
    return hashlib.blake2b(b"".join((lengths, *given)), digest_size=DIGEST_BYTES).digest()


@cache
def _fields(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name in sorted(model.model_fields) if name not in _APART)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError


def _ordered(data: Any) -> Any:
    """A filter's tree, children of groups ascending and each once; a group in one like it is dissolved."""
    for group in _GROUPS:
        if group in data:
            children = _members(group, [_ordered(child) for child in data[group]])
            return children[0] if len(children) == 1 else {group: children}
    if "not" in data:
        return {"not": _ordered(data["not"])}
    if "min_should" in data:
        asked = data["min_should"]
        # Not each once: two equal conditions count twice.
        children = sorted(map(_ordered, asked["conditions"]), key=_bytes)
        return {"min_should": {"conditions": children, "count": asked["count"]}}
    if data.get("operator") in _SETS:
        return {**data, "value": _each_once(data["value"])}
    if "has_id" in data:
        return {"has_id": _each_once(data["has_id"])}
    return data


def _members(group: str, children: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for child in children:
        flat += child.get(group, [child])
    return _each_once(flat)


def _each_once(values: list[Any]) -> list[Any]:
    by_form = {_bytes(value): value for value in values}
    return [by_form[form] for form in sorted(by_form)]


def _bytes(value: Any) -> bytes:
    return orjson.dumps(value)
