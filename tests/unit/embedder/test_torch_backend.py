"""The torch backend gives what sentence-transformers gives, in whatever batches."""

from __future__ import annotations

import functools
import inspect
import textwrap
import types

import numpy as np
import pytest

from hanax.embedder.backends import Vectors
from hanax.embedder.backends.model_files import find_model
from hanax.embedder.backends.torch_backend import TorchBackend

MODEL = "all-MiniLM-L6-v2"
MODULES: tuple[types.ModuleType, ...] = (functools, inspect, textwrap, types)


def docstrings() -> list[str]:
    """Real texts of many lengths, some longer than the model reads."""
    found = {inspect.getdoc(member) or "" for module in MODULES for member in vars(module).values()}
    short = ["a", "naïve café", "你好 世界", "!!!", "word " * 300]
    return [*sorted(text for text in found if text.strip())[:60], *short]


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    """Imports torch and loads the model: 3 s."""
    return TorchBackend(find_model(MODEL), threads=2)


@pytest.fixture(scope="module")
def expected(backend: TorchBackend) -> Vectors:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(find_model(MODEL).source, device="cpu", local_files_only=True)
    vectors: Vectors = model.encode(docstrings(), show_progress_bar=False)
    return vectors


def test_vectors_equal_those_of_sentence_transformers(backend: TorchBackend, expected: Vectors) -> None:
    vectors = backend.embed(backend.tokenize(docstrings()))
    assert vectors.dtype == np.float32
    assert vectors.shape == expected.shape
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() >= 0.9999
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(backend: TorchBackend, expected: Vectors) -> None:
    tokens = backend.tokenize(docstrings())
    alone = np.concatenate([backend.embed([one]) for one in tokens[-8:]])
    np.testing.assert_allclose(alone, expected[-8:], atol=1e-5)


def test_tokens_are_counted_and_cut(backend: TorchBackend) -> None:
    # Two special tokens stand around the words.
    short, full, long = backend.tokenize(["hello", "word " * 254, "word " * 255])
    assert (short.count, short.truncated) == (3, False)
    assert (full.count, full.truncated) == (256, False)
    assert (long.count, long.truncated) == (256, True)


def test_info(backend: TorchBackend) -> None:
    info = backend.info
    assert (info.name, info.dimension, info.max_tokens) == (MODEL, 384, 256)
    assert (info.backend, info.semantic) == ("torch", True)


def test_meaning_shows(backend: TorchBackend) -> None:
    query, near, far = backend.embed(
        backend.tokenize(
            [
                "how do I compute a file's checksum",
                "Return a digest of the given file object.",
                "Draw a circle with the given radius.",
            ]
        )
    )
    assert query @ near > query @ far + 0.2


def test_packed_layers_compute_the_same() -> None:
    import torch
    from torch import nn

    from hanax.embedder.backends.packed_linear import pack_linear_layers

    torch.manual_seed(7)
    plain: nn.Module = nn.Sequential(
        nn.Linear(48, 32), nn.GELU(), nn.Sequential(nn.Linear(32, 16, bias=False))
    )
    batches = [torch.randn(3, 5, 48), torch.randn(1, 48), torch.randn(2, 7, 96)[:, :, ::2]]
    with torch.inference_mode():
        expected = [plain(batch) for batch in batches]
        pack_linear_layers(plain)
        for batch, product in zip(batches, expected, strict=True):
            torch.testing.assert_close(plain(batch), product, atol=1e-5, rtol=1e-5)


def test_layers_of_other_types_are_left_alone() -> None:
    import torch
    from torch import nn

    from hanax.embedder.backends.packed_linear import pack_linear_layers

    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    model = nn.Sequential(Doubled(4, 4), nn.Linear(4, 4).to(torch.bfloat16))
    assert pack_linear_layers(model) == 0
    assert [type(layer) for layer in model] == [Doubled, nn.Linear]
