"""Tokens as they are counted here, where no model's tokenizer is.

One token is: up to six ASCII letters or digits in a row; one ideograph, kana or Hangul syllable; up to three
other characters in a row that are not ASCII; any other visible character. For English and the tokenizers of
common models that is about as many as they make, or a few more: a chunk of `size` tokens is read whole by a
model that reads as many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final
from unicodedata import category

from hanax.gateway.libraries.chunking.units import Unit

# Scripts that are written without spaces between words, in which a text may be cut anywhere.
_DENSE: Final = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)

_TOKEN: Final = re.compile(rf"[0-9A-Za-z]{{1,6}}|[{_DENSE}]|[^\x00-\x7f\s{_DENSE}]{{1,3}}|\S")
# What is not cut inside: a character of a dense script with what is written on it, or a word.
_WORD: Final = re.compile(rf"[{_DENSE}][^\w\s{_DENSE}]*|[^\s{_DENSE}]+")


# Joins what stands around it into one sign.
_JOINER: Final = "\u200d"


def count_tokens(text: str) -> int:
    return sum(1 for _ in _TOKEN.finditer(text))


def words(text: str, start: int, end: int, size: int) -> Iterator[Unit]:
    """The words of text[start:end], in order. One of more than `size` tokens comes in parts, as the running
    text of Thai, Lao and Khmer does, which has no spaces between words.
    """
    for word in _WORD.finditer(text, start, end):
        begins = word.start()
        while begins < word.end():
            after, tokens = begins, 0
            for token in islice(_TOKEN.finditer(text, begins, word.end()), size):
                after, tokens = token.end(), tokens + 1
            if after < word.end() and (cut := _before_marks(text, begins, after)) < after:
                after, tokens = cut, count_tokens(text[begins:cut])
            yield Unit(begins, after, tokens)
            begins = after


def _before_marks(text: str, start: int, cut: int) -> int:
    """Before the letter that the marks behind `cut` are written on; `cut` where there are none.

    And where the letter is at `start`: a part has to have something.
    """
    place = cut
    while place > start and _goes_on(text, place):
        place -= 1
    return place if place > start else cut


def _goes_on(text: str, place: int) -> bool:
    """Whether the character at `place` is written on the one before it, or joined to it."""
    return text[place] == _JOINER or text[place - 1] == _JOINER or category(text[place])[0] == "M"
