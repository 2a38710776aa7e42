"""Sections of a Markdown text: CommonMark says what is a heading, and what only looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

_LINE_END: Final = re.compile(r"\r\n|\r|\n")

# Every chunk of a section carries its path: what is longer is a paragraph with a line below it.
MAX_HEADING_CHARACTERS: Final = 300


class Section(NamedTuple):
    """text[start:end], from a heading up to the next. headings: from the outermost to its own."""

    start: int
    end: int
    headings: tuple[str, ...]


def sections(text: str, levels: int) -> Iterator[Section]:
    """All of the text, in order: headings of the first `levels` levels begin sections.

    Only headings that stand in no list and no quotation count. What comes before the first has no headings.
    """
    path: list[tuple[int, str]] = []
    begins = 0
    for start, level, title in _placed(text, [one for one in _headings(text) if one.level <= levels]):
        if text[begins:start].strip():
            yield Section(begins, start, tuple(name for _, name in path))
        begins = start
        path = [(outer, name) for outer, name in path if outer < level]
        path.append((level, title))
    if text[begins:].strip():
        yield Section(begins, len(text), tuple(name for _, name in path))


class _Heading(NamedTuple):
    line: int
    level: int
    title: str


def _placed(text: str, headings: list[_Heading]) -> Iterator[tuple[int, int, str]]:
    """Where the line of each begins, its level and its title."""
    ends = _LINE_END.finditer(text)
    line = start = 0
    for heading in headings:
        while line < heading.line:
            start, line = next(ends).end(), line + 1
        yield start, heading.level, heading.title


def _headings(text: str) -> list[_Heading]:
    """In order. Inside lists and quotations are none."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    found = _Headings()
    normal = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    parser.block.parse(normal, parser, {"references": _Nothing()}, found)
    return found.told


class _Headings(list[Token]):
    """Takes what the parser makes of a text, and keeps headings alone: a text of a few letters in each line
    has a million tokens, of a kilobyte each.

    A heading comes as three tokens, which the parser goes on to fill in after it has added each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[_Heading] = []
        self._opened: Token | None = None
        self._words: Token | None = None

    def append(self, token: Token) -> None:
        if token.type == "heading_open" and token.level == 0:
            self._opened = token
        elif token.type == "inline":
            self._words = token
        elif token.type == "heading_close" and self._opened is not None and self._words is not None:
            assert self._opened.map is not None, "the parser tells the lines of every heading"
            title = self._words.content[:MAX_HEADING_CHARACTERS]
            self.told.append(_Heading(self._opened.map[0], int(self._opened.tag[1:]), title))
            self._opened = None


class _Nothing(dict[str, Any]):
    """Keeps no definitions of links: nobody asks for them."""

    def __setitem__(self, key: str, value: Any) -> None:
        pass
