"""sentence-transformers on torch: on the GPU when torch sees one, else on the CPU.

The model is loaded by the library and run module by module as it declares; only what surrounds
it is done here: tokens come from its own tokenizer without padding, so that batches can be formed
by length, and results equal `SentenceTransformer.encode`.

Start-up was measured (2 cores, warm page cache, process start to first vector). Through
sentence-transformers: 4.1 s, of which torch 0.9, transformers 2.2 and scikit-learn 0.8; through
transformers' model and pooling written again: 3.2 s. A second saved does not pay for a second
implementation of every module. Keeping the garbage collector from walking the imported objects
again and again saves as much: 3.1 s.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import ModelInfo, Tokens, Vectors
from hanax.embedder.backends.model_files import ModelFiles

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

# When neither the tokenizer nor the configuration knows a limit.
_DEFAULT_MAX_TOKENS: Final = 512
# transformers writes "no limit" as 1e30. Attention over more tokens than this needs gigabytes.
_MOST_TOKENS: Final = 32_768

_WARM_TEXTS: Final = ("warm", "A sentence that is long enough to touch every kernel of the model. " * 8)


class TorchBackend:
    """One SentenceTransformer. Importing torch takes seconds: construct it off the main thread."""

    def __init__(self, files: ModelFiles, threads: int) -> None:
        """Load the model. `threads`: what a batch computes on.

        Raises FailedPrecondition for a model that does not turn one text into one vector;
        OSError when its files are damaged, or are on the hub and cannot be fetched.
        """
        with _paused_collector():
            model = _load(files, threads)
            dimension = model.get_embedding_dimension()
            if dimension is None or not hasattr(model.tokenizer, "backend_tokenizer"):
                raise FailedPrecondition(
                    f"{files.name} must be a text embedding model with a fast tokenizer (a tokenizer.json)"
                )
            limit = model.max_seq_length or _DEFAULT_MAX_TOKENS
            self.info: Final = ModelInfo(
                files.name, dimension, min(limit, _MOST_TOKENS), "torch", semantic=True
            )
            self._model = model
            self._prompt = _default_prompt(model)
            self._tokenizer = _unpadded_tokenizer(model, self.info.max_tokens)
            self._padding_id: int = model.tokenizer.pad_token_id or 0

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        encodings = self._tokenizer.encode_batch_fast([self._prompt + text for text in texts])
        return [
            Tokens(np.array(found.ids, np.int64), len(found.ids), truncated=bool(found.overflowing))
            for found in encodings
        ]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        import torch

        shape = (len(batch), max(tokens.count for tokens in batch))
        ids = np.full(shape, self._padding_id, np.int64)
        mask = np.zeros(shape, np.int64)
        for row, tokens in enumerate(batch):
            ids[row, : tokens.count] = tokens.ids
            mask[row, : tokens.count] = 1
        device = self._model.device
        with torch.inference_mode():
            features = {
                "input_ids": torch.from_numpy(ids).to(device),
                "attention_mask": torch.from_numpy(mask).to(device),
            }
            embedded = self._model(features)["sentence_embedding"]
            vectors: Vectors = embedded.float().cpu().numpy()
        return vectors

    def warm(self) -> None:
        self.embed(self.tokenize(_WARM_TEXTS))

    def close(self) -> None:
        del self._model


@contextmanager
def _paused_collector() -> Iterator[None]:
    """No garbage collection inside; what was made inside is left out of all later ones."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load(files: ModelFiles, threads: int) -> SentenceTransformer:
    # Read when the libraries are first imported. Progress bars would break the lines of the log.
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    # GNU OpenMP's threads spin for milliseconds at the end of every layer. With a busy neighbour
    # on 2 cores they wait for one that is not running: 660 us a token, against 200 with this few
    # turns. On idle cores it makes no difference (85).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if files.local:
        os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    from hanax.embedder.backends.packed_linear import pack_linear_layers

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(files.source, device=device, local_files_only=files.local)
    model.eval()
    pack_linear_layers(model)
    return model


def _default_prompt(model: SentenceTransformer) -> str:
    """What the model wants before every text."""
    prompt: str = model.prompts.get(model.default_prompt_name or "") or ""
    if prompt and not all(getattr(module, "include_prompt", True) for module in model):
        raise FailedPrecondition("the model leaves its prompt out of the pooling, which is not supported")
    return prompt


def _unpadded_tokenizer(model: SentenceTransformer, max_tokens: int) -> Tokenizer:
    """A copy of the model's, because the library changes the settings of its own at each use."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer
