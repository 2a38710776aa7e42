"""Feature hashing of words and of the character n-grams inside them. It carries no meaning.

For tests and for starts without a model: texts that share words or parts of words are near, and
nothing else is. Vectors depend on the text alone: they are the same in every process, on every
machine and in every batch.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", arXiv:0902.2206: a
feature's hash picks a bucket and a sign, so that collisions cancel on average.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import xxhash

from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors

# A name of its own: vectors of a collection declared for a real model never come from here.
NAME: Final = "hash-384"

_DIMENSION: Final = 384
_MAX_WORDS: Final = 8_192
_WORD: Final = re.compile(r"\w+")
_NGRAM: Final = 3


class HashBackend(Backend):
    """Unit vectors of 384 dimensions; a token is a word."""

    info = ModelInfo(NAME, _DIMENSION, _MAX_WORDS, "hash", semantic=False, version="hash-1")
    memory_bytes = 0
    batch_tokens = 2_048
    # A row costs what it has.
    pads = False

    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return [_tokens(text) for text in texts]

    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        words = _words(text)
        return [_read(words[start : start + _MAX_WORDS]) for start in range(0, len(words), _MAX_WORDS)]

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        return lambda: np.stack([_vector(tokens) for tokens in batch])

    def warm(self) -> None:
        """Nothing is lazy here."""

    def close(self) -> None:
        """Nothing is held."""


def _tokens(text: str) -> Tokens:
    words = _words(text)
    if len(words) <= _MAX_WORDS:
        return _read(words)
    return replace(_read(words[:_MAX_WORDS]), truncated=True, total=len(words))


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    # A text of punctuation alone is one word, so that it has features too.
    return _WORD.findall(folded) or [folded.strip() or text]


def _read(words: Sequence[str]) -> Tokens:
    hashes = [xxhash.xxh3_64_intdigest(feature.encode()) for feature in _features(words)]
    return Tokens(np.array(hashes, np.uint64), len(words), truncated=False)


def _features(words: Sequence[str]) -> Iterator[str]:
    """Words, pairs of neighbours, and n-grams of each word between its bounds; never none."""
    yield from words
    for left, right in pairwise(words):
        yield f"{left} {right}"
    for word in words:
        bounded = f"<{word}>"
        for start in range(len(bounded) - _NGRAM + 1):
            # The prefix keeps an n-gram apart from the word of the same letters.
            yield f"#{bounded[start : start + _NGRAM]}"


def _vector(tokens: Tokens) -> Vectors:
    # The sign is the top bit, far from the bits that decide the bucket.
    buckets = (tokens.ids % np.uint64(_DIMENSION)).astype(np.intp)
    signs = np.where(tokens.ids >> np.uint64(63), -1.0, 1.0)
    sums = np.bincount(buckets, weights=signs, minlength=_DIMENSION)
    norm = float(np.linalg.norm(sums))
    if norm == 0.0:
        # Every feature met one of the opposite sign. The first word alone stands for the text.
        sums[buckets[0]] = norm = 1.0
    return (sums / norm).astype(np.float32)
