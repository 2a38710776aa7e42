"""sentence-transformers on torch: the default on a GPU, and what serves models that do not export.

The model is loaded by the library and run module by module as it declares; only what surrounds
it is done here: tokens come without padding, so that batches can be formed by length, and results
equal `SentenceTransformer.encode`.

Start-up was measured (2 cores, warm page cache, process start to first vector). Through
sentence-transformers: 4.1 s, of which torch 0.9, transformers 2.2 and scikit-learn 0.8; through
transformers' model and pooling written again: 3.2 s. A second saved does not pay for a second
implementation of every module. Keeping the garbage collector from walking the imported objects
again and again saves as much: 3.1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors
from hanax.embedder.backends.model_files import ModelFiles, content_hash, local_folder
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.padding import padded
from hanax.embedder.backends.text_tokens import TextTokenizer
from hanax.embedder.backends.torch_device import OnTorch, TorchDevice, paused_collector

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

_WARM_TEXTS: Final = ("warm", "A sentence that is long enough to touch every kernel of the model. " * 8)


class TorchBackend(OnTorch, Backend):
    """One SentenceTransformer. Importing torch takes seconds: construct it off the main thread."""

    def __init__(self, files: ModelFiles, threads: int) -> None:
        """Load the model. `threads`: what a batch computes on.

        Raises FailedPrecondition for a model that does not turn one text into one vector;
        OSError when its files are damaged, or are on the hub and cannot be fetched.
        """
        folder = local_folder(files)
        traits = ModelTraits(folder)
        with paused_collector():
            device = TorchDevice(threads)
            model = _load(folder, device)
            dimension = model.get_embedding_dimension()
            if dimension is None or not hasattr(model.tokenizer, "backend_tokenizer"):
                raise FailedPrecondition(
                    f"{files.name} must be a text embedding model with a fast tokenizer (a tokenizer.json)"
                )
            self._tokenizer = TextTokenizer(model.tokenizer.backend_tokenizer, traits)
        self._model, self._device = model, device
        self._step: Final = device.step(traits.max_tokens)
        self._padding_id: int = model.tokenizer.pad_token_id or 0
        precision = str(model.dtype).removeprefix("torch.")
        self._info = ModelInfo(
            files.name,
            dimension,
            traits.max_tokens,
            "torch",
            semantic=True,
            version=f"{content_hash(folder)[:16]}.torch.{precision}",
            dimensions=traits.cuts(dimension),
            precision=precision,
        )

    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.tokenize(texts, purpose)

    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.split(text, purpose)

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        return self._device.start(self._forward, padded(batch, self._padding_id, self._step))

    def warm(self) -> None:
        self.embed(self.tokenize(_WARM_TEXTS))
        token = self.tokenize(["warm"])[0].ids[:1]
        for rows, count in self._device.warm_batches(self.info.max_tokens):
            self.embed([Tokens(np.repeat(token, count), count, truncated=False)] * rows)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """float32 (texts, dimension), where the model is."""
        embedded = self._model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        found: torch.Tensor = embedded[:, : self.info.dimension].float()
        return found


def _load(folder: Path, device: TorchDevice) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device=device.name, local_files_only=True)
    device.lay_out(model)
    return model
