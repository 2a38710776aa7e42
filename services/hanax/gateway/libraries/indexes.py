"""How a library is searched: which index is asked for, and how far it is built.

What a library's users call an index is how its collection is indexed. The collection can be searched at every
moment, exactly where an index is not built yet; but a library for which nobody has asked for an index can't
be queried: its users decide when it is ready for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from hanax.core.errors import HanaxError, IndexNotBuilt, InvalidArgument
from hanax.core.json_values import kind_of
from hanax.core.library_names import collection_of
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.collections import Collections
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.gateway.libraries.requests import IndexRequest
from hanax.gateway.libraries.rights import check_library
from hanax.gateway.requests import parse_change
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.rows import Library, shown_id

# What a library's users call by another name than a collection's.
_BRUTE_FORCE: Final = "brute_force"
_FLAT: Final = "flat"

# How a collection's spec names the parameters.
_INDEX: Final = "index."

IndexState = Literal["not_built", "building", "built", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """state: failed: a part could not be built, and is searched exactly; unknown: a shard does not answer.

    segments: parts of the collection by state. unsealed: chunks that are in none yet, compared one by one.
    recall: of the nearest, measured when it was built; None: every answer is exact.
    """

    type: str | None
    state: IndexState
    parameters: dict[str, Any]
    target_recall: float | None
    segments: dict[str, int]
    unsealed: int
    recall: float | None
    reason: str | None


def indexing_of(request: IndexRequest) -> dict[str, Any]:
    """Fields of a collection's spec. Raises InvalidArgument, that `naming_parameters` is for."""
    if not isinstance(request.parameters, dict):
        raise InvalidArgument(f"parameters: expected an object, got {kind_of(request.parameters)}")
    if "type" in request.parameters:
        raise InvalidArgument(f"{_INDEX}type: say it as type, beside parameters")
    if request.type == _BRUTE_FORCE:
        index, quantisation = _FLAT, {"type": "none"}
    else:
        index, quantisation = request.type, None
    return {
        "index": {"type": index, **request.parameters},
        "quantisation": quantisation,
        "target_recall": request.target_recall,
    }


def check_built(library: Library) -> None:
    """Raises IndexNotBuilt for a library that is not to be queried yet."""
    if library.index_type is None:
        id = shown_id(library.id)
        raise IndexNotBuilt(
            f"library {library.name!r} has no index: ask for one with POST /api/v1/libraries/{id}/index",
            library=id,
        )


class LibraryIndexes:
    """Each method raises LibraryNotFound, and what the database raises."""

    def __init__(self, rows: LibraryRows, collections: Collections, points: ChunkPoints) -> None:
        self._rows = rows
        self._collections = collections
        self._points = points

    async def build(self, call: Call, library_id: str, request: IndexRequest) -> IndexStatus:
        """Have the index built in the background; until then the one before serves.

        Raises InvalidArgument for an index that can't be built for such vectors.
        """
        check_library(call, Scope.ADMIN, library_id)
        library = await self._rows.get(library_id)
        with naming_parameters("parameters"):
            change = parse_change(indexing_of(request))
            # First: a library that says it has an index has a collection that is indexed so.
            await self._collections.redeclare(call, collection_of(library_id), change)

        def asked(found: Library) -> dict[str, Any]:
            # Of two requests at once, either may have declared its index last.
            type = _type_of(self._points.route(library).spec)
            return {} if found.index_type == type else {"index_type": type}

        return await self._status(call, await self._rows.change(library_id, None, asked))

    async def status(self, call: Call, library_id: str) -> IndexStatus:
        check_library(call, Scope.READ, library_id)
        return await self._status(call, await self._rows.get(library_id))

    async def _status(self, call: Call, library: Library) -> IndexStatus:
        described = await self._collections.described(call, collection_of(library.id))
        spec = described.listed.spec
        told = [shard.answer for shard in described.shards]
        answers = [one for one in told if not isinstance(one, HanaxError)]
        indexes = [index for one in answers for index in one.indexes]
        segments = dict.fromkeys(("built", "waiting", "building", "refused"), 0)
        for index in indexes:
            segments[index.state] = segments.get(index.state, 0) + 1
        measured = [(index.recall, index.rows) for index in indexes if index.HasField("recall")]
        rows = sum(count for _, count in measured)
        refused = next((index.reason for index in indexes if index.state == "refused"), None)
        return IndexStatus(
            type=None if library.index_type is None else _type_of(spec),
            state=_state(library, len(answers) == len(told) and bool(told), segments),
            parameters={name: value for name, value in spec.index.model_dump().items() if name != "type"},
            target_recall=spec.target_recall,
            segments=segments,
            unsealed=sum(one.growing_rows for one in answers),
            recall=sum(recall * count for recall, count in measured) / rows if rows else None,
            reason=refused,
        )


def _type_of(spec: CollectionSpec) -> str:
    return _BRUTE_FORCE if spec.index.type == _FLAT else spec.index.type


@contextmanager
def naming_parameters(where: str) -> Iterator[None]:
    """An InvalidArgument names the parameters of an index as the request has them, below `where`."""
    try:
        yield
    except InvalidArgument as error:
        details = dict(error.details)
        if "errors" in details:
            details["errors"] = [{**one, "field": _named(one["field"], where)} for one in details["errors"]]
        raise type(error)(_named(error.message, where), **details) from None


def _named(told: str, where: str) -> str:
    return f"{where}.{told.removeprefix(_INDEX)}" if told.startswith(_INDEX) else told


def _state(library: Library, whole: bool, segments: dict[str, int]) -> IndexState:
    if library.index_type is None:
        return "not_built"
    if not whole:
        return "unknown"
    if segments["waiting"] or segments["building"]:
        return "building"
    return "failed" if segments["refused"] else "built"
