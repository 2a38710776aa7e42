"""A collection of Qdrant, by its REST API: https://api.qdrant.tech/api-reference

Points are scrolled in the order of their ids, each page behind the last one. Qdrant keeps the vectors of a
cosine collection at length 1; so they are copied.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from hanax.cli.db.points import Row, Shape
from hanax.cli.db.sources.files import to_vector
from hanax.cli.db.sources.foreign import PAGE, Foreign, ForeignApi
from hanax.core.errors import HanaxError, InvalidArgument, NotFound, UpstreamFailed

_METRICS: Final = {"Cosine": "cosine", "Dot": "dot", "Euclid": "euclidean", "Manhattan": "manhattan"}


class QdrantSource:
    """`PointSource` of one collection, and of one of its dense vectors."""

    def __init__(self, url: str, foreign: Foreign) -> None:
        key = foreign.key()
        self._api = ForeignApi("Qdrant", url, {} if key is None else {"api-key": key})
        self._collection = foreign.source_collection or ""
        self._path = f"/collections/{quote(self._collection, safe='')}"
        self._vector = foreign.source_vector

    async def shape(self) -> Shape:
        """Raises InvalidArgument where it is not clear which vector is meant."""
        told = await self._result("GET", self._path)
        dimension, metric = self._dense(told["config"]["params"].get("vectors") or {})
        counted = await self._result("POST", f"{self._path}/points/count", {"exact": True})
        return Shape(dimension, metric, int(counted["count"]))

    async def pages(self, skip: int) -> AsyncGenerator[Sequence[Row], None]:
        offset: Any = None
        number = 0
        while True:
            body: dict[str, Any] = {
                "limit": PAGE,
                "with_payload": True,
                "with_vector": True if self._vector is None else [self._vector],
            }
            if offset is not None:
                body["offset"] = offset
            page = await self._result("POST", f"{self._path}/points/scroll", body)
            rows = [self._row(number + place, point) for place, point in enumerate(page["points"], 1)]
            number += len(rows)
            if wanted := [row for row in rows if row.number > skip]:
                yield wanted
            offset = page.get("next_page_offset")
            if offset is None:
                return

    async def close(self) -> None:
        await self._api.close()

    def _dense(self, vectors: Mapping[str, Any]) -> tuple[int, str | None]:
        """A collection has one vector without a name, or several by names."""
        if "size" in vectors:
            if self._vector:
                raise InvalidArgument(
                    f"{self._collection} has one vector, without a name: leave out --source-vector"
                )
            told = vectors
        else:
            names = ", ".join(sorted(vectors)) or "none (sparse vectors are not copied)"
            if self._vector is None and len(vectors) == 1:
                self._vector = next(iter(vectors))
            if self._vector is None or self._vector not in vectors:
                raise InvalidArgument(
                    f"say which vector of {self._collection}: --source-vector; it has: {names}"
                )
            told = vectors[self._vector]
        if told.get("multivector_config"):
            raise InvalidArgument(f"{self._collection}: points with several vectors each can't be copied")
        return int(told["size"]), _METRICS.get(told.get("distance", ""))

    def _row(self, number: int, point: Mapping[str, Any]) -> Row:
        row = Row(number, f"point {point['id']}", {"id": point["id"]})
        if payload := point.get("payload"):
            row.point["metadata"] = payload
        vector = point.get("vector")
        if self._vector is not None and isinstance(vector, dict):
            vector = vector.get(self._vector)
        try:
            row.vector = to_vector(vector, "vector")
        except HanaxError as fault:
            row.fault = fault
        return row

    async def _result(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = await self._api.ask(method, path, body)
            return answer["result"]
        except NotFound as error:
            raise NotFound(f"there is no collection {self._collection!r}: {error.message}") from None
        except (KeyError, TypeError):
            raise UpstreamFailed("Qdrant answered without a result: is it another server?") from None
