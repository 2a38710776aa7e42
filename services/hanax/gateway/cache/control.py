"""What a client's Cache-Control asks for: RFC 9111, section 5.2.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CacheControl:
    """read: a kept answer may be given, if it is at most `max_age_s` old (None: of any age).

    store: the answer may be kept.
    """

    read: bool = True
    store: bool = True
    max_age_s: int | None = None


ANY: Final = CacheControl()


def read_cache_control(header: bytes | None) -> CacheControl:
    """no-cache: made anew; no-store: neither read nor kept; max-age. Directives of other meanings, and
    those that are not well formed, are passed over.
    """
    if not header:
        return ANY
    read, store, max_age_s = True, True, None
    for directive in header.decode("latin-1").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "no-cache":
            read = False
        elif name == "no-store":
            read = store = False
        elif name == "max-age" and value.strip('"').isdecimal():
            max_age_s = int(value.strip('"')[:9])
            read = read and max_age_s > 0
    return CacheControl(read, store, max_age_s)
