"""Chunking of raw texts: nothing is lost, limits hold, overlaps are what was asked for, offsets are right."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hanax.core.limits import MAX_CHUNK_CHARACTERS
from hanax.gateway.libraries.chunking import dividing
from hanax.gateway.libraries.chunking.dividing import Piece
from hanax.gateway.libraries.chunking.headings import sections
from hanax.gateway.libraries.chunking.rules import (
    ChunkingRule,
    HeadingChunking,
    SentenceChunking,
    TokenChunking,
)
from hanax.gateway.libraries.chunking.sentences import sentences
from hanax.gateway.libraries.chunking.tokens import count_tokens

# Words, white space of many kinds, ends of sentences, headings, dense scripts, marks, and anything.
_PARTS = st.sampled_from(
    [
        "word ",
        "a",
        "Dr. ",
        "3.14 ",
        "end. ",
        "Why? ",
        "\n\n",
        "\r\n",
        "\n# Head\n",
        "\n## Sub\n",
        "Set\n===\n",
        "```\n# no\n```\n",
        "> # quoted\n",
        "日本語。",
        "한국",
        "e\u0301",
        "नमस्ते ",
        "🙂",
        "\t",
        "\u2028",
        "\u200b",
        "x" * 700,
        " " * 6_000,
        "!" * 50,
        "- item\n",
    ]
)
_TEXTS = st.lists(_PARTS | st.text(max_size=20), max_size=40).map("".join)
_SIZES = st.integers(1, 40)


@st.composite
def _rules(draw: st.DrawFn) -> ChunkingRule:
    size = draw(_SIZES)
    overlap = draw(st.integers(0, size // 2))
    kinds: list[type[ChunkingRule]] = [TokenChunking, SentenceChunking, HeadingChunking]
    return draw(st.sampled_from(kinds))(size=size, overlap=overlap)


def divide(text: str, rule: ChunkingRule) -> list[Piece]:
    return list(dividing.divide(text, rule))


def _visible(text: str, pieces: list[Piece]) -> list[bool]:
    covered = [False] * len(text)
    for piece in pieces:
        covered[piece.start : piece.end] = [True] * (piece.end - piece.start)
    return covered


@settings(deadline=None)
@given(_TEXTS, _rules())
def test_every_visible_character_is_in_a_chunk(text: str, rule: ChunkingRule) -> None:
    covered = _visible(text, divide(text, rule))
    assert [c for c, kept in zip(text, covered, strict=True) if not kept and not c.isspace()] == []


@settings(deadline=None)
@given(_TEXTS, _rules())
def test_chunks_hold_their_limits_and_have_visible_ends(text: str, rule: ChunkingRule) -> None:
    for piece in divide(text, rule):
        chunk = text[piece.start : piece.end]
        assert 0 < len(chunk) <= MAX_CHUNK_CHARACTERS
        assert chunk == chunk.strip()
        assert count_tokens(chunk) <= rule.size


@settings(deadline=None)
@given(_TEXTS, _rules())
def test_chunks_are_in_order_and_overlap_no_more_than_was_asked_for(text: str, rule: ChunkingRule) -> None:
    for before, after in pairwise(divide(text, rule)):
        assert before.start < after.start
        assert before.end < after.end
        shared = text[after.start : before.end] if after.start < before.end else ""
        assert count_tokens(shared) <= rule.overlap


@settings(deadline=None)
@given(st.lists(st.sampled_from(["one", "seven", "a"]), min_size=60, max_size=120), st.integers(10, 30))
def test_overlap_of_short_words_is_as_much_as_was_asked_for(words: list[str], size: int) -> None:
    text = " ".join(words)
    overlap = size // 2
    pieces = divide(text, TokenChunking(size=size, overlap=overlap))
    for before, after in pairwise(pieces):
        assert count_tokens(text[after.start : before.end]) == overlap
    assert all(count_tokens(text[piece.start : piece.end]) == size for piece in pieces[:-1])


@settings(deadline=None)
@given(_TEXTS, st.integers(1, 6))
def test_sections_follow_one_another_and_their_paths_only_deepen(text: str, levels: int) -> None:
    found = list(sections(text, levels))
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(len(section.headings) <= levels for section in found)
    lost = set(range(len(text))) - {i for section in found for i in range(section.start, section.end)}
    assert all(text[i].isspace() for i in lost)


def test_a_chunk_carries_the_path_of_its_headings() -> None:
    text = "intro\n\n# Guide\n\nAll.\n\n## Install *now*\n\n```\n# no heading\n```\n\nEnd\n---\n\nbye\n\n"
    text += "# Other\r\nlast"
    pieces = divide(text, HeadingChunking())
    told = [(piece.headings, text[piece.start : piece.end]) for piece in pieces]
    assert told == [
        ((), "intro"),
        (("Guide",), "# Guide\n\nAll."),
        (("Guide", "Install *now*"), "## Install *now*\n\n```\n# no heading\n```"),
        (("Guide", "End"), "End\n---\n\nbye"),
        (("Other",), "# Other\r\nlast"),
    ]


def test_a_long_heading_is_told_by_its_beginning() -> None:
    """Each chunk of its section carries it; a paragraph with a line below it is a heading, too."""
    text = "# " + "x" * 100_000 + "\n\n" + "A sentence. " * 500
    pieces = divide(text, HeadingChunking())
    assert {piece.headings for piece in pieces} == {("x" * 300,)}


def test_a_sign_is_not_cut_apart_where_no_space_is() -> None:
    """Marks stay with the letter that they are written on: Thai has no spaces between words."""
    thai = "ที่นี่เป็นเมืองที่มีชื่อเสียงมากที่สุด" * 40
    family = "👨\u200d👩\u200d👧" * 40
    for text in (thai, family, "e\u0301" * 200, "क्षि" * 100):
        for size in (3, 7, 20):
            for piece in divide(text, TokenChunking(size=size, overlap=0)):
                first, before = text[piece.start], text[piece.start - 1 : piece.start]
                assert category(first)[0] != "M"
                assert "\u200d" not in (first, before)


@pytest.mark.parametrize(("size", "overlap"), [(200, 20), (40, 20), (30, 15), (1, 0)])
def test_the_usual_overlap_fits_into_small_chunks(size: int, overlap: int) -> None:
    assert TypeAdapter(ChunkingRule).validate_python({"type": "tokens", "size": size}) == TokenChunking(
        size=size, overlap=overlap
    )


@pytest.mark.parametrize("rule", [TokenChunking(size=1), SentenceChunking(), HeadingChunking()])
@pytest.mark.parametrize("part", ["漢", "a\n\n", "# a\n", "[a]: b\n", "- a\n"])
def test_dividing_holds_little_of_a_text_of_many_units(part: str, rule: ChunkingRule) -> None:
    """Units are not held for the whole text: some tens of bytes for each character, not hundreds."""
    text = part * (60_000 // len(part))
    tracemalloc.start()
    try:
        for _ in dividing.divide(text, rule):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(text)


def test_headings_below_the_levels_begin_no_section() -> None:
    text = "# A\n\none\n\n### Deep\n\ntwo"
    assert [piece.headings for piece in divide(text, HeadingChunking(levels=2))] == [("A",)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith met J. Doe. They spoke.", ["Dr. Smith met J. Doe.", "They spoke."]),
        ("It costs 3.14 now. Some, e.g. Bern, do.", ["It costs 3.14 now.", "Some, e.g. Bern, do."]),
        ("He said “Go.” Then left.", ["He said “Go.”", "Then left."]),
        ("これは一つ。これは二つ。", ["これは一つ。", "これは二つ。"]),
        ("A line\nthat wraps\n\nnext paragraph", ["A line\nthat wraps", "next paragraph"]),
        ("Wait... what? Yes", ["Wait...", "what?", "Yes"]),
        ("မြန်မာ။စာ။", ["မြန်မာ။", "စာ။"]),
        ("یہ ایک ہے\u06d4 یہ دو", ["یہ ایک ہے\u06d4", "یہ دو"]),
    ],
)
def test_sentences_end_where_they_end(text: str, expected: list[str]) -> None:
    found = [text[unit.start : unit.end] for unit in sentences(text, 0, len(text), 50)]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("word", 1), ("internationalization", 4), ("a, b", 3), ("日本", 2), ("привет", 2), ("1.5", 3)],
)
def test_tokens_are_counted_by_the_rule_in_the_guide(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


def test_dividing_takes_time_in_proportion_to_the_text() -> None:
    """Steps are counted, not seconds: a text that is ten times as long makes ten times as many chunks."""
    few = len(divide("A short one. " * 1_000, SentenceChunking(size=100, overlap=50)))
    many = len(divide("A short one. " * 10_000, SentenceChunking(size=100, overlap=50)))
    assert many == pytest.approx(10 * few, rel=0.05)
