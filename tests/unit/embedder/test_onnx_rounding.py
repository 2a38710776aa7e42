"""int8 with scales found before: near float32, the same in every batch, and made again when damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Backend, Purpose, Tokens, Vectors
from hanax.embedder.backends.model_files import find_model
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.onnx_files import OnnxFile, OnnxFiles
from hanax.embedder.backends.opening import BackendChoice, open_backend
from hanax.embedder.backends.precision import missing_for_bfloat16
from hanax.embedder.backends.text_tokens import TextTokenizer, read_tokenizer
from tests.unit.embedder.test_torch_backend import MODEL, docstrings
from tests.unit.embedder.tiny_models import TinyModel

MISSING = missing_for_bfloat16()

# The first test on a machine exports the model.
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(MISSING), reason=f"products by tiles cannot be had: {MISSING}"),
]


@pytest.fixture(scope="module")
def backend() -> Backend:
    return open_backend(BackendChoice(MODEL, "onnx", "int8", 2, None))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyModel().save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> OnnxFiles:
    return OnnxFiles(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def made(tiny: Path, kept: OnnxFiles) -> OnnxFile:
    return kept.get(tiny, "int8-static")


def tokens(folder: Path) -> list[Tokens]:
    traits = ModelTraits(folder)
    texts = ["the sea", "salt", "word and word, the sea and the salt of it: 42"]
    return TextTokenizer(read_tokenizer(traits), traits).tokenize(texts, Purpose.NONE)


def cosines(one: Vectors, other: Vectors) -> Vectors:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: Vectors = (one * other).sum(axis=1) / norms
    return found


def test_vectors_are_near_those_of_sentence_transformers(backend: Backend) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(find_model(MODEL).source, device="cpu", local_files_only=True)
    found = cosines(
        backend.embed(backend.tokenize(docstrings())), model.encode(docstrings(), show_progress_bar=False)
    )
    assert found.mean() >= 0.993
    assert found.min() >= 0.97
    assert found.mean() < 0.9999, "these are not rounded"


def test_a_vector_is_the_same_in_every_batch(backend: Backend) -> None:
    texts = backend.tokenize(docstrings())
    together = backend.embed(texts)
    alone = np.concatenate([backend.embed([one]) for one in texts])
    backwards = np.concatenate(
        [backend.embed(texts[at : at + 5][::-1])[::-1] for at in range(0, len(texts), 5)]
    )
    assert cosines(alone, together).min() >= 0.99999
    assert cosines(backwards, together).min() >= 0.99999


def test_info(backend: Backend) -> None:
    """The version tells the ranges, too: with others, the vectors would be others."""
    info = backend.info
    assert info.precision == "int8"
    content, runtime, way, ranges = info.version.split(".")
    assert (runtime, way) == ("onnx", "int8-static")
    assert len(content) == len(ranges) == 16
    assert info.agreement is not None
    assert 0.99 <= info.agreement.mean < 1.0


def test_texts_of_a_part_are_of_one_width(backend: Backend) -> None:
    assert backend.padded_tokens([10, 100, 17, 9, 16]) == 3 * 16 + 32 + 112


def test_ranges_are_found_the_same_again(tiny: Path, made: OnnxFile) -> None:
    from hanax.embedder.backends.onnx_calibration import find_ranges
    from hanax.embedder.backends.onnx_rounding import read_ranges

    samples = tokens(tiny)
    found = find_ranges(made.path, samples)
    assert found == find_ranges(made.path, samples)
    assert all(one.low <= 0 <= one.high and one.low < one.high for one in found)
    # Of each of two layers: for queries, keys and values; after attention; and two of the feed-forward.
    assert len(read_ranges(made.ranges)) == len(found) == 8


def test_damaged_ranges_are_made_again(tiny: Path, kept: OnnxFiles, made: OnnxFile) -> None:
    sound = made.ranges.read_bytes()
    made.ranges.write_bytes(sound.replace(b"1", b"2"))
    with capture_logs() as logged:
        assert kept.get(tiny, "int8-static") == made
    assert [entry["event"] for entry in logged].count("exporting to onnx") == 1
    assert made.ranges.read_bytes() == sound
    made.ranges.unlink()
    assert kept.get(tiny, "int8-static") == made
    assert made.ranges.read_bytes() == sound


def test_ranges_of_another_model_are_refused(made: OnnxFile) -> None:
    from hanax.embedder.backends.onnx_rounding import read_ranges, round_products, separate
    from hanax.embedder.backends.openvino_runtime import openvino

    ranges = read_ranges(made.ranges)
    graph = openvino.Core().read_model(made.path)
    separate(graph)
    with pytest.raises(FailedPrecondition, match="7 ranges for a model with 8"):
        round_products(graph, ranges[1:])
    strange = [replace(one, factors=(1.0, 2.0)) for one in ranges]
    with pytest.raises(FailedPrecondition, match="2 factors for 32 channels"):
        round_products(graph, strange)


def test_a_product_that_is_separated_gives_the_same(tiny: Path, kept: OnnxFiles) -> None:
    from hanax.embedder.backends.onnx_rounding import separate
    from hanax.embedder.backends.openvino_runtime import openvino

    core = openvino.Core()
    file = kept.get(tiny, "float32").path
    whole, apart = core.read_model(file), core.read_model(file)
    separate(apart)
    kinds = [node.get_type_name() for node in apart.get_ordered_ops()]
    assert "Split" in [node.get_type_name() for node in whole.get_ordered_ops()]
    assert "Split" not in kinds
    plain = {"INFERENCE_PRECISION_HINT": "f32"}
    ids = np.stack([tokens(tiny)[0].ids] * 2)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    expected, found = (core.compile_model(one, "CPU", plain)(inputs)[0] for one in (whole, apart))
    np.testing.assert_allclose(found, expected, atol=1e-5)
