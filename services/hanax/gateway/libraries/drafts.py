"""From what a user sends to chunks that can be stored: checked, divided, and each with its vector."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from hanax.core.errors import (
    DimensionMismatch,
    DuplicateId,
    FailedPrecondition,
    HanaxError,
    InvalidArgument,
    InvalidText,
    TextTooLong,
)
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_CHUNK_CHARACTERS, MAX_DOCUMENT_CHARACTERS, MAX_DOCUMENT_CHUNKS
from hanax.core.specs import CollectionSpec
from hanax.core.texts import check_text
from hanax.gateway.calls import Call
from hanax.gateway.libraries.chunking.dividing import divide
from hanax.gateway.libraries.chunking.rules import ChunkingRule, TokenChunking
from hanax.gateway.libraries.contents import Content, check_chunk_metadata
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.requests import DocumentPatch, NewDocument
from hanax.gateway.models.embedding import Embedding, listed, more_than_read
from hanax.gateway.models.wanted import LongTexts, Purpose, Wanted
from hanax.gateway.provenance import add_provenance, split_provenance
from hanax.gateway.vectors import Matrix, VectorRows, count_of, find_fault
from hanax.metadata.libraries.rows import Library

_KEYS = ("id", "text", "embedding", "metadata")


@dataclass(frozen=True, slots=True)
class Draft:
    """id: 32 hex digits; None: a new one. vector: float32[1, dimension]; None: to be embedded.

    where: what messages name its fields with, such as "chunks[3]."; empty: they are those of the request.
    """

    id: str | None
    content: Content
    vector: Matrix | None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """vectors: float32[n, dimension]. provenance: JSON of those that were embedded here.

    truncated, split: places of chunks that the model read in part, or in parts.
    """

    drafts: Sequence[Draft]
    vectors: Matrix
    provenance: Sequence[bytes | None]
    truncated: list[int]
    split: list[int]

    @property
    def ids(self) -> list[str]:
        """Those that were given."""
        return [draft.id for draft in self.drafts if draft.id is not None]


def read_chunks(chunks: object, library: Library, spec: CollectionSpec) -> list[Draft]:
    """Checked chunks. Raises an InvalidArgument that names the place of the first that is wrong."""
    if not isinstance(chunks, list):
        raise InvalidArgument(f"chunks: expected a list, got {kind_of(chunks)}")
    if len(chunks) > MAX_DOCUMENT_CHUNKS:
        raise _too_many(f"{len(chunks)}")
    drafts: list[Draft] = []
    place_by_id: dict[str, int] = {}
    for place, chunk in enumerate(chunks):
        try:
            draft = _read_chunk(chunk, f"chunks[{place}]", library, spec)
        except HanaxError as error:
            raise type(error)(error.message, **{**error.details, "index": place}) from None
        if draft.id is not None and (first := place_by_id.setdefault(draft.id, place)) != place:
            raise DuplicateId(
                f"chunks[{place}].id: is also the id of chunks[{first}]", index=place, first=first
            )
        drafts.append(draft)
    return drafts


async def read_document(
    request: NewDocument | DocumentPatch, library: Library, spec: CollectionSpec
) -> tuple[list[Draft], dict[str, Any] | None] | None:
    """The chunks of a document, and the rule that made them; None where it brings none."""
    if request.text is None:
        if request.chunking is not None:
            raise InvalidArgument("chunking: goes with text")
        if request.chunks is None:
            return None
        return await asyncio.to_thread(read_chunks, request.chunks, library, spec), None
    if request.chunks is not None:
        raise InvalidArgument("expected chunks or text, got both")
    if len(request.text) > MAX_DOCUMENT_CHARACTERS:
        raise _too_long("text", request.text, MAX_DOCUMENT_CHARACTERS)
    if not request.text.strip():
        raise InvalidText("text: expected text with at least one visible character")
    rule = request.chunking or TokenChunking()
    return await asyncio.to_thread(_divided, request.text, rule), rule.model_dump()


def read_vector(vector: object, where: str, library: Library, spec: CollectionSpec) -> Matrix:
    """float32[1, dimension]. Raises an InvalidArgument that names the place."""
    got = count_of(vector)
    if got is not None and got != library.dimension:
        raise DimensionMismatch(
            f"{where}: library {library.name!r} takes {library.dimension} numbers, got {got}",
            expected=library.dimension,
            got=got,
        )
    rows = VectorRows(spec)
    rows.append(vector, where)
    matrix = rows.matrix()
    if fault := find_fault(matrix, spec):
        raise fault.kind(f"{where}: {fault.expected}")
    return matrix


def read_text(text: object, where: str) -> str:
    """Raises InvalidText or TextTooLong."""
    checked = check_text(text, where)
    if len(checked) > MAX_CHUNK_CHARACTERS:
        raise _too_long(where, checked, MAX_CHUNK_CHARACTERS)
    return checked


class Preparing:
    """Gives every draft a vector."""

    def __init__(self, embedding: Embedding, now_us: Callable[[], int]) -> None:
        self._embedding = embedding
        self._now_us = now_us

    async def prepare(
        self, call: Call, drafts: Sequence[Draft], spec: CollectionSpec, long_texts: LongTexts
    ) -> Prepared:
        """Embed the texts of those that have none, now, whatever the model's pattern is.

        The model is given what it is given of a query: Unicode NFC, so that equal texts have equal vectors.
        Raises FailedPrecondition where the library has no model, and what `Embedding.embed` raises.
        """
        rows = [row for row, draft in enumerate(drafts) if draft.vector is None]
        vectors = np.empty((len(drafts), spec.dimension), np.float32)
        for row, draft in enumerate(drafts):
            if draft.vector is not None:
                vectors[row] = draft.vector[0]
        provenance: list[bytes | None] = [None] * len(drafts)
        if not rows:
            return Prepared(drafts, vectors, provenance, [], [])
        if spec.embedding_model is None:
            raise FailedPrecondition(
                f"{drafts[rows[0]].where}embedding: the library has no model that could make it; send it",
                index=rows[0],
            )
        texts = [drafts[row].content.text for row in rows]
        wanted = Wanted(Purpose.DOCUMENT, long_texts=long_texts)
        call.grant(self._embedding.timeout_s)
        try:
            normal = [unicodedata.normalize("NFC", text) for text in texts]
            made = await self._embedding.embed(call, self._embedding.model_of(spec), normal, wanted)
        except TextTooLong as error:
            raise _located(error, drafts, rows) from None
        vectors[rows] = made.vectors
        for row, raw in zip(
            rows, add_provenance([b"{}"] * len(rows), texts, made, self._now_us()), strict=True
        ):
            _, provenance[row] = split_provenance(raw)
        return Prepared(
            drafts,
            vectors,
            provenance,
            [rows[place] for place in made.truncated],
            [rows[place] for place in made.split],
        )


def _read_chunk(chunk: object, where: str, library: Library, spec: CollectionSpec) -> Draft:
    if not isinstance(chunk, dict):
        raise InvalidArgument(f"{where}: expected an object, got {kind_of(chunk)}")
    if unknown := next((key for key in chunk if key not in _KEYS), None):
        raise InvalidArgument(f"{where}: unknown key {unknown[:60]!r}; expected {', '.join(_KEYS)}")
    id, vector, metadata = chunk.get("id"), chunk.get("embedding"), chunk.get("metadata")
    return Draft(
        None if id is None else parse_id(id, f"{where}.id"),
        Content(
            read_text(chunk.get("text"), f"{where}.text"),
            check_chunk_metadata({} if metadata is None else metadata, f"{where}.metadata"),
        ),
        None if vector is None else read_vector(vector, f"{where}.embedding", library, spec),
        f"{where}.",
    )


def _divided(text: str, rule: ChunkingRule) -> list[Draft]:
    pieces = list(islice(divide(text, rule), MAX_DOCUMENT_CHUNKS + 1))
    if len(pieces) > MAX_DOCUMENT_CHUNKS:
        raise _too_many("more with this rule; take a larger size, or divide the document")
    return [
        Draft(None, Content(text[start:end], {}, headings, start, end), None, f"chunks[{place}].")
        for place, (start, end, headings) in enumerate(pieces)
    ]


def _too_many(got: str) -> InvalidArgument:
    return InvalidArgument(
        f"a document has at most {MAX_DOCUMENT_CHUNKS} chunks, got {got}", limit=MAX_DOCUMENT_CHUNKS
    )


def _too_long(where: str, text: str, limit: int) -> TextTooLong:
    return TextTooLong(f"{where}: at most {limit} characters, got {len(text)}", limit=limit, got=len(text))


def _located(error: TextTooLong, drafts: Sequence[Draft], rows: Sequence[int]) -> TextTooLong:
    """Of texts by their place among those embedded: the same by the places of their chunks."""
    places = [rows[place] for place in error.details.get("indexes", ())]
    if not places:
        return error
    where = listed([f"{drafts[place].where}text" for place in places])
    return TextTooLong(f"{where}: {more_than_read(error.details)}", **{**error.details, "indexes": places})
