"""sentence-transformers on torch: the default on a GPU, and what serves models that do not export.

The model is loaded by the library and run module by module as it declares; only what surrounds
it is done here: tokens come without padding, so that batches can be formed by length, and results
equal `SentenceTransformer.encode`.

On a GPU weights are bfloat16 and attention is torch's fused one, which transformers takes by
itself. `prepare` queues all work of a batch on the device, from pinned memory and back into it, so
that the next batch is queued before the last one is read: the GPU never waits for Python.

Start-up was measured (2 cores, warm page cache, process start to first vector). Through
sentence-transformers: 4.1 s, of which torch 0.9, transformers 2.2 and scikit-learn 0.8; through
transformers' model and pooling written again: 3.2 s. A second saved does not pay for a second
implementation of every module. Keeping the garbage collector from walking the imported objects
again and again saves as much: 3.1 s.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors
from hanax.embedder.backends.freed_memory import give_back_freed_memory
from hanax.embedder.backends.model_files import ModelFiles, content_hash, local_folder
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.padding import Ids, padded
from hanax.embedder.backends.text_tokens import TextTokenizer

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

# Of a batch, padding counted. A GPU needs some thousands of rows to fill it.
_CPU_BATCH_TOKENS: Final = 2_048
_GPU_BATCH_TOKENS: Final = 16_384
# Launching a model's kernels takes a GPU's host about as long as this many tokens take the GPU.
_GPU_OVERHEAD_TOKENS: Final = 2_048
# Tensor cores multiply rows in groups of this many.
_GPU_TOKENS_STEP: Final = 8

# Activations of a batch, and what torch itself holds.
_WORKING_BYTES: Final = 256 * 1024 * 1024

_WARM_TEXTS: Final = ("warm", "A sentence that is long enough to touch every kernel of the model. " * 8)
# Lengths at which the libraries of a GPU choose other kernels.
_WARM_TOKENS: Final = (16, 32, 64, 128, 256, 512, 1_024, 2_048)


class TorchBackend(Backend):
    """One SentenceTransformer. Importing torch takes seconds: construct it off the main thread."""

    def __init__(self, files: ModelFiles, threads: int) -> None:
        """Load the model. `threads`: what a batch computes on.

        Raises FailedPrecondition for a model that does not turn one text into one vector;
        OSError when its files are damaged, or are on the hub and cannot be fetched.
        """
        folder = local_folder(files)
        traits = ModelTraits(folder)
        with _paused_collector():
            model = _load(folder, threads)
            dimension = model.get_embedding_dimension()
            if dimension is None or not hasattr(model.tokenizer, "backend_tokenizer"):
                raise FailedPrecondition(
                    f"{files.name} must be a text embedding model with a fast tokenizer (a tokenizer.json)"
                )
            self._tokenizer = TextTokenizer(model.tokenizer.backend_tokenizer, traits)
        self._model = model
        self._on_gpu: Final = model.device.type == "cuda"
        # Never past the last position that the model knows.
        self._step: Final = (
            _GPU_TOKENS_STEP if self._on_gpu and traits.max_tokens % _GPU_TOKENS_STEP == 0 else 1
        )
        self._padding_id: int = model.tokenizer.pad_token_id or 0
        precision = str(model.dtype).removeprefix("torch.")
        self._info: Final = ModelInfo(
            files.name,
            dimension,
            traits.max_tokens,
            "torch",
            semantic=True,
            version=f"{content_hash(folder)[:16]}.torch.{precision}",
            dimensions=traits.cuts(dimension),
            precision=precision,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def memory_bytes(self) -> int:
        return sum(weight.nbytes for weight in self._model.parameters()) + _WORKING_BYTES

    @property
    def batch_tokens(self) -> int:
        return _GPU_BATCH_TOKENS if self._on_gpu else _CPU_BATCH_TOKENS

    @property
    def batch_overhead_tokens(self) -> int:
        return _GPU_OVERHEAD_TOKENS if self._on_gpu else super().batch_overhead_tokens

    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.tokenize(texts, purpose)

    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.split(text, purpose)

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        ids, mask = padded(batch, self._padding_id, self._step)
        if self._on_gpu:
            return self._start(ids, mask)
        return lambda: self._compute(ids, mask)

    def warm(self) -> None:
        self.embed(self.tokenize(_WARM_TEXTS))
        if self._on_gpu:
            token = self.tokenize(["warm"])[0].ids[:1]
            for count in takewhile(lambda count: count <= self.info.max_tokens, _WARM_TOKENS):
                row = Tokens(np.repeat(token, count), count, truncated=False)
                self.embed([row] * (_GPU_BATCH_TOKENS // count))

    def close(self) -> None:
        on_gpu = self._on_gpu
        del self._model
        give_back_freed_memory()
        if on_gpu:
            import torch

            torch.cuda.empty_cache()

    def _compute(self, ids: Ids, mask: Ids) -> Vectors:
        import torch

        with torch.inference_mode():
            vectors: Vectors = self._forward(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        return vectors

    def _start(self, ids: Ids, mask: Ids) -> Callable[[], Vectors]:
        import torch

        with torch.inference_mode():
            device = self._model.device
            # Held until the device has read them: the answer refers to them.
            pinned = [torch.from_numpy(array).pin_memory() for array in (ids, mask)]
            embedded = self._forward(*(array.to(device, non_blocking=True) for array in pinned))
            host = torch.empty(embedded.shape, dtype=embedded.dtype, pin_memory=True)
            host.copy_(embedded, non_blocking=True)
            ended = torch.cuda.Event()  # type: ignore[no-untyped-call]
            ended.record()

        def finish() -> Vectors:
            ended.synchronize()
            pinned.clear()
            vectors: Vectors = host.numpy()
            return vectors

        return finish

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """float32 (texts, dimension), where the model is."""
        embedded = self._model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        found: torch.Tensor = embedded[:, : self.info.dimension].float()
        return found


@contextmanager
def _paused_collector() -> Iterator[None]:
    """No garbage collection inside; what was made inside is left out of all later ones."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load(folder: Path, threads: int) -> SentenceTransformer:
    # Read when the libraries are first imported.
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    # GNU OpenMP's threads spin for milliseconds at the end of every layer. With a busy neighbour
    # on 2 cores they wait for one that is not running: 660 us a token, against 200 with this few
    # turns. On idle cores it makes no difference (85).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    from hanax.embedder.backends.packed_linear import pack_linear_layers

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(str(folder), device=device, local_files_only=True)
    model.eval()
    if device == "cuda" and torch.cuda.is_bf16_supported():
        model.to(torch.bfloat16)
    pack_linear_layers(model)
    return model
