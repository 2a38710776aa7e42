"""Two texts become the tokens that the tokenizer itself makes of them, cut as it cuts them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer, normalizers, processors

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.pair_tokens import PairTokenizer
from tests.unit.embedder.tiny_models import MAX_TOKENS, write_tokenizer

ROBERTA = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2))


@pytest.fixture(params=["bert", "roberta"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The other puts two tokens between texts, and tells no types."""
    write_tokenizer(tmp_path)
    if request.param == "roberta":
        file = tmp_path / "tokenizer.json"
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.post_processor = ROBERTA
        tokenizer.save(str(file))
    return tmp_path


def tokenizer_of(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_pairs_of_all_lengths_are_those_of_the_tokenizer(folder: Path) -> None:
    tokenizer = tokenizer_of(folder)
    pairs = PairTokenizer(tokenizer, ModelTraits(folder))
    tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
    for query, text in product(range(1, 2 * MAX_TOKENS), repeat=2):
        asked, read = "sea " * query, "salt " * text
        expected = tokenizer.encode(asked, read)
        (row,) = pairs.pair(asked, [read])
        assert row.ids.tolist() == [expected.ids, expected.type_ids], (query, text)
        assert row.count == len(expected.ids)
        special = sum(expected.special_tokens_mask)
        assert row.truncated is (query + text + special > MAX_TOKENS)
        assert row.total == (query + text + special if row.truncated else 0)


def test_a_text_that_the_tokenizer_knows_nothing_of_leaves_the_query(folder: Path) -> None:
    pairs = PairTokenizer(tokenizer_of(folder), ModelTraits(folder))
    (row,) = pairs.pair("sea", ["\u200b"])
    expected = tokenizer_of(folder).encode("sea", "\u200b")
    assert row.ids.tolist() == [expected.ids, expected.type_ids]


def test_case_is_lowered_where_the_model_wants_it(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_bytes(orjson.dumps({"do_lower_case": True}))
    tokenizer = tokenizer_of(folder)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    pairs = PairTokenizer(tokenizer, ModelTraits(folder))
    (row,), (same,) = pairs.pair("SEA", ["Salt"]), pairs.pair("sea", ["salt"])
    assert row.ids.tolist() == same.ids.tolist()


def test_a_model_that_leaves_no_room_for_a_text_is_refused(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_bytes(orjson.dumps({"max_seq_length": 3}))
    with pytest.raises(FailedPrecondition, match="reads 3 tokens, which leaves no room"):
        PairTokenizer(tokenizer_of(folder), ModelTraits(folder))
