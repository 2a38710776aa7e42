"""How points of a stream are stored: what its first line says, or the query of its URL."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from hanax.core.limits import MAX_BATCH_POINTS
from hanax.gateway.requests import CollectionField, LongTextsField, Request, UrgentField, WriteMode

DEFAULT_BATCH_POINTS: Final = 500


class StreamRequest(Request):
    """Points that come one after the other, and are stored batch by batch."""

    collection: CollectionField
    mode: Annotated[
        WriteMode,
        Field(description="insert: only points that are not there yet; update: only those that are"),
    ] = "upsert"
    long_texts: LongTextsField = "truncate"
    urgent: UrgentField = False
    on_error: Annotated[
        Literal["continue", "stop"],
        Field(
            description="after a point that is wrong: go on with the others, or store those before it and end"
        ),
    ] = "continue"
    batch_points: Annotated[
        int,
        Field(
            ge=1, le=MAX_BATCH_POINTS, description="points that are stored together, and told of in one line"
        ),
    ] = DEFAULT_BATCH_POINTS


STREAM_BODIES: Final[list[type[BaseModel]]] = [StreamRequest]
