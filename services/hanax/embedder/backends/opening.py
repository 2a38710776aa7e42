"""From what was declared of a model to its backend.

Nothing here imports a framework until a model is opened, and then only the one that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import structlog

from hanax.core.errors import FailedPrecondition, HanaxError
from hanax.embedder.backends import NOT_THE_OTHER, Backend, ModelInfo, RowBackend, Task
from hanax.embedder.backends.model_files import ModelFiles, find_model, local_folder
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.processor import has_bfloat16_tiles
from hanax.embedder.backends.session import bfloat16_bytes

if TYPE_CHECKING:
    from hanax.embedder.backends.precision import AskedPrecision

log = structlog.get_logger()

# Of a model whose files are not here yet.
_GUESSED_BYTES: Final = 1024 * 1024 * 1024
# What a model takes beside its weights: activations, tokenizer, the runtime's own.
_BESIDE_BYTES: Final = 64 * 1024 * 1024
# What torch may serve instead of onnx.
_OF_TORCH: Final = ("auto", "float32")
_WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin", "onnx/model.onnx*")


@dataclass(frozen=True)
class BackendChoice:
    """`model`: a name or a path. `threads`: what a batch computes on.

    auto: torch where it sees a GPU, else onnx. `precision`: of onnx. `cache_dir`: where exported
    models are kept; None: a folder in the user's cache folder. `task`: what it is to do; None: either.
    """

    model: str
    backend: Literal["auto", "onnx", "torch", "hash"]
    precision: AskedPrecision
    threads: int
    cache_dir: Path | None
    task: Task | None = None


def open_model(choice: BackendChoice) -> RowBackend:
    """Load a model, of texts or of pairs of them. Takes seconds.

    A cross-encoder is served by torch. Raises FailedPrecondition for one that would be served otherwise, or
    is of a kind that cannot be, for a model of the other task, and what `open_backend` raises.
    """
    if choice.backend == "hash":
        return open_backend(choice)
    files = find_model(choice.model)
    task = Task.RERANK if ModelTraits(local_folder(files)).is_cross_encoder else Task.EMBED
    if choice.task not in (None, task):
        raise FailedPrecondition(f"{files.name} {NOT_THE_OTHER[task]}")
    return _cross_encoder(files, choice) if task is Task.RERANK else open_backend(choice)


def open_backend(choice: BackendChoice) -> Backend:
    """Load an embedding model. Takes seconds, and more when it is exported first.

    A model that the onnx backend cannot serve is served by torch, and the log says why. Raises
    ModelNotFound; FailedPrecondition for a model that no backend can serve, or not in the precision
    that is asked for by name; OSError for files that are damaged or cannot be fetched.
    """
    if choice.backend == "hash":
        from hanax.embedder.backends.hash_backend import HashBackend

        return HashBackend()
    files = find_model(choice.model)
    if choice.backend == "torch" or (choice.backend == "auto" and _sees_gpu()):
        if choice.precision in ("bfloat16", "int8"):
            raise FailedPrecondition(
                f"{files.name} cannot be served in {choice.precision} by torch: expected backend onnx, "
                "or no precision, for torch chooses one"
            )
        return _torch(files, choice.threads)
    try:
        return _onnx(files, choice)
    except HanaxError as error:
        if choice.precision not in _OF_TORCH:
            raise FailedPrecondition(
                f"{files.name} cannot be served in {choice.precision}: {error}"
            ) from None
        log.warning("served by torch, not onnx", model=files.name, reason=str(error))
    except OSError as error:
        if choice.precision not in _OF_TORCH:
            raise
        log.warning("served by torch, not onnx", model=files.name, reason=str(error))
    return _torch(files, choice.threads)


def estimate_bytes(choice: BackendChoice) -> int:
    """What the model will take, before it is loaded; 0 where it is not known to exist."""
    if choice.backend == "hash":
        return 0
    try:
        files = find_model(choice.model)
        if not files.local:
            return _GUESSED_BYTES
        folder = Path(files.source)
        weights = _weights_bytes(folder)
        if _may_be_bfloat16(choice) and not ModelTraits(folder).is_cross_encoder:
            return bfloat16_bytes(weights)
        return weights + _BESIDE_BYTES
    except HanaxError:
        return 0


def _weights_bytes(folder: Path) -> int:
    for pattern in _WEIGHTS:
        if size := sum(path.stat().st_size for path in folder.rglob(pattern)):
            # Half precision on disk is float32 when it is loaded.
            return size * (2 if ModelTraits(folder).is_half_precision else 1)
    return _GUESSED_BYTES


def _may_be_bfloat16(choice: BackendChoice) -> bool:
    return choice.backend != "torch" and choice.precision in ("auto", "bfloat16") and has_bfloat16_tiles()


def describe(choice: BackendChoice) -> ModelInfo | None:
    """What the model's files say of it, before it is loaded; None where they are not here, or do
    not say enough. The version is not known before.
    """
    if choice.backend == "hash":
        from hanax.embedder.backends.hash_backend import HashBackend

        return HashBackend().info
    try:
        files = find_model(choice.model)
        traits = ModelTraits(Path(files.source))
        if not files.local:
            return None
        if traits.is_cross_encoder:
            return ModelInfo(
                files.name, 1, traits.max_tokens, "torch", semantic=True, precision="auto", task=Task.RERANK
            )
        if traits.dimension is None:
            return None
        return ModelInfo(
            files.name,
            traits.dimension,
            traits.max_tokens,
            choice.backend,
            semantic=True,
            dimensions=traits.cuts(traits.dimension),
            precision=choice.precision,
        )
    except HanaxError:
        return None


def _onnx(files: ModelFiles, choice: BackendChoice) -> Backend:
    from hanax.embedder.backends.onnx_backend import OnnxBackend
    from hanax.embedder.backends.onnx_files import OnnxFiles, cache_folder
    from hanax.embedder.backends.precision import choose_file

    folder = local_folder(files)
    served = choose_file(OnnxFiles(cache_folder(choice.cache_dir)), folder, choice.precision)
    return OnnxBackend(files.name, folder, served, choice.threads)


def _cross_encoder(files: ModelFiles, choice: BackendChoice) -> RowBackend:
    if choice.backend == "onnx" or choice.precision not in _OF_TORCH:
        raise FailedPrecondition(
            f"{files.name} is a cross-encoder, which torch serves, in its own precision: expected backend "
            f"auto or torch and no precision, got {choice.backend} and {choice.precision}"
        )
    from hanax.embedder.backends.cross_encoder import CrossEncoderBackend

    return CrossEncoderBackend(files, choice.threads)


def _torch(files: ModelFiles, threads: int) -> Backend:
    from hanax.embedder.backends.torch_backend import TorchBackend

    return TorchBackend(files, threads)


def _sees_gpu() -> bool:
    """Importing torch takes a second, so the driver is asked first, and whether torch is a build for GPUs."""
    try:
        if "+cpu" in version("torch"):
            return False
        import pynvml  # type: ignore[import-untyped]

        pynvml.nvmlInit()
        try:
            if pynvml.nvmlDeviceGetCount() == 0:
                return False
        finally:
            pynvml.nvmlShutdown()
    except (ImportError, PackageNotFoundError):
        return False
    except pynvml.NVMLError:
        return False
    import torch

    return torch.cuda.is_available()
