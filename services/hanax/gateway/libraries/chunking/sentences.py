"""Where sentences end: by punctuation, after the simple rules of Unicode's UAX #29, section 5.

A sentence ends behind `.`, `!`, `?`, an ellipsis or their like and closing quotes, where white space
follows; behind the full stops of scripts that put none there (Chinese, Japanese, Burmese, Khmer); and at an
empty line. A full stop ends none before a small letter, behind one capital letter (an initial), and behind
common abbreviations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hanax.core.limits import MAX_CHUNK_CHARACTERS
from hanax.gateway.libraries.chunking.tokens import count_tokens, words
from hanax.gateway.libraries.chunking.units import Span, Unit, pack

_CLOSING: Final = "\"'\u2019\u201d\u00bb)\\]}"
_END: Final = re.compile(
    rf"(?P<stop>[.!?\u2026\u0589\u061f\u06d4\u0964\u0965\u1362]+)[{_CLOSING}]*(?=\s)"
    rf"|[\u3002\uff01\uff1f\uff61\u104a\u104b\u17d4\u17d5]+[{_CLOSING}\u300d\u300f\uff09]*"
    r"|(?P<gap>(?:\r\n?|\n)[^\S\r\n]*(?:\r\n?|\n))"
)
_VISIBLE: Final = re.compile(r"\S")
_LAST_WORD: Final = re.compile(r"[^\W_]+(?:\.[^\W_]+)*$")

# As far back as an abbreviation is looked for.
_LONGEST: Final = 12
_ABBREVIATIONS: Final = frozenset(
    [
        "approx",
        "ca",
        "cf",
        "co",
        "corp",
        "dept",
        "dr",
        "e.g",
        "ed",
        "eds",
        "eq",
        "etc",
        "fig",
        "figs",
        "gen",
        "gov",
        "i.e",
        "inc",
        "jr",
        "ltd",
        "mr",
        "mrs",
        "ms",
        "no",
        "nos",
        "nr",
        "p.ex",
        "pp",
        "prof",
        "rev",
        "sec",
        "sen",
        "sr",
        "st",
        "u.s",
        "vol",
        "vs",
        "z.b",
        "d.h",
        "bzw",
        "usw",
        "evtl",
        "m.e",
    ]
)


def sentences(text: str, start: int, end: int, size: int) -> Iterator[Unit]:
    """The sentences of text[start:end], in order. One that does not fit into a chunk of `size` tokens comes
    in parts, divided between words.
    """
    for span in _spans(text, start, end):
        tokens = count_tokens(text[span.start : span.end])
        if tokens <= size and span.end - span.start <= MAX_CHUNK_CHARACTERS:
            yield Unit(span.start, span.end, tokens)
            continue
        for part in pack(words(text, span.start, span.end, size), size, 0):
            yield Unit(part.start, part.end, count_tokens(text[part.start : part.end]))


def _spans(text: str, start: int, end: int) -> Iterator[Span]:
    """From the first visible character of each sentence to its last."""
    begins = _VISIBLE.search(text, start, end)
    while begins is not None:
        after = _end(text, begins.start(), end)
        yield Span(begins.start(), begins.start() + len(text[begins.start() : after].rstrip()))
        begins = _VISIBLE.search(text, after, end)


def _end(text: str, start: int, end: int) -> int:
    for found in _END.finditer(text, start, end):
        if found["gap"] is not None:
            return found.start()
        if found["stop"] != "." or not _goes_on(text, start, found):
            return found.end()
    return end


def _goes_on(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether the sentence goes on behind this one full stop."""
    following = _VISIBLE.search(text, found.end())
    if following is not None and following[0].islower():
        return True
    word = _LAST_WORD.search(text, max(start, found.start() - _LONGEST), found.start())
    if word is None:
        return False
    letters = word[0]
    return (len(letters) == 1 and letters.isupper()) or letters.lower() in _ABBREVIATIONS
