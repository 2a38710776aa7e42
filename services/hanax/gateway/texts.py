"""Texts of a request, and the model that embeds them."""

from __future__ import annotations

from hanax.core.errors import FailedPrecondition, InvalidArgument, InvalidText
from hanax.core.limits import MAX_BATCH_POINTS
from hanax.core.specs import CollectionSpec
from hanax.core.texts import check_text


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
