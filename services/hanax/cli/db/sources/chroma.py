"""A collection of Chroma, by version 2 of its HTTP API.

Pages are numbered by offset, as the API has them; records that are deleted meanwhile shift them, which the
count in the end shows. The URL may name tenant and database: http://host:8000/TENANT/DATABASE.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from hanax.cli.db.points import Row, Shape
from hanax.cli.db.sources.files import to_vector
from hanax.cli.db.sources.foreign import PAGE, Foreign, ForeignApi
from hanax.core.errors import HanaxError, InvalidArgument, InvalidMetadata, NotFound

_METRICS: Final = {"cosine": "cosine", "ip": "dot", "l2": "euclidean"}
_DEFAULT_PLACE: Final = ("default_tenant", "default_database")


class ChromaSource:
    """`PointSource` of one collection. A record's document goes into a metadata field."""

    def __init__(self, url: str, foreign: Foreign) -> None:
        """Raises InvalidArgument for a URL that names half a place."""
        parts = urlsplit(url)
        named = tuple(filter(None, parts.path.split("/")))
        if len(named) not in (0, 2):
            raise InvalidArgument("Chroma: expected http://host:port, or http://host:port/TENANT/DATABASE")
        tenant, database = named or _DEFAULT_PLACE
        key = foreign.key()
        self._api = ForeignApi(
            "Chroma", f"{parts.scheme}://{parts.netloc}", {} if key is None else {"x-chroma-token": key}
        )
        self._root = (
            f"/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}/collections"
        )
        self._name = foreign.source_collection or ""
        self._field = foreign.document_field
        self._path = ""

    async def shape(self) -> Shape:
        """Raises NotFound."""
        try:
            told = await self._api.ask("GET", f"{self._root}/{quote(self._name, safe='')}")
        except NotFound as error:
            raise NotFound(f"there is no collection {self._name!r}: {error.message}") from None
        self._path = f"{self._root}/{told['id']}"
        count = int(await self._api.ask("GET", f"{self._path}/count"))
        configured = told.get("configuration_json") or {}
        space = (configured.get("hnsw") or configured.get("spann") or {}).get("space", "l2")
        return Shape(told.get("dimension"), _METRICS.get(space), count)

    async def pages(self, skip: int) -> AsyncGenerator[Sequence[Row], None]:
        offset = skip
        while True:
            body = {"limit": PAGE, "offset": offset, "include": ["embeddings", "metadatas", "documents"]}
            page = await self._api.ask("POST", f"{self._path}/get", body)
            rows = [self._row(offset + place, page, place) for place in range(len(page["ids"]))]
            if rows:
                yield rows
            if len(rows) < PAGE:
                return
            offset += len(rows)

    async def close(self) -> None:
        await self._api.close()

    def _row(self, before: int, page: Mapping[str, Any], place: int) -> Row:
        identity = page["ids"][place]
        row = Row(before + 1, f"record {identity!r}", {"id": identity})
        try:
            metadata = dict((page.get("metadatas") or {place: None})[place] or {})
            document = (page.get("documents") or {place: None})[place]
            if document is not None and metadata.setdefault(self._field, document) != document:
                raise InvalidMetadata(
                    f"it has a document, and metadata {self._field!r} of its own: say --document-field"
                )
            if metadata:
                row.point["metadata"] = metadata
            row.vector = to_vector(page["embeddings"][place], "embedding")
        except HanaxError as fault:
            row.fault = fault
        return row
