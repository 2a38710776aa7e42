"""Collections of other vector databases, read page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, Self

import httpx
import orjson
import typer

from hanax.cli.db.points import PointSource
from hanax.cli.profiles import read_key_file
from hanax.core.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable, UpstreamFailed

PAGE: Final = 256
_TIMEOUT_S: Final = 60.0
_SHOWN: Final = 200


@dataclass(frozen=True)
class Foreign:
    """What is read of another database."""

    source_collection: Annotated[
        str | None,
        typer.Option("--source-collection", help="Its collection, or table (schema.table)."),
    ] = None
    source_vector: Annotated[
        str | None,
        typer.Option("--source-vector", help="Which vector, or column, where there are several."),
    ] = None
    source_key_file: Annotated[
        Path | None, typer.Option("--source-key-file", help="File with the key of Qdrant or Chroma.")
    ] = None
    document_field: Annotated[
        str, typer.Option("--document-field", help="Metadata field for Chroma's documents.")
    ] = "text"
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", help="Column of a table that is not copied; repeatable."),
    ] = None

    def key(self) -> str | None:
        return (
            None if self.source_key_file is None else read_key_file(self.source_key_file).get_secret_value()
        )


def foreign_source(kind: str, url: str, foreign: Foreign) -> PointSource:
    """kind: qdrant, chroma or pgvector. Raises InvalidArgument."""
    if foreign.source_collection is None:
        raise InvalidArgument("say which collection, or table, is copied: --source-collection")
    schemes = ("postgresql://", "postgres://") if kind == "pgvector" else ("http://", "https://")
    if not url.startswith(schemes):
        raise InvalidArgument(f"{kind}: expected a URL that begins with {' or '.join(schemes)}")
    match kind:
        case "qdrant":
            from hanax.cli.db.sources.qdrant import QdrantSource

            return QdrantSource(url, foreign)
        case "chroma":
            from hanax.cli.db.sources.chroma import ChromaSource

            return ChromaSource(url, foreign)
        case _:
            from hanax.cli.db.sources.pgvector import PgvectorSource

            return PgvectorSource(url, foreign)


class ForeignApi:
    """JSON over HTTP, of a server that is not ours. Close it."""

    def __init__(self, product: str, url: str, headers: Mapping[str, str]) -> None:
        """product: its name, for messages."""
        self._product = product
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers=headers, timeout=_TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Decoded JSON. Raises NotFound, PermissionDenied, Unavailable, or UpstreamFailed for all else."""
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise Unavailable(
                f"{self._product} at {self._url} does not answer: {str(error) or type(error).__name__}"
            ) from None
        said = f"{self._product} at {self._url} answered {answer.status_code}: {answer.text[:_SHOWN]}"
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(said)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise PermissionDenied(f"{said}; say --source-key-file")
        if not answer.is_success:
            raise UpstreamFailed(said)
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            raise UpstreamFailed(
                f"{self._product} at {self._url} answered no JSON: is it another server?"
            ) from None

    async def close(self) -> None:
        await self._http.aclose()
