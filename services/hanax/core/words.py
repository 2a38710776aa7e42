"""Words of a text, for the operators text and phrase: the same for stored values and for operands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

# Runs of letters and digits: what str.isalnum takes.
_WORD: Final = re.compile(r"[^\W_]+")
_WANTED: Final = re.compile(r"([^\W_]+)(\*?)")


class WantedWord(NamedTuple):
    """A word of a text operand. prefix: words that begin with it are meant as well."""

    word: str
    prefix: bool


def words_of(text: str) -> list[str]:
    """The words of a text in order, repeats included.

    Lower-cased runs of Unicode letters and digits, after NFKC and case folding: what differs in
    case or width is the same word, what differs in an accent is not. A combining mark that no
    letter takes in ends a word.
    """
    return _WORD.findall(_folded(text))


def wanted_words(operand: str) -> list[WantedWord]:
    """The words of a text operand, each once. A `*` right behind a word makes it a prefix."""
    found = _WANTED.findall(_folded(operand))
    return list(dict.fromkeys(WantedWord(word, bool(star)) for word, star in found))


def has_words(words: Collection[str], wanted: Sequence[WantedWord]) -> bool:
    """Whether every wanted word is among the words of a text. A set is quickest."""
    return all(
        any(word.startswith(one.word) for word in words) if one.prefix else one.word in words
        for one in wanted
    )


def has_phrase(words: list[str], phrase: list[str]) -> bool:
    """Whether the words of a phrase follow one another somewhere in the words of a text."""
    size = len(phrase)
    return any(words[start : start + size] == phrase for start in range(len(words) - size + 1))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Folding may undo what the first pass composed.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
