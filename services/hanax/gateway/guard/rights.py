"""What a key may do, as JSON: in requests, in files of keys, and in the metadata database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from hanax.core.api_keys import MAX_KEY_LENGTH, MIN_KEY_LENGTH
from hanax.core.errors import InvalidArgument
from hanax.core.provenance import is_reserved
from hanax.gateway.guard.caller import Forced, Rate
from hanax.gateway.guard.scopes import MAX_GRANTS, MAX_PATTERNS, Grant, grant_of

MAX_FORCED: Final = 8
MAX_GRACE_S: Final = 30 * 24 * 3_600
DEFAULT_GRACE_S: Final = 3_600
# A request in a quarter of an hour: slower ones are no rate, and their buckets would be kept for ever.
MIN_PER_S: Final = 0.001

# A field of the metadata object itself: what lies deeper can be changed with what surrounds it.
_FIELD_FORM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_VALUE_LENGTH: Final = 256
# Half of a surrogate pair is no text, and PostgreSQL keeps no NUL.
_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")

NameField = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[\x20-\x7e]+$",
        description="what the key is for; it stands in logs",
        examples=["ingest"],
    ),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GrantBody(_Model):
    scopes: Annotated[
        list[Literal["read", "write", "admin"]],
        Field(min_length=1, max_length=3, description="admin holds the others; write holds no read"),
    ]
    collections: Annotated[
        list[str],
        Field(
            min_length=1,
            max_length=MAX_PATTERNS,
            description="names; beginnings of names that end in *; or * for all",
            examples=[["docs", "docs-*"]],
        ),
    ] = ["*"]


class RateBody(_Model):
    requests_per_s: Annotated[float, Field(gt=0, le=1_000_000)]
    burst: Annotated[int, Field(ge=1, le=1_000_000, description="requests that may come at once")]

    @field_validator("requests_per_s")
    @classmethod
    def _is_a_rate(cls, value: float) -> float:
        if value < MIN_PER_S:
            raise ValueError(f"expected at least {MIN_PER_S}")
        return value


class Rights(_Model):
    """`filter`: fields of metadata with the one value that every point has which the key reads or writes."""

    grants: Annotated[list[GrantBody], Field(min_length=1, max_length=MAX_GRANTS)]
    filter: Annotated[
        dict[str, str | int] | None,
        Field(
            description="values that every point has which the key reads or writes",
            examples=[{"tenant": "acme"}],
        ),
    ] = None
    rate: Annotated[RateBody | None, Field(description="null: the gateway's own limit")] = None


class NewKey(Rights):
    """A key that is to be made."""

    name: NameField
    expires_at: Annotated[datetime | None, Field(description="with its offset; null: never")] = None


class RotateKey(_Model):
    grace_s: Annotated[
        float, Field(ge=0, le=MAX_GRACE_S, description="how long the secret before stays good")
    ] = DEFAULT_GRACE_S


class FileKey(NewKey):
    """A key in a file of keys."""

    key: Annotated[SecretStr, Field(min_length=MIN_KEY_LENGTH, max_length=MAX_KEY_LENGTH)]


class KeyFile(_Model):
    keys: Annotated[list[FileKey], Field(max_length=1_000)]


KEY_BODIES: Final[list[type[BaseModel]]] = [NewKey, RotateKey]


def grants_of(rights: Rights) -> tuple[Grant, ...]:
    """Raises InvalidArgument."""
    return tuple(
        grant_of(grant.scopes, grant.collections, f"grants[{number}]")
        for number, grant in enumerate(rights.grants)
    )


def forced_of(values: Mapping[str, Any] | None) -> Forced | None:
    """Raises InvalidArgument for what can't be held in every operation."""
    if values is None:
        return None
    if not 0 < len(values) <= MAX_FORCED:
        raise InvalidArgument(f"filter: expected 1 to {MAX_FORCED} fields, got {len(values)}")
    for name, value in values.items():
        if not _FIELD_FORM.fullmatch(name):
            raise InvalidArgument(
                f"filter: expected a field of letters, digits, '_' and '-' at the top, got {name[:64]!r}"
            )
        if is_reserved(name):
            raise InvalidArgument(f"filter: {name!r} is reserved for the provenance of vectors")
        if not _can_be_forced(value):
            raise InvalidArgument(
                f"filter.{name}: expected a text of 1 to {_MAX_VALUE_LENGTH} characters, or a whole number "
                "of 64 bits"
            )
    return dict(values)


def _can_be_forced(value: object) -> bool:
    """Whether a filter and metadata, which are JSON, can hold it."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is str and 0 < len(value) <= _MAX_VALUE_LENGTH and not _NO_TEXT.search(value)


def rate_of(rights: Rights) -> Rate | None:
    return None if rights.rate is None else Rate(rights.rate.requests_per_s, rights.rate.burst)


def ending_of(expires_at: datetime | None) -> int | None:
    """Microseconds since 1970 UTC. Raises InvalidArgument for an instant without its offset."""
    if expires_at is None:
        return None
    if expires_at.tzinfo is None:
        raise InvalidArgument("expires_at: expected an instant with its offset, as 2027-01-01T00:00:00Z")
    return round(expires_at.timestamp() * 1e6)


def kept_rights(rights: Rights) -> dict[str, Any]:
    """In the form that `Rights` reads again."""
    return rights.model_dump(mode="json", include=set(Rights.model_fields))
