"""What the texts of a request must be."""

from __future__ import annotations

import pytest

from hanax.core.errors import InvalidArgument, InvalidText, TextTooLong
from hanax.core.limits import MAX_EMBED_TEXTS, MAX_TEXT_BYTES
from hanax.embedder.service import check_texts


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ([], InvalidArgument, "expected 1 to 128 texts in a request, got 0"),
        (["a"] * (MAX_EMBED_TEXTS + 1), InvalidArgument, "got 129"),
        (["a", " \t\n"], InvalidText, "text 1 is empty"),
        (["a", ""], InvalidText, "text 1 is empty"),
        (["é" * (MAX_TEXT_BYTES // 2) + "x"], TextTooLong, "text 0 has 131073 bytes in UTF-8"),
    ],
)
def test_texts_that_are_refused(texts: list[str], error: type[InvalidArgument], message: str) -> None:
    with pytest.raises(error, match=message) as found:
        check_texts(texts)
    assert type(found.value) is error


@pytest.mark.parametrize("texts", [["a"] * MAX_EMBED_TEXTS, ["x" * MAX_TEXT_BYTES], [" é "]])
def test_texts_at_the_limit(texts: list[str]) -> None:
    check_texts(texts)
