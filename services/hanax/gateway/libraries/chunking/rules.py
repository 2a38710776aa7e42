"""How a raw text may be divided, as a user says it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hanax.gateway.query_fields import Part

# Tokens have six characters at most, so that one word of so many still fits into a chunk.
MAX_CHUNK_TOKENS = 1_600

_Size = Annotated[
    int, Field(ge=1, le=MAX_CHUNK_TOKENS, description="tokens of a chunk at most, see docs/libraries.md")
]
_Overlap = Annotated[
    int, Field(ge=0, description="tokens at the end of a chunk that also begin the next one, at most")
]


class Chunking(Part):
    size: _Size = 200
    overlap: _Overlap = 0

    @model_validator(mode="before")
    @classmethod
    def _usual_overlap_fits(cls, told: object) -> object:
        if isinstance(told, dict) and "overlap" not in told and isinstance(size := told.get("size"), int):
            return {**told, "overlap": min(cls.model_fields["overlap"].default, max(size, 0) // 2)}
        return told

    @model_validator(mode="after")
    def _overlap_leaves_room(self) -> Self:
        if 2 * self.overlap > self.size:
            raise ValueError(f"overlap: expected half of size at most, {self.size // 2}, got {self.overlap}")
        return self


class TokenChunking(Chunking):
    """As many words as fit."""

    type: Literal["tokens"] = "tokens"
    overlap: _Overlap = 20


class SentenceChunking(Chunking):
    """As many whole sentences as fit; a longer sentence is divided between words."""

    type: Literal["sentences"] = "sentences"


class HeadingChunking(Chunking):
    """Each section of a Markdown text by itself, in as many chunks of whole sentences as it takes."""

    type: Literal["headings"] = "headings"
    levels: Annotated[
        int, Field(ge=1, le=6, description="deepest heading that begins a section of its own")
    ] = 6


ChunkingRule = Annotated[TokenChunking | SentenceChunking | HeadingChunking, Field(discriminator="type")]
