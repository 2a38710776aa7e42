"""Words of stored texts and of operands."""

from __future__ import annotations

import pytest

from hanax.core.words import WantedWord, has_phrase, has_words, wanted_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" ._-*!", []),
        ("The red-fish, THE_end 42x", ["the", "red", "fish", "the", "end", "42x"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("\uff21\uff22\uff23 ﬁne \u00b2 Ⅻ", ["abc", "fine", "2", "xii"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("ΣΊΣΥΦΟΣ σίσυφος", ["σίσυφοσ", "σίσυφοσ"]),
        ("東京都 москва", ["東京都", "москва"]),
        ("don't", ["don", "t"]),
        ("\u1e96a \u1d2c\u1d2e", ["\u1e96a", "ab"]),
        ("a\u200bb", ["a", "b"]),
        ("\U0001f600a", ["a"]),
        ("x\ud800y", ["x", "y"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_ascii_has_the_same_words_by_the_short_way() -> None:
    text = "".join(map(chr, range(128))) * 2
    assert words_of(text + " é") == [*words_of(text), "é"]


def test_a_star_right_behind_a_word_makes_it_a_prefix() -> None:
    found = wanted_words("Data* base data* *x y * z** cafe\u0301\uff0a")
    expected = ["data*", "base", "x", "y", "z*", "café*"]
    assert found == [WantedWord(word.rstrip("*"), word.endswith("*")) for word in expected]


def test_has_words_wants_all_in_any_order() -> None:
    words = {"red", "fishes", "blue"}
    assert has_words(words, wanted_words("blue red"))
    assert has_words(words, wanted_words("fish* red"))
    assert not has_words(words, wanted_words("fish red"))
    assert not has_words(words, wanted_words("red green"))
    assert not has_words(set(), wanted_words("red*"))


def test_has_phrase_wants_neighbours_in_order() -> None:
    words = ["a", "b", "a", "c"]
    assert has_phrase(words, ["a", "c"])
    assert has_phrase(words, words)
    assert not has_phrase(words, ["b", "c"])
    assert not has_phrase(words, ["c", "a"])
    assert not has_phrase(words, [*words, "d"])
    assert not has_phrase([], ["a"])
