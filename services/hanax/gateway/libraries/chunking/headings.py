"""Sections of a Markdown text: CommonMark says what is a heading, and what only looks like one."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from markdown_it import MarkdownIt

_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class Section(NamedTuple):
    """text[start:end], from a heading up to the next. headings: from the outermost to its own."""

    start: int
    end: int
    headings: tuple[str, ...]


def sections(text: str, levels: int) -> list[Section]:
    """All of the text, in order: headings of the first `levels` levels begin sections.

    Only headings that stand in no list and no quotation count. What comes before the first has no headings.
    """
    starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    begins = 0
    for line, level, title in _headings(text):
        if level > levels:
            continue
        found.append(Section(begins, starts[line], tuple(title for _, title in path)))
        begins = starts[line]
        path = [(outer, name) for outer, name in path if outer < level]
        path.append((level, title))
    found.append(Section(begins, len(text), tuple(title for _, title in path)))
    return [section for section in found if text[section.start : section.end].strip()]


def _headings(text: str) -> list[tuple[int, int, str]]:
    """Line, level and words of each heading."""
    tokens = _blocks().parse(text)
    return [
        (token.map[0], int(token.tag[1:]), tokens[place + 1].content)
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map is not None
    ]


def _blocks() -> MarkdownIt:
    """A parser that leaves alone what stands inside blocks."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
