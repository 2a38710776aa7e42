"""What the operation log looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field


class Operation(BaseModel):
    """`at`: when it ended."""

    id: int
    at: datetime
    duration_ms: float
    operation: Annotated[
        str,
        Field(
            examples=["insert", "search"],
            description="log_dropped: `items` operations before this one were not noted, as too many waited",
        ),
    ]
    collection: Annotated[str | None, Field(description="its name, no alias; null: of none")]
    actor: Annotated[str, Field(examples=["address 10.1.2.3", "job 2f0c9d", "anonymous"])]
    outcome: Annotated[str, Field(examples=["ok", "collection_not_found"])]
    items: Annotated[int, Field(description="points that were written, removed or answered")]
    request_id: str
    instance: Annotated[str, Field(description="the gateway that noted it")]


class Operations(BaseModel):
    """dropped, waiting: of the gateway that answers, since its start, and now."""

    operations: list[Operation]
    next_cursor: str | None
    dropped: int
    waiting: int
