"""A cross-encoder gives what sentence-transformers gives for the same pairs, in whatever batches."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import PairBackend, Task, Vectors
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.opening import BackendChoice, describe, estimate_bytes, open_model
from tests.unit.embedder.tiny_models import MAX_TOKENS, TinyCrossEncoder, TinyModel

QUERY = "salt and the sea"
LONG_QUERY = "the word sea and salt " * 10
TEXTS = ["salt", "the sea", "word " * 9, "sea and salt " * 30, "!", "naïve café", QUERY]

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyCrossEncoder().save(tmp_path_factory.mktemp("models") / "reranker")


def choice(folder: Path, **fields: Any) -> BackendChoice:
    return BackendChoice(
        **{
            "model": str(folder),
            "backend": "auto",
            "precision": "auto",
            "threads": 1,
            "cache_dir": None,
            **fields,
        }
    )


@pytest.fixture(scope="module")
def backend(folder: Path) -> PairBackend:
    opened = open_model(choice(folder))
    assert isinstance(opened, PairBackend)
    return opened


def predicted(folder: Path, query: str) -> Vectors:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    scores: Vectors = model.predict([(query, text) for text in TEXTS], show_progress_bar=False)
    return scores


@pytest.mark.parametrize("query", ["sea", QUERY, LONG_QUERY])
def test_scores_are_those_of_sentence_transformers(folder: Path, backend: PairBackend, query: str) -> None:
    scores = backend.score(backend.pair(query, TEXTS))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, predicted(folder, query), atol=1e-5)
    # So that an answer that says nothing would be noticed.
    assert np.ptp(scores) > 0.1


def test_a_score_does_not_depend_on_its_batch(backend: PairBackend) -> None:
    rows = backend.pair(QUERY, TEXTS)
    alone = np.concatenate([backend.score([row]) for row in rows])
    np.testing.assert_allclose(alone, backend.score(rows), atol=1e-5)


def test_a_folder_of_the_library_is_served_alike(folder: Path, tmp_path: Path) -> None:
    """CrossEncoder.save_pretrained, with another activation."""
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True, activation_fn=torch.nn.Identity())
    model.save_pretrained(str(tmp_path / "saved"))
    saved = open_model(choice(tmp_path / "saved"))
    assert isinstance(saved, PairBackend)
    scores = saved.score(saved.pair(QUERY, TEXTS))
    np.testing.assert_allclose(scores, predicted(tmp_path / "saved", QUERY), atol=1e-5)
    assert scores.max() > 1.0 or scores.min() < 0.0


def test_what_is_known_before_it_is_loaded(folder: Path, backend: PairBackend) -> None:
    info = describe(choice(folder))
    assert info is not None
    assert (info.name, info.task, info.max_tokens) == ("reranker", Task.RERANK, MAX_TOKENS)
    assert (backend.info.task, backend.info.dimension) == (Task.RERANK, 1)
    assert (backend.info.max_tokens, backend.info.backend) == (MAX_TOKENS, "torch")
    assert backend.info.version.endswith(".torch.float32")
    assert 0 < estimate_bytes(choice(folder)) <= backend.memory_bytes


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"backend": "onnx"}, "got onnx and auto"), ({"precision": "int8"}, "got auto and int8")],
)
def test_torch_alone_serves_it(folder: Path, fields: dict[str, str], message: str) -> None:
    with pytest.raises(FailedPrecondition, match=f"reranker is a cross-encoder.*{message}"):
        open_model(choice(folder, **fields))


@pytest.mark.parametrize(("task", "made"), [(Task.EMBED, TinyCrossEncoder), (Task.RERANK, TinyModel)])
def test_a_model_of_the_other_task_is_not_loaded(
    tmp_path: Path, task: Task, made: type[TinyCrossEncoder] | type[TinyModel]
) -> None:
    expected = {Task.EMBED: "an embedding model", Task.RERANK: "a cross-encoder"}[task]
    with pytest.raises(FailedPrecondition, match=f"other makes vectors|other is .*: expected {expected}"):
        open_model(choice(made().save(tmp_path / "other"), task=task))


def test_several_labels_are_no_score(tmp_path: Path) -> None:
    folder = TinyCrossEncoder(labels=3).save(tmp_path / "judge")
    with pytest.raises(FailedPrecondition, match="judge tells 3 labels of two texts: expected one"):
        open_model(choice(folder))


def test_an_embedding_model_is_none(tmp_path: Path) -> None:
    assert not ModelTraits(TinyModel().save(tmp_path / "tiny")).is_cross_encoder


def _changed(folder: Path, target: Path, **fields: Any) -> Path:
    shutil.copytree(folder, target)
    file = target / "config_sentence_transformers.json"
    file.write_bytes(orjson.dumps(fields))
    return target


def test_prompts_are_refused(folder: Path, tmp_path: Path) -> None:
    prompted = _changed(
        folder,
        tmp_path / "prompted",
        model_type="CrossEncoder",
        prompts={"query": "find: "},
        default_prompt_name="query",
    )
    with pytest.raises(FailedPrecondition, match="prompted puts a prompt before its texts"):
        open_model(choice(prompted))
