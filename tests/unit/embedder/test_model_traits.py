"""What a model's files say about it is read as sentence-transformers reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Purpose
from hanax.embedder.backends.model_traits import ModelTraits

PACKAGE = "sentence_transformers.models."
MODULES = [
    {"path": "", "type": f"{PACKAGE}Transformer"},
    {"path": "1_Pooling", "type": f"{PACKAGE}Pooling"},
    {"path": "2_Dense", "type": f"{PACKAGE}Dense"},
]


def traits(folder: Path, files: dict[str, Any]) -> ModelTraits:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json.dumps(content).encode())
    return ModelTraits(folder)


@pytest.mark.parametrize(
    ("own", "tokenizer", "config", "expected"),
    [
        (256, 512, 514, 256),
        (None, 512, 514, 512),
        (None, 10**30, 384, 384),
        (None, None, None, 512),
        (None, 10**30, None, 32_768),
    ],
)
def test_the_most_tokens(tmp_path: Path, own: Any, tokenizer: Any, config: Any, expected: int) -> None:
    found = traits(
        tmp_path,
        {
            "sentence_bert_config.json": {"max_seq_length": own},
            "tokenizer_config.json": {"model_max_length": tokenizer},
            "config.json": {"max_position_embeddings": config},
        },
    )
    assert found.max_tokens == expected


@pytest.mark.parametrize(
    ("modules", "pooling", "expected"),
    [
        (1, {}, 48),
        (2, {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True}, 48),
        (
            2,
            {
                "word_embedding_dimension": 48,
                "pooling_mode_cls_token": True,
                "pooling_mode_max_tokens": True,
                "pooling_mode_mean_tokens": False,
            },
            96,
        ),
        (2, {"embedding_dimension": 48, "pooling_mode": ["cls", "mean", "max"]}, 144),
        (2, {"embedding_dimension": 48, "pooling_mode": "lasttoken"}, 48),
        (3, {"embedding_dimension": 48, "pooling_mode": "mean"}, 16),
    ],
)
def test_the_dimension(tmp_path: Path, modules: int, pooling: dict[str, Any], expected: int) -> None:
    found = traits(
        tmp_path,
        {
            "modules.json": MODULES[:modules],
            "config.json": {"hidden_size": 48},
            "1_Pooling/config.json": pooling,
            "2_Dense/config.json": {"in_features": 48, "out_features": 16},
        },
    )
    assert found.dimension == expected


def test_a_dimension_that_is_not_said(tmp_path: Path) -> None:
    assert traits(tmp_path, {}).dimension is None


def test_vectors_that_are_always_cut(tmp_path: Path) -> None:
    files = {"config.json": {"hidden_size": 48}, "config_sentence_transformers.json": {"truncate_dim": 32}}
    assert traits(tmp_path, files).dimension == 32


@pytest.mark.parametrize("file", ["config.json", "config_sentence_transformers.json"])
def test_the_dimensions_that_a_model_was_trained_for(tmp_path: Path, file: str) -> None:
    found = traits(tmp_path, {file: {"matryoshka_dimensions": [512, 768, 128, 64, 1_024]}})
    assert found.cuts(768) == (64, 128, 512)


def test_a_model_without_matryoshka(tmp_path: Path) -> None:
    assert traits(tmp_path, {"config.json": {"hidden_size": 48}}).cuts(48) == ()


@pytest.mark.parametrize(
    ("config", "none", "query", "document"),
    [
        ({"prompts": {"query": "Q: ", "passage": "P: "}}, "", "Q: ", "P: "),
        ({"prompts": {"search_query": "q: ", "search_document": "d: "}}, "", "q: ", "d: "),
        (
            {"prompts": {"all": "A: ", "query": "Q: "}, "default_prompt_name": "all"},
            "A: ",
            "Q: ",
            "A: ",
        ),
        ({"prompts": {"query": "", "document": ""}}, "", "", ""),
        ({}, "", "", ""),
    ],
)
def test_prompts_of_the_files(
    tmp_path: Path, config: dict[str, Any], none: str, query: str, document: str
) -> None:
    found = traits(tmp_path, {"config_sentence_transformers.json": config}).prompts
    assert [found.of(purpose) for purpose in (Purpose.NONE, Purpose.QUERY, Purpose.DOCUMENT)] == [
        none,
        query,
        document,
    ]


@pytest.mark.parametrize(
    ("name", "query", "document"),
    [
        ("intfloat/e5-base-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", "", ""),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-base-zh", "为这个句子生成表示以用于检索相关文章\uff1a", ""),
        ("BAAI/bge-m3", "", ""),
        ("all-MiniLM-L6-v2", "", ""),
    ],
)
def test_prompts_of_families_whose_files_say_nothing(
    tmp_path: Path, name: str, query: str, document: str
) -> None:
    empty = {"prompts": {"query": "", "document": ""}}
    by_folder = traits(tmp_path / name, {"config_sentence_transformers.json": empty}).prompts
    by_config = traits(tmp_path / "mine", {"config.json": {"_name_or_path": name}}).prompts
    for found in (by_folder, by_config):
        assert (found.none, found.query, found.document) == ("", query, document)


def test_a_prompt_that_the_pooling_leaves_out_is_refused(tmp_path: Path) -> None:
    found = traits(
        tmp_path,
        {
            "modules.json": MODULES[:2],
            "1_Pooling/config.json": {"include_prompt": False},
            "config_sentence_transformers.json": {"prompts": {"query": "Q: "}},
        },
    )
    with pytest.raises(FailedPrecondition, match="out of the pooling"):
        _ = found.prompts


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 4')
    with pytest.raises(FailedPrecondition, match=r"config\.json is damaged"):
        _ = ModelTraits(tmp_path).dimension


def test_a_model_without_a_fast_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"a tokenizer\.json"):
        _ = ModelTraits(tmp_path).tokenizer_file
