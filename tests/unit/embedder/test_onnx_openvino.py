"""Served in bfloat16: near float32, the same in every batch, and silent."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Backend, Tokens, Vectors
from hanax.embedder.backends.model_files import find_model
from hanax.embedder.backends.opening import BackendChoice, open_backend
from hanax.embedder.backends.precision import missing_for_bfloat16
from hanax.embedder.backends.session import SessionOptions
from tests.unit.embedder.test_torch_backend import MODEL, docstrings
from tests.unit.embedder.tiny_models import write_strange_onnx

MISSING = missing_for_bfloat16()

# The first test on a machine exports the model.
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(MISSING), reason=f"bfloat16 cannot be had: {MISSING}"),
]


@pytest.fixture(scope="module")
def backend() -> Backend:
    return open_backend(BackendChoice(MODEL, "onnx", "auto", 2, None))


@pytest.fixture(scope="module")
def tokens(backend: Backend) -> list[Tokens]:
    return backend.tokenize(docstrings())


@pytest.fixture(scope="module")
def vectors(backend: Backend, tokens: list[Tokens]) -> Vectors:
    return backend.embed(tokens)


def cosines(one: Vectors, other: Vectors) -> Vectors:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: Vectors = (one * other).sum(axis=1) / norms
    return found


def test_vectors_are_near_those_of_sentence_transformers(vectors: Vectors) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(find_model(MODEL).source, device="cpu", local_files_only=True)
    found = cosines(vectors, model.encode(docstrings(), show_progress_bar=False))
    assert vectors.dtype == np.float32
    assert found.min() >= 0.9999
    assert found.max() < 1.0 - 1e-7, "these are float32's"


def test_a_vector_is_the_same_in_every_batch(
    backend: Backend, tokens: list[Tokens], vectors: Vectors
) -> None:
    alone = np.concatenate([backend.embed([one]) for one in tokens])
    assert cosines(alone, vectors).min() >= 0.99999
    backwards = np.concatenate([backend.embed(tokens[at : at + 5][::-1])[::-1] for at in range(0, 40, 5)])
    assert cosines(backwards, vectors[:40]).min() >= 0.99999


def test_batches_side_by_side_do_not_mix(backend: Backend, tokens: list[Tokens], vectors: Vectors) -> None:
    """A request of the runtime is used again, and so is the memory of its answer."""
    parts = [tokens[at : at + 4] for at in range(0, 40, 4)] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(backend.embed, parts))
    assert cosines(np.concatenate(found), np.concatenate([vectors[:40]] * 4)).min() >= 0.99999


def test_info(backend: Backend) -> None:
    info = backend.info
    assert (info.name, info.dimension, info.backend, info.precision) == (MODEL, 384, "onnx", "bfloat16")
    assert info.version.endswith(".onnx.bfloat16")
    assert info.agreement is not None
    assert 0.9999 <= info.agreement.least <= info.agreement.mean < 1.0


def test_padding_is_counted_as_it_is_computed(backend: Backend) -> None:
    assert backend.padded_tokens([10, 100, 10, 9, 10]) == 104 + 4 * 16


def test_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    from hanax.embedder.backends.onnx_openvino import OpenVinoSession

    write_strange_onnx(tmp_path)
    with pytest.raises(FailedPrecondition, match="asks for pixels beside tokens"):
        OpenVinoSession(tmp_path / "onnx" / "model.onnx", SessionOptions(1, 0))
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no graph")
    with pytest.raises(FailedPrecondition, match=r"damaged\.onnx cannot be loaded"):
        OpenVinoSession(damaged, SessionOptions(1, 0))


def test_nothing_is_reported_to_anybody(backend: Backend) -> None:
    """openvino comes with a package that does. Nor is torch, or the other runtime, imported.

    `backend` is asked for so that the export is done.
    """
    program = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and opened.append(event))\n"
        "from hanax.embedder.backends.opening import BackendChoice, open_backend\n"
        f"backend = open_backend(BackendChoice({MODEL!r}, 'auto', 'bfloat16', 1, None))\n"
        "backend.warm()\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime'}\n"
        "found = [name for name, module in sys.modules.items() if module is not None\n"
        "         and (name in heavy or name.startswith('openvino_telemetry'))]\n"
        "print(backend.info.precision, opened, found)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "bfloat16 [] []"


def test_memory_is_told_and_given_back(backend: Backend) -> None:
    """In a process of its own: what others allocate does not count."""
    program = (
        "import openvino, psutil, tokenizers\n"
        "from hanax.embedder.backends.opening import BackendChoice, open_backend\n"
        "used = lambda: psutil.Process().memory_info().rss\n"
        "before = used()\n"
        f"backend = open_backend(BackendChoice({MODEL!r}, 'onnx', 'bfloat16', 1, None))\n"
        "backend.warm()\n"
        "loaded = used() - before\n"
        "backend.close()\n"
        "print(loaded, backend.memory_bytes, used() - before)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded, said, left = (int(number) for number in found.stdout.splitlines()[-1].split())
    assert 0.6 * loaded < said < 1.6 * loaded
    assert left < loaded / 2
