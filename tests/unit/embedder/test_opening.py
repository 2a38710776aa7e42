"""From a choice to a backend: what onnx cannot serve is served by torch, and never another precision."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from structlog.testing import capture_logs

from hanax.core.errors import FailedPrecondition, ModelNotFound
from hanax.embedder.backends.opening import BackendChoice, describe, estimate_bytes, open_backend
from hanax.embedder.backends.processor import has_bfloat16_tiles
from tests.unit.embedder.tiny_models import MAX_TOKENS, WIDTH, TinyModel, write_strange_onnx

MIB = 1024 * 1024

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its own ONNX file cannot be used; its weights can."""
    made = TinyModel().save(tmp_path_factory.mktemp("models") / "tiny")
    write_strange_onnx(made)
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_torch_serves_what_onnx_cannot_and_the_log_says_why(folder: Path, cache: Path) -> None:
    with capture_logs() as logged:
        backend = open_backend(BackendChoice(str(folder), "onnx", "auto", 1, cache))
    assert backend.info.backend == "torch"
    assert backend.info.version.endswith(".torch.float32")
    (reason,) = [entry["reason"] for entry in logged if entry["event"] == "served by torch, not onnx"]
    assert "asks for pixels" in reason
    assert backend.embed(backend.tokenize(["the sea"])).shape == (1, WIDTH)
    backend.close()


def test_another_precision_than_asked_for_is_not_served(folder: Path, cache: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"tiny cannot be served in int8: .*asks for pixels"):
        open_backend(BackendChoice(str(folder), "auto", "int8", 1, cache))


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_torch_chooses_its_precision(
    folder: Path, cache: Path, precision: Literal["bfloat16", "int8"]
) -> None:
    with pytest.raises(FailedPrecondition, match=f"{precision} by torch: expected backend onnx"):
        open_backend(BackendChoice(str(folder), "torch", precision, 1, cache))


def test_a_folder_that_is_not_there() -> None:
    choice = BackendChoice("/no/such/model", "auto", "float32", 1, None)
    with pytest.raises(ModelNotFound):
        open_backend(choice)
    assert describe(choice) is None
    assert estimate_bytes(choice) == 0


def test_a_model_is_described_before_it_is_loaded(folder: Path) -> None:
    info = describe(BackendChoice(str(folder), "onnx", "int8", 1, None))
    assert info is not None
    assert (info.name, info.dimension, info.max_tokens) == ("tiny", WIDTH, MAX_TOKENS)
    assert (info.backend, info.precision, info.semantic) == ("onnx", "int8", True)


def test_memory_is_estimated_from_the_weights() -> None:
    packaged = estimate_bytes(BackendChoice("all-MiniLM-L6-v2", "onnx", "float32", 1, None))
    assert 90 * MIB < packaged < 200 * MIB
    rounded = estimate_bytes(BackendChoice("all-MiniLM-L6-v2", "onnx", "auto", 1, None))
    assert (rounded > packaged) is has_bfloat16_tiles()
    assert estimate_bytes(BackendChoice("", "hash", "float32", 1, None)) == 0


def test_the_hash_backend_is_never_taken_for_a_model() -> None:
    choice = BackendChoice("all-MiniLM-L6-v2", "hash", "float32", 1, None)
    assert open_backend(choice).info == describe(choice)
    assert not open_backend(choice).info.semantic
