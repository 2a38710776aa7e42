"""Texts from outside, before a model is given them."""

from __future__ import annotations

from hanax.core.errors import FailedPrecondition, InvalidArgument, InvalidText, TextTooLong
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_BATCH_POINTS, MAX_TEXT_BYTES
from hanax.core.specs import CollectionSpec


def check_text(value: object, where: object) -> str:
    """Return a text that a model may be given. Raises InvalidText or TextTooLong."""
    if not isinstance(value, str):
        raise InvalidText(f"{where}: expected text, got {kind_of(value)}")
    if not value.strip():
        raise InvalidText(f"{where}: expected text with at least one visible character")
    size = len(value.encode())
    if size > MAX_TEXT_BYTES:
        raise TextTooLong(
            f"{where}: at most {MAX_TEXT_BYTES} UTF-8 bytes, got {size}",
            limit_bytes=MAX_TEXT_BYTES,
            got_bytes=size,
        )
    return value


def parse_texts(value: object) -> list[str]:
    """One text or a list of them, each checked. Raises InvalidText or TextTooLong, naming the index."""
    if not isinstance(value, list):
        return [check_text(value, "text")]
    if not 0 < len(value) <= MAX_BATCH_POINTS:
        raise InvalidText(f"text: expected 1 to {MAX_BATCH_POINTS} texts, got {len(value)}")
    for index, text in enumerate(value):
        try:
            check_text(text, f"text[{index}]")
        except InvalidArgument as error:
            raise type(error)(error.message, **{**error.details, "index": index}) from None
    return value


def require_model(spec: CollectionSpec, where: str) -> str:
    """The model that embeds the collection's texts. Raises FailedPrecondition when it has none."""
    if spec.embedding_model is None:
        raise FailedPrecondition(
            f"{where}: collection {spec.name!r} has no embedding model: send a vector, "
            "or create the collection with embedding_model",
            collection=spec.name,
        )
    return spec.embedding_model
