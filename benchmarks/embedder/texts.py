"""Texts of mixed lengths: from a few words, as people ask, to more than the model reads."""

from __future__ import annotations

from typing import Final

import numpy as np

from hanax.cli.demo.corpus import build_corpus

# Of a text, drawn evenly on a logarithmic scale: 4 words are a query, 220 are past 256 tokens.
_FEWEST_WORDS: Final = 4
_MOST_WORDS: Final = 220


def mixed_texts(count: int) -> list[str]:
    """`count` distinct runs of words from the demo's documents, in no order of length."""
    random = np.random.default_rng(11)
    words = " ".join(document.text for document in build_corpus()).split()
    lengths = np.exp(random.uniform(np.log(_FEWEST_WORDS), np.log(_MOST_WORDS), 2 * count)).astype(int)
    starts = random.integers(0, len(words) - _MOST_WORDS, 2 * count)
    runs = (" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True))
    texts = list(dict.fromkeys(runs))
    if len(texts) < count:
        raise RuntimeError(f"only {len(texts)} texts in the demo's documents")
    return texts[:count]
