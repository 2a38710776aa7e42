"""API keys: `hxk_<id>_<secret>`, and what is kept of them.

The id, 16 hex digits, is no secret: it stands in logs and lists. The secret is 256 random bits, so that a
plain SHA-256 of the key can be kept: there is nothing to guess that a slow hash would protect (adr/0012).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

_PREFIX: Final = "hxk_"
_FORM: Final = re.compile(r"hxk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_DOMAIN: Final = b"hana-x-vector api key\0"

# Of a key that somebody else has made up.
MIN_KEY_LENGTH: Final = 32
MAX_KEY_LENGTH: Final = 512


def new_key_id() -> str:
    return secrets.token_hex(8)


def new_key(key_id: str) -> str:
    """A key with a secret of its own; nothing but its digest is to be kept."""
    return f"{_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"


def key_id_of(key: str) -> str | None:
    """None: not of the form that `new_key` makes."""
    found = _FORM.fullmatch(key)
    return None if found is None else found[1]


def key_digest(key: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(_DOMAIN + key.encode(errors="surrogateescape")).hexdigest()


def same_digest(one: str, other: str) -> bool:
    """In a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)
