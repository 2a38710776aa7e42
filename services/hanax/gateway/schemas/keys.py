"""What answers of API keys look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from hanax.gateway.guard.rights import GrantBody, RateBody


class Key(BaseModel):
    """`previous_until`: until when the secret before the latest rotation is good."""

    id: str
    name: str
    grants: list[GrantBody]
    filter: dict[str, str | int] | None
    rate: RateBody | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="to a minute or so")]
    previous_until: datetime | None


class ToldKey(Key):
    key: Annotated[str, Field(description="the whole key, told this once")]


class KeyList(BaseModel):
    keys: list[Key]
    next_cursor: str | None
