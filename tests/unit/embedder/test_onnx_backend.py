"""The onnx backend gives what sentence-transformers gives, in whatever batches, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hanax.embedder.backends import Backend, Purpose, Vectors
from hanax.embedder.backends.model_files import find_model
from hanax.embedder.backends.onnx_backend import OnnxBackend, ServedFile
from hanax.embedder.backends.onnx_files import OnnxFiles, cache_folder
from hanax.embedder.backends.opening import BackendChoice, open_backend
from tests.unit.embedder.test_torch_backend import MODEL, docstrings

# The first test on a machine exports the model.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def backend() -> Backend:
    return open_backend(BackendChoice(MODEL, "onnx", "float32", 2, None))


@pytest.fixture(scope="module")
def rounded() -> Backend:
    """As on processors without tiles: with the scales of each run."""
    folder = Path(find_model(MODEL).source)
    file = OnnxFiles(cache_folder(None)).get(folder, "int8")
    return OnnxBackend(MODEL, folder, ServedFile(file, "int8"), 2)


@pytest.fixture(scope="module")
def expected() -> Vectors:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(find_model(MODEL).source, device="cpu", local_files_only=True)
    vectors: Vectors = model.encode(docstrings(), show_progress_bar=False)
    return vectors


def test_vectors_equal_those_of_sentence_transformers(backend: Backend, expected: Vectors) -> None:
    vectors = backend.embed(backend.tokenize(docstrings()))
    assert vectors.dtype == np.float32
    assert vectors.shape == expected.shape
    assert (vectors * expected).sum(axis=1).min() >= 0.9999
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(backend: Backend, expected: Vectors) -> None:
    tokens = backend.tokenize(docstrings())
    alone = np.concatenate([backend.embed([one]) for one in tokens[-8:]])
    np.testing.assert_allclose(alone, expected[-8:], atol=1e-5)


def test_an_int8_vector_is_the_same_in_every_batch(rounded: Backend, expected: Vectors) -> None:
    tokens = rounded.tokenize(docstrings())
    together = rounded.embed(tokens)
    alone = np.concatenate([rounded.embed([one]) for one in tokens])
    backwards = rounded.embed(tokens[::-1])[::-1]
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_allclose((together * alone).sum(axis=1), 1.0, atol=1e-5)
    assert (together * expected).sum(axis=1).mean() >= 0.99


def test_info(backend: Backend, rounded: Backend) -> None:
    info = backend.info
    assert (info.name, info.dimension, info.max_tokens) == (MODEL, 384, 256)
    assert (info.backend, info.semantic, info.precision) == ("onnx", True, "float32")
    assert info.agreement is None
    other = rounded.info
    assert other.precision == "int8"
    assert other.agreement is not None
    assert 0.99 <= other.agreement.mean < 1.0
    assert other.agreement.least >= 0.95
    assert info.version != other.version
    assert info.version.split(".")[0] == other.version.split(".")[0]
    assert rounded.memory_bytes < backend.memory_bytes


def test_prepared_batches_may_be_computed_later_and_dropped(backend: Backend) -> None:
    first, second = backend.tokenize(["the sea", "salt"])
    compute = backend.prepare([first])
    backend.prepare([second])
    np.testing.assert_allclose(backend.embed([first, second])[:1], compute(), atol=1e-5)


def test_parts_of_a_long_text_are_near_it(backend: Backend) -> None:
    text = " ".join(docstrings())[:6_000]
    parts = backend.split(text, Purpose.DOCUMENT)
    assert len(parts) > 1
    assert all(part.count <= backend.info.max_tokens for part in parts)
    vectors = backend.embed(parts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_process_that_serves_does_not_import_torch(backend: Backend) -> None:
    """`backend` is asked for so that the export is done."""
    program = (
        "import sys\n"
        "from hanax.embedder.backends.opening import BackendChoice, open_backend\n"
        f"backend = open_backend(BackendChoice({MODEL!r}, 'auto', 'float32', 1, None))\n"
        "backend.warm()\n"
        "heavy = {'torch', 'transformers', 'onnx', 'sentence_transformers'} & set(sys.modules)\n"
        "print(backend.info.backend, sorted(heavy))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert found.stdout.splitlines()[-1] == "onnx []"


def test_padding_is_counted_as_it_is_computed(backend: Backend, rounded: Backend) -> None:
    counts = [10, 100, 10, 9]
    assert backend.padded_tokens(counts) == 100 + 3 * 10
    assert rounded.padded_tokens(counts) == sum(counts)


def test_a_model_that_is_let_go_gives_its_memory_back() -> None:
    """In a process of its own: what others allocate does not count."""
    program = (
        "import onnxruntime, psutil, tokenizers\n"
        "from hanax.embedder.backends.opening import BackendChoice, open_backend\n"
        "used = lambda: psutil.Process().memory_info().rss\n"
        "before = used()\n"
        f"backend = open_backend(BackendChoice({MODEL!r}, 'onnx', 'float32', 1, None))\n"
        "backend.warm()\n"
        "loaded = used() - before\n"
        "backend.close()\n"
        "print(loaded, backend.memory_bytes, used() - before)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded, said, left = (int(number) for number in found.stdout.splitlines()[-1].split())
    assert 0.6 * loaded < said < 1.6 * loaded
    assert left < loaded / 2
