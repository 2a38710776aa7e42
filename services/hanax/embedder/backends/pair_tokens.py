"""A query and texts to tokens, as the model's tokenizer.json puts two texts together, without padding.

The query is read once for all its texts. What of a pair is too long is cut from the longer of the two, until
they are as long as each other or fit: `longest_first`, as cross-encoders are trained and run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from tokenizers import Encoding, Tokenizer

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Tokens
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.text_tokens import portions

# Any text will do that is a token.
_SAMPLE: Final = "a"


class PairTokenizer:
    """Safe on several threads at once: nothing of the tokenizer is changed after it was made."""

    def __init__(self, tokenizer: Tokenizer, traits: ModelTraits) -> None:
        """Raises FailedPrecondition for a tokenizer that does not put two texts together."""
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._lowers_case: Final = traits.lowers_case
        around = self._tokenizer.encode(_SAMPLE, _SAMPLE)
        of = around.sequence_ids
        if 0 not in of or 1 not in of or of.index(1) < of.index(0):
            raise FailedPrecondition(f"the tokenizer of {traits.folder.name} does not put two texts together")
        query, text = of.index(0), of.index(1)
        query_end, text_end = _end(of, 0), _end(of, 1)
        self._head: Final = _ids(around)[:, :query]
        self._between: Final = _ids(around)[:, query_end:text]
        self._tail: Final = _ids(around)[:, text_end:]
        self._query_type, self._text_type = around.type_ids[query], around.type_ids[text]
        self._special: Final = len(around.ids) - (query_end - query) - (text_end - text)
        self._room: Final = traits.max_tokens - self._special
        if self._room < 1:
            raise FailedPrecondition(
                f"{traits.folder.name} reads {traits.max_tokens} tokens, which leaves no room for a text"
            )

    def pair(self, query: str, texts: Sequence[str]) -> list[Tokens]:
        """Rows whose `ids` are int64 (2, count): of the tokens, and of which text they are."""
        asked = self._tokenizer.encode(self._cased(query), add_special_tokens=False).ids
        rows: list[Tokens] = []
        for portion in portions(texts):
            cased = [self._cased(text) for text in portion]
            encodings = self._tokenizer.encode_batch_fast(cased, add_special_tokens=False)
            rows += [self._row(asked, encoding.ids) for encoding in encodings]
        return rows

    def _cased(self, text: str) -> str:
        return text.lower() if self._lowers_case else text

    def _row(self, query: list[int], text: list[int]) -> Tokens:
        reads, keeps = kept_of(len(query), len(text), self._room)
        parts = [
            self._head,
            _typed(query[:reads], self._query_type),
            self._between,
            _typed(text[:keeps], self._text_type),
            self._tail,
        ]
        ids = np.concatenate(parts, axis=1)
        whole = len(query) + len(text) + self._special
        is_cut = ids.shape[1] < whole
        return Tokens(ids, ids.shape[1], truncated=is_cut, total=whole if is_cut else 0)


def kept_of(query: int, text: int, room: int) -> tuple[int, int]:
    """How many tokens of each are read, where `room` holds both together.

    Of two that are both longer than half of it, each has half; an odd one goes to the longer, and to the text
    where they are as long as each other.
    """
    if query + text <= room:
        return query, text
    half = room // 2
    shorter = min(query, text)
    less = shorter if shorter <= half else half
    more = room - less
    return (more, less) if query > text else (less, more)


def _end(of: list[int | None], text: int) -> int:
    """Behind the last token of one of the two."""
    return len(of) - of[::-1].index(text)


def _ids(around: Encoding) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([around.ids, around.type_ids], np.int64)


def _typed(ids: list[int], kind: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array([ids, [kind] * len(ids)], np.int64).reshape(2, len(ids))
