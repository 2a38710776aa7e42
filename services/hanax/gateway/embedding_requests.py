"""What a user may ask of embedding models."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, SkipValidation

from hanax.core.limits import MAX_BATCH_POINTS, MAX_DIMENSION, MAX_EMBED_TEXTS
from hanax.gateway.models.wanted import LongTexts, Purpose, Wanted
from hanax.gateway.requests import LongTextsField, Request, UrgentField

PurposeField = Annotated[
    Literal["query", "document", "none"],
    Field(description="what the texts are for: a model may want another prompt before each kind"),
]
TextField = Annotated[
    SkipValidation[str | list[str]],
    Field(description=f"one text, or 1 to {MAX_BATCH_POINTS}", examples=["how do I compute a checksum?"]),
]


class EmbedOptions(BaseModel):
    """How texts are embedded, and when: a model may queue what is not urgent."""

    purpose: PurposeField = "none"
    normalize: Annotated[bool, Field(description="scale every vector to length 1")] = True
    dimensions: Annotated[
        int | None,
        Field(
            ge=1, le=MAX_DIMENSION, description="the first numbers alone, where the model was trained for it"
        ),
    ] = None
    long_texts: LongTextsField = "truncate"
    urgent: UrgentField = False

    def wanted(self) -> Wanted:
        return Wanted(
            Purpose(self.purpose), self.normalize, self.dimensions, LongTexts(self.long_texts), self.urgent
        )


class EmbeddingRequest(Request, EmbedOptions):
    """Texts to embed."""

    text: TextField
    model: Annotated[
        str, Field(description="name of a model; auto: the collection's, or the first that is served")
    ] = "auto"
    collection: Annotated[
        str | None, Field(description="whose model it is, where both are named", examples=["docs"])
    ] = None
    batch_size: Annotated[
        int | None,
        Field(
            ge=1, le=MAX_EMBED_TEXTS, description="texts in one call to the model; none: as many as it takes"
        ),
    ] = None


class ModelEmbeddingRequest(Request, EmbedOptions):
    """Texts for the model that the path names."""

    text: TextField


EMBEDDING_BODIES: Final[list[type[BaseModel]]] = [EmbeddingRequest, ModelEmbeddingRequest]
