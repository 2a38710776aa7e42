"""Cross-encoders on torch: a query and a text are read together, and one number comes out.

The model is loaded by sentence-transformers, and its scores are those of `CrossEncoder.predict`: after the
activation that the model names, for most a sigmoid. Only what surrounds it is done here: rows come
without padding, so that batches can be formed by length, of whoever asks at the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import ModelInfo, PairBackend, Task, Tokens, Vectors
from hanax.embedder.backends.model_files import ModelFiles, content_hash, local_folder
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.padding import padded_pairs
from hanax.embedder.backends.pair_tokens import PairTokenizer
from hanax.embedder.backends.text_tokens import read_tokenizer
from hanax.embedder.backends.torch_device import OnTorch, TorchDevice, paused_collector

if TYPE_CHECKING:
    import torch
    from sentence_transformers import CrossEncoder

_WARM_QUERY: Final = "warm"
_WARM_TEXTS: Final = ("warm", "A sentence that is long enough to touch every kernel of the model. " * 8)
_TYPES: Final = "token_type_ids"


class CrossEncoderBackend(OnTorch, PairBackend):
    """One CrossEncoder. Importing torch takes seconds: construct it off the main thread."""

    def __init__(self, files: ModelFiles, threads: int) -> None:
        """Load the model. `threads`: what a batch computes on.

        Raises FailedPrecondition for a model that does not turn two texts into one number; OSError when
        its files are damaged, or are on the hub and cannot be fetched.
        """
        folder = local_folder(files)
        traits = ModelTraits(folder)
        _check(files.name, traits)
        self._tokenizer = PairTokenizer(read_tokenizer(traits), traits)
        with paused_collector():
            device = TorchDevice(threads)
            model = _load(folder, device)
        self._model, self._device = model, device
        self._step: Final = device.step(traits.max_tokens)
        self._padding_id: int = model.tokenizer.pad_token_id or 0
        self._reads_types: Final = _TYPES in model.tokenizer.model_input_names
        precision = str(model.dtype).removeprefix("torch.")
        self._info = ModelInfo(
            files.name,
            1,
            traits.max_tokens,
            "torch",
            semantic=True,
            version=f"{content_hash(folder)[:16]}.torch.{precision}",
            precision=precision,
            task=Task.RERANK,
        )

    def pair(self, query: str, texts: Sequence[str]) -> list[Tokens]:
        return self._tokenizer.pair(query, texts)

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        return self._device.start(self._forward, padded_pairs(batch, self._padding_id, self._step))

    def warm(self) -> None:
        rows = self.pair(_WARM_QUERY, _WARM_TEXTS)
        self.score(rows)
        token = rows[0].ids[:, :1]
        for texts, count in self._device.warm_batches(self.info.max_tokens):
            self.score([Tokens(np.repeat(token, count, axis=1), count, truncated=False)] * texts)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """float32 (texts, 1), where the model is."""
        features = {"input_ids": ids, "attention_mask": mask}
        if self._reads_types:
            features[_TYPES] = types
        # Of lower precision, many would be alike.
        scores: torch.Tensor = self._model(features)["scores"].float()
        if self._model.activation_fn is not None:
            scores = self._model.activation_fn(scores)
        return scores.reshape(len(ids), 1)


def _check(name: str, traits: ModelTraits) -> None:
    if not traits.classifies or len(traits.modules) != 1:
        raise FailedPrecondition(
            f"{name} is a cross-encoder of another kind: expected a model for sequence classification"
        )
    if traits.labels != 1:
        raise FailedPrecondition(
            f"{name} tells {traits.labels} labels of two texts: expected one, which is a score"
        )
    if traits.prompts.none:
        raise FailedPrecondition(f"{name} puts a prompt before its texts, which is not supported")


def _load(folder: Path, device: TorchDevice) -> CrossEncoder:
    from sentence_transformers import CrossEncoder

    model: CrossEncoder = CrossEncoder(str(folder), device=device.name, local_files_only=True)
    device.lay_out(model)
    return model
