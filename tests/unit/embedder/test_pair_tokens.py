"""Two texts become the tokens that the tokenizer itself makes of them, cut as it cuts them."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer, normalizers, processors

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Purpose, text_tokens
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.pair_tokens import PairTokenizer
from hanax.embedder.backends.text_tokens import TextTokenizer, portions
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


def test_texts_that_are_too_many_at_once_are_read_one_after_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["sea " * number for number in range(1, 30)]
    traits = ModelTraits(folder)
    pairs, alone = PairTokenizer(tokenizer_of(folder), traits), TextTokenizer(tokenizer_of(folder), traits)
    rows = [row.ids.tolist() for row in (*pairs.pair("salt", texts), *alone.tokenize(texts, Purpose.NONE))]
    monkeypatch.setattr(text_tokens, "_CHARACTERS_AT_ONCE", 100)
    parts = list(portions(texts))
    assert [text for part in parts for text in part] == texts
    assert all(len("".join(part)) <= 100 or len(part) == 1 for part in parts)
    assert 10 < len(parts) < len(texts)
    again = [row.ids.tolist() for row in (*pairs.pair("salt", texts), *alone.tokenize(texts, Purpose.NONE))]
    assert again == rows
    assert list(portions([])) == []


MEASURED = """
import resource, sys
from tests.unit.embedder.test_pair_tokens import *

folder, texts = Path(sys.argv[1]), ["a b c d " * 16_000] * 64
pairs = PairTokenizer(tokenizer_of(folder), ModelTraits(folder))
alone = TextTokenizer(tokenizer_of(folder), ModelTraits(folder))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
pairs.pair("sea", texts) if sys.argv[2] == "pair" else alone.tokenize(texts, Purpose.NONE)
print(peak() - before)
"""


@pytest.mark.parametrize("kind", ["pair", "alone"])
def test_long_texts_do_not_take_memory_together(tmp_path: Path, kind: str) -> None:
    """Of 8 MB of text: 300 megabytes and more where all are read at once."""
    write_tokenizer(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path), kind], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 200


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
