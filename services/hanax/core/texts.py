"""Texts from outside, before a model is given them."""

from __future__ import annotations

from hanax.core.errors import InvalidText, TextTooLong
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_TEXT_BYTES


def check_text(value: object, where: object) -> str:
    """Return a text that a model may be given. Raises InvalidText or TextTooLong."""
    if not isinstance(value, str):
        raise InvalidText(f"{where}: expected text, got {kind_of(value)}")
    if not value or value.isspace():
        raise InvalidText(f"{where}: expected text with at least one visible character")
    size = len(value.encode(errors="surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise TextTooLong(
            f"{where}: at most {MAX_TEXT_BYTES} UTF-8 bytes, got {size}",
            limit_bytes=MAX_TEXT_BYTES,
            got_bytes=size,
        )
    return value
