"""Conditions on the characters and the words of a text: they look into the distinct texts, not into rows."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial

import numpy as np

from hanax.core.words import has_phrase, wanted_words, words_of
from hanax.engine.filters.bitmaps import Node
from hanax.engine.filters.columns import Groups, PathColumns, Postings, Strings
from hanax.engine.filters.selections import chosen, found, unread, with_rest


def starts_with(columns: PathColumns, prefix: str) -> Node:
    texts = columns.postings.get("texts")
    if texts is None:
        return chosen(columns, [], [])
    return chosen(columns, [(texts, *columns.strings["texts"].prefixed(prefix.encode()))], [])


def ends_with(columns: PathColumns, suffix: str) -> Node:
    texts = columns.postings.get("texts")
    if texts is None or not suffix:
        return starts_with(columns, "")
    find = partial(columns.strings["texts"].ending_in, suffix.encode())
    return with_rest(columns, found(columns, texts, find))


def text(columns: PathColumns, operand: str) -> Node:
    texts = columns.postings.get("texts")
    if texts is None:
        return chosen(columns, [], [])
    if not columns.worded:
        return unread(columns, texts)
    wanted = [(one.word.encode(), one.prefix) for one in wanted_words(operand)]
    return with_rest(columns, found(columns, texts, partial(_texts_with, columns, texts, wanted)))


def phrase(columns: PathColumns, operand: str) -> Node:
    texts = columns.postings.get("texts")
    if texts is None:
        return chosen(columns, [], [])
    if not columns.worded:
        return unread(columns, texts)
    words = words_of(operand)
    wanted = [(word.encode(), False) for word in dict.fromkeys(words)]
    strings = columns.strings["texts"]

    def find() -> Groups:
        # One by one: few texts have all words of a phrase, and most of those have the phrase.
        candidates = _texts_with(columns, texts, wanted).tolist()
        return np.array([group for group in candidates if _says(strings, group, words)], np.uint32)

    return with_rest(columns, found(columns, texts, find))


def _says(strings: Strings, group: int, words: list[str]) -> bool:
    return has_phrase(words_of(strings[group].decode()), words)


def _texts_with(columns: PathColumns, texts: Postings, wanted: list[tuple[bytes, bool]]) -> Groups:
    """Texts with all of the words; a word may be a prefix."""
    words = columns.strings["words"]
    starts, owners = columns.array("words.starts"), columns.array("words.texts")
    assert starts is not None
    assert owners is not None
    left: Groups | None = None
    for word, prefix in wanted:
        if prefix:
            first, after = words.prefixed(word)
        else:
            first = bisect_left(words, word)
            after = first + (first < len(words) and words[first] == word)
        here = owners[starts[first] : starts[after]]
        if after - first > 1:
            here = np.unique(here)
        # Each word's texts ascend.
        left = here if left is None else np.intersect1d(left, here, assume_unique=True)
        if not len(left):
            break
    return np.arange(texts.groups, dtype=np.uint32) if left is None else left
