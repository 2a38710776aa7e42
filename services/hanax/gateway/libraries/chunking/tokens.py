"""Tokens as they are counted here, where no model's tokenizer is.

One token is: up to six ASCII letters or digits in a row; one ideograph, kana or Hangul syllable; up to three
other characters in a row that are not ASCII; any other visible character. For English and the tokenizers of
common models that is about as many as they make, or a few more: a chunk of `size` tokens is read whole by a
model that reads as many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hanax.gateway.libraries.chunking.units import Unit

# Scripts that are written without spaces between words, in which a text may be cut anywhere.
_DENSE: Final = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)

_TOKEN: Final = re.compile(rf"[0-9A-Za-z]{{1,6}}|[{_DENSE}]|[^\x00-\x7f\s{_DENSE}]{{1,3}}|\S")
# What is not cut inside: a character of a dense script with what is written on it, or a word.
_WORD: Final = re.compile(rf"[{_DENSE}][^\w\s{_DENSE}]*|[^\s{_DENSE}]+")


def count_tokens(text: str) -> int:
    return sum(1 for _ in _TOKEN.finditer(text))


def words(text: str, start: int, end: int, size: int) -> Iterator[Unit]:
    """The words of text[start:end], in order. One of more than `size` tokens comes in parts."""
    for word in _WORD.finditer(text, start, end):
        ends = [token.end() for token in _TOKEN.finditer(text, word.start(), word.end())]
        begins = word.start()
        for first in range(0, len(ends), size):
            after = min(first + size, len(ends))
            yield Unit(begins, ends[after - 1], after - first)
            begins = ends[after - 1]
