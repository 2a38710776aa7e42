"""Texts become tokens: counted, cut, or split with nothing left out, each part behind the prompt."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Purpose
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.text_tokens import TextTokenizer, read_tokenizer
from tests.unit.embedder.tiny_models import MAX_TOKENS, write_tokenizer

CLS, SEP = 2, 3
LIBRARY = "config_sentence_transformers.json"


def tokenizer(folder: Path, **config: object) -> TextTokenizer:
    write_tokenizer(folder)
    (folder / LIBRARY).write_bytes(orjson.dumps(config))
    traits = ModelTraits(folder)
    return TextTokenizer(read_tokenizer(traits), traits)


def test_tokens_are_counted_and_cut(tmp_path: Path) -> None:
    room = MAX_TOKENS - 2
    short, full, long = tokenizer(tmp_path).tokenize(
        ["word", "word " * room, "word " * (3 * room + 5)], Purpose.NONE
    )
    assert (short.count, short.truncated, short.total) == (3, False, 0)
    assert (full.count, full.truncated, full.total) == (MAX_TOKENS, False, 0)
    assert (long.count, long.truncated, long.total) == (MAX_TOKENS, True, 3 * room + 5 + 2)
    assert [long.ids[0], long.ids[-1]] == [CLS, SEP]


def test_the_prompt_of_the_purpose_comes_first(tmp_path: Path) -> None:
    found = tokenizer(tmp_path, prompts={"query": "query: ", "document": "passage: "})
    plain, query, document = (
        list(found.tokenize(["the sea"], purpose)[0].ids)
        for purpose in (Purpose.NONE, Purpose.QUERY, Purpose.DOCUMENT)
    )
    assert len(query) == len(document) == len(plain) + 2
    assert query[0] == CLS
    assert query[3:] == document[3:] == plain[1:]
    assert query[1] != document[1]


@pytest.mark.parametrize("words", [1, 22, 23, 45, 200])
@pytest.mark.parametrize("purpose", [Purpose.NONE, Purpose.QUERY])
def test_parts_hold_all_of_a_text_and_are_of_one_length(tmp_path: Path, words: int, purpose: Purpose) -> None:
    found = tokenizer(tmp_path, prompts={"query": "query: "})
    text = " ".join(["the", "sea", "and", "salt"][at % 4] for at in range(words))
    around = 1 if purpose is Purpose.NONE else 3
    parts = found.split(text, purpose)
    inner = [list(part.ids[around:-1]) for part in parts]
    whole = found.split("the sea and salt", Purpose.NONE)[0].ids[1:-1]
    assert [token for part in inner for token in part] == [whole[at % 4] for at in range(words)]
    assert all(part.count == len(part.ids) <= MAX_TOKENS and not part.truncated for part in parts)
    assert all(list(part.ids[:around]) == list(parts[0].ids[:around]) for part in parts)
    lengths = [len(part) for part in inner]
    assert len(parts) == -(-words // (MAX_TOKENS - around - 1))
    assert max(lengths) - lengths[-1] < len(parts)


def test_a_text_that_the_tokenizer_drops_has_tokens_too(tmp_path: Path) -> None:
    found = tokenizer(tmp_path)
    assert found.tokenize(["\u0000"], Purpose.NONE)[0].count >= 1
    assert found.split("\u0000", Purpose.NONE)[0].count >= 1


def test_a_prompt_that_leaves_no_room(tmp_path: Path) -> None:
    found = tokenizer(tmp_path, prompts={"query": "word " * MAX_TOKENS})
    with pytest.raises(FailedPrecondition, match="leaves no room"):
        found.split("the sea", Purpose.QUERY)


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FailedPrecondition, match=r"tokenizer\.json is damaged"):
        read_tokenizer(ModelTraits(tmp_path))
