"""What a user may ask of libraries. Chunks are checked by `drafts`, which knows the library."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, SkipValidation, model_validator

from hanax.core.distances import Metric
from hanax.core.limits import (
    MAX_CHUNK_CHARACTERS,
    MAX_DIMENSION,
    MAX_DOCUMENT_CHARACTERS,
    MAX_DOCUMENT_CHUNKS,
    MAX_DOCUMENT_TITLE,
    MAX_SHARDS,
)
from hanax.core.resources.names import AUTO
from hanax.core.specs import ModelName
from hanax.gateway.libraries.chunking.rules import ChunkingRule
from hanax.gateway.requests import LongTextsField, Metadata, Request, VectorField
from hanax.metadata.libraries.tables import MAX_LIBRARY_NAME

IndexType = Literal["brute_force", "kd_tree", "lsh", "ivf", "hnsw", "auto"]


def _check_shown(text: str) -> str:
    if not text.strip() or any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("expected text without control characters, and something visible")
    return text


def _check_title(text: str) -> str:
    return _check_shown(text) if text else text


NewId = Annotated[str | None, Field(description="a UUID; made by the gateway when missing")]
LibraryName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_LIBRARY_NAME, description="no other library has it"),
    AfterValidator(_check_shown),
]
Title = Annotated[str, Field(max_length=MAX_DOCUMENT_TITLE), AfterValidator(_check_title)]
OwnMetadata = Annotated[
    SkipValidation[Metadata],
    Field(description="8,192 bytes as JSON at most", examples=[{"author": "Ann", "year": 2024}]),
]
PatchedMetadata = Annotated[
    SkipValidation[Metadata | None],
    Field(description="keys to set; one whose value is null is taken out; others stay"),
]
ChunkText = Annotated[
    SkipValidation[str], Field(description=f"1 to {MAX_CHUNK_CHARACTERS} characters, one of them visible")
]
ChunkMetadata = Annotated[
    SkipValidation[Metadata],
    Field(
        description="fields of your own, 8,192 bytes as JSON at most; source_page is a whole number from 0 "
        "on, language a language tag such as en or pt-BR",
        examples=[{"source_page": 3, "language": "en"}],
    ),
]
RawText = Annotated[
    # How long it is is checked with the chunks, and named as there.
    Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": MAX_DOCUMENT_CHARACTERS})] | None,
    Field(description="the whole text, which is divided by `chunking`"),
]
ChunkingField = Annotated[
    ChunkingRule | None,
    Field(description="how `text` is divided; none: by tokens", examples=[{"type": "headings"}]),
]


class IndexRequest(Request):
    """How a library is searched. What is left out is chosen, or measured."""

    type: Annotated[
        IndexType, Field(description="brute_force is exact; auto: chosen for each part by its size")
    ] = "auto"
    parameters: Annotated[
        SkipValidation[dict[str, Any]],
        Field(description="of that index, as docs/indexes.md names them", examples=[{"m": 24}]),
    ] = Field(default_factory=dict)
    target_recall: Annotated[
        float | None, Field(gt=0, le=1, description="share of the true nearest that answers hold")
    ] = None


class NewLibrary(Request):
    """A library. Its model, dimension, metric and shards are fixed for its life."""

    id: NewId = None
    name: LibraryName
    metadata: OwnMetadata = Field(default_factory=dict)
    model: Annotated[
        ModelName | None,
        Field(
            description="model that embeds texts; auto: the first that runs here; null: vectors are brought"
        ),
    ] = AUTO
    dimension: Annotated[
        int | None,
        Field(ge=1, le=MAX_DIMENSION, description="of its vectors; needed where there is no model"),
    ] = None
    metric: Annotated[Metric, Field(strict=False)] = Metric.COSINE
    shards: Annotated[
        int, Field(ge=1, le=MAX_SHARDS, description="parts that its chunks are spread over")
    ] = 1
    index: Annotated[
        IndexRequest | None,
        Field(description="none: it can't be queried before an index is asked for, see /index"),
    ] = None


class Patch(Request):
    @model_validator(mode="before")
    @classmethod
    def _says_what_shall_be(cls, told: object) -> object:
        if isinstance(told, dict):
            for name in cls.model_fields:
                if name in told and told[name] is None:
                    raise ValueError(f"{name}: expected a value, got null; what is left out stays as it is")
        return told


class LibraryPatch(Patch):
    """What shall change; what is left out stays."""

    name: LibraryName | None = None
    metadata: PatchedMetadata = None


class NewChunk(Request):
    """A passage of a document. Without an embedding it is embedded by the library's model."""

    id: NewId = None
    text: ChunkText
    embedding: VectorField = None
    metadata: ChunkMetadata = Field(default_factory=dict)


ChunkList = Annotated[
    SkipValidation[list[NewChunk] | None],
    Field(description=f"up to {MAX_DOCUMENT_CHUNKS} chunks, in order; in place of `text`"),
]


class NewDocument(Request):
    """A document: its chunks, or a text that is divided into chunks; with neither, an empty one."""

    id: NewId = None
    title: Title = ""
    metadata: OwnMetadata = Field(default_factory=dict)
    chunks: ChunkList = None
    text: RawText = None
    chunking: ChunkingField = None
    long_texts: LongTextsField = "truncate"


class DocumentPatch(Patch):
    """What shall change; what is left out stays. `chunks` and `text` replace all chunks."""

    title: Title | None = None
    metadata: PatchedMetadata = None
    chunks: ChunkList = None
    text: RawText = None
    chunking: ChunkingField = None
    long_texts: LongTextsField = "truncate"


class MoreChunks(Request):
    """Chunks for a document that is there."""

    chunks: ChunkList
    position: Annotated[
        int | None, Field(ge=0, description="of the first of them, from 0; none: behind the last chunk")
    ] = None
    long_texts: LongTextsField = "truncate"


class ChunkPatch(Patch):
    """What shall change; what is left out stays. A new text is embedded, unless it brings one."""

    text: SkipValidation[str | None] = None
    embedding: VectorField = None
    metadata: PatchedMetadata = None
    long_texts: LongTextsField = "truncate"


LIBRARY_BODIES: Final[list[type[BaseModel]]] = [
    IndexRequest,
    NewLibrary,
    LibraryPatch,
    NewChunk,
    NewDocument,
    DocumentPatch,
    MoreChunks,
    ChunkPatch,
]
