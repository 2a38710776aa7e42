"""A raw text into chunks, by the rule that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hanax.gateway.libraries.chunking.headings import sections
from hanax.gateway.libraries.chunking.rules import (
    ChunkingRule,
    HeadingChunking,
    SentenceChunking,
    TokenChunking,
)
from hanax.gateway.libraries.chunking.sentences import sentences
from hanax.gateway.libraries.chunking.tokens import words
from hanax.gateway.libraries.chunking.units import Span, pack


class Piece(NamedTuple):
    """The chunk text[start:end]. headings: of the section that it is from."""

    start: int
    end: int
    headings: tuple[str, ...] = ()


def divide(text: str, rule: ChunkingRule) -> Iterator[Piece]:
    """All visible characters of the text are in some chunk, in order; none is longer than
    MAX_CHUNK_CHARACTERS. None where the text has no visible character.
    """
    whole = Span(0, len(text))
    match rule:
        case TokenChunking():
            yield from _pieces(pack(words(text, *whole, rule.size), rule.size, rule.overlap))
        case SentenceChunking():
            yield from _by_sentences(text, whole, rule, ())
        case HeadingChunking():
            for section in sections(text, rule.levels):
                yield from _by_sentences(text, Span(section.start, section.end), rule, section.headings)


def _by_sentences(
    text: str, span: Span, rule: SentenceChunking | HeadingChunking, headings: tuple[str, ...]
) -> Iterator[Piece]:
    return _pieces(pack(sentences(text, *span, rule.size), rule.size, rule.overlap), headings)


def _pieces(spans: Iterator[Span], headings: tuple[str, ...] = ()) -> Iterator[Piece]:
    return (Piece(span.start, span.end, headings) for span in spans)
