"""Where torch computes, and how models are laid out for that: what the backends on torch have in common.

On a GPU weights are bfloat16 and attention is torch's fused one, which transformers takes by
itself. `start` queues all work of a batch on the device, from pinned memory and back into it, so
that the next batch is queued before the last one is read: the GPU never waits for Python.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from hanax.embedder.backends import ModelInfo, RowBackend, Vectors
from hanax.embedder.backends.freed_memory import give_back_freed_memory
from hanax.embedder.backends.padding import Ids

if TYPE_CHECKING:
    import torch

# Of a batch, padding counted. A GPU needs some thousands of rows to fill it.
_CPU_BATCH_TOKENS: Final = 2_048
_GPU_BATCH_TOKENS: Final = 16_384
# Launching a model's kernels takes a GPU's host about as long as this many tokens take the GPU.
_GPU_OVERHEAD_TOKENS: Final = 2_048
_CPU_OVERHEAD_TOKENS: Final = 32
# Tensor cores multiply rows in groups of this many.
_GPU_TOKENS_STEP: Final = 8
# Lengths at which the libraries of a GPU choose other kernels.
_WARM_TOKENS: Final = (16, 32, 64, 128, 256, 512, 1_024, 2_048)

# Activations of a batch, and what torch itself holds.
_WORKING_BYTES: Final = 256 * 1024 * 1024


class TorchDevice:
    """The GPU where there is one, else the CPU."""

    def __init__(self, threads: int) -> None:
        """Imports torch, which takes seconds. `threads`: what a batch computes on without a GPU."""
        # Read when the libraries are first imported.
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        # GNU OpenMP's threads spin for milliseconds at the end of every layer. With a busy neighbour
        # on 2 cores they wait for one that is not running: 660 us a token, against 200 with this few
        # turns. On idle cores it makes no difference (85).
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
        import torch
        from transformers.utils import logging as transformers_logging

        # transformers gives this one no types.
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(threads)
        self.is_gpu: Final = torch.cuda.is_available()
        self.name: Final = "cuda" if self.is_gpu else "cpu"

    @property
    def batch_tokens(self) -> int:
        return _GPU_BATCH_TOKENS if self.is_gpu else _CPU_BATCH_TOKENS

    @property
    def overhead_tokens(self) -> int:
        return _GPU_OVERHEAD_TOKENS if self.is_gpu else _CPU_OVERHEAD_TOKENS

    def step(self, max_tokens: int) -> int:
        """What lengths are rounded up to, but never past the last position that the model knows."""
        return _GPU_TOKENS_STEP if self.is_gpu and max_tokens % _GPU_TOKENS_STEP == 0 else 1

    def warm_batches(self, max_tokens: int) -> list[tuple[int, int]]:
        """Rows and their tokens of batches that find all kernels of a GPU."""
        if not self.is_gpu:
            return []
        counts = takewhile(lambda count: count <= max_tokens, _WARM_TOKENS)
        return [(_GPU_BATCH_TOKENS // count, count) for count in counts]

    def lay_out(self, model: torch.nn.Module) -> None:
        """Make a model that is here as fast as it can be."""
        import torch

        from hanax.embedder.backends.packed_linear import pack_linear_layers

        model.eval()
        if self.is_gpu and torch.cuda.is_bf16_supported():
            model.to(torch.bfloat16)
        pack_linear_layers(model)

    def memory_bytes(self, model: torch.nn.Module) -> int:
        return sum(weight.nbytes for weight in model.parameters()) + _WORKING_BYTES

    def start(self, forward: Callable[..., torch.Tensor], arrays: Sequence[Ids]) -> Callable[[], Vectors]:
        """Have `forward` compute float32 (rows, numbers) of these arrays: at once on a GPU, else when the
        answer is called, which gives them.
        """
        if self.is_gpu:
            return self._start_on_gpu(forward, arrays)
        return lambda: _compute(forward, arrays)

    def release(self) -> None:
        """A model was let go."""
        give_back_freed_memory()
        if self.is_gpu:
            import torch

            torch.cuda.empty_cache()

    def _start_on_gpu(
        self, forward: Callable[..., torch.Tensor], arrays: Sequence[Ids]
    ) -> Callable[[], Vectors]:
        import torch

        with torch.inference_mode():
            # Held until the device has read them: the answer refers to them.
            pinned = [torch.from_numpy(array).pin_memory() for array in arrays]
            found = forward(*(array.to(self.name, non_blocking=True) for array in pinned))
            host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
            host.copy_(found, non_blocking=True)
            # torch gives its constructor no types.
            ended = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ended.record()

        def finish() -> Vectors:
            ended.synchronize()
            pinned.clear()
            vectors: Vectors = host.numpy()
            return vectors

        return finish


@contextmanager
def paused_collector() -> Iterator[None]:
    """No garbage collection inside; what was made inside is left out of all later ones."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _compute(forward: Callable[..., torch.Tensor], arrays: Sequence[Ids]) -> Vectors:
    import torch

    with torch.inference_mode():
        vectors: Vectors = forward(*(torch.from_numpy(array) for array in arrays)).numpy()
    return vectors


class OnTorch(RowBackend):
    """What backends on torch tell alike of the model that they have loaded."""

    _device: TorchDevice
    _info: ModelInfo
    _model: Any

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def memory_bytes(self) -> int:
        return self._device.memory_bytes(self._model)

    @property
    def batch_tokens(self) -> int:
        return self._device.batch_tokens

    @property
    def batch_overhead_tokens(self) -> int:
        return self._device.overhead_tokens

    def close(self) -> None:
        del self._model
        self._device.release()
