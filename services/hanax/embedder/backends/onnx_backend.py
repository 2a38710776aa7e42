"""A model on ONNX Runtime: the default on a CPU. Neither this module nor what it needs imports torch.

float32: rows of a batch are sorted by length and cut into parts of few tokens, which run side by
side. Measured on 2 cores: the CPU time of a text grows by a fifth from parts of 256 tokens to parts
of 2,048, since activations leave the cache and more is padded; and parts side by side beat one part
on all threads, which wait for each other after every operator. A part that is alone has all threads.

int8: a text at a time, for its scales are found at each run, over all that is in it: beside other
texts its vector would be another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors
from hanax.embedder.backends.freed_memory import give_back_freed_memory
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.onnx_files import OnnxFiles, Precision
from hanax.embedder.backends.onnx_session import Laid, OnnxSession, SessionOptions
from hanax.embedder.backends.text_tokens import TextTokenizer, read_tokenizer

log = structlog.get_logger()

# Of a part, padding counted.
_PART_TOKENS: Final = 256
# What a run costs beside its tokens, as so many of them: one text at a time takes that much more.
_RUN_TOKENS: Final = 16
# Of a batch, for each thread: some parts each, so that all end at about the same time.
_BATCH_TOKENS: Final = 1_024

# Activations of the parts that run, and what the runtime itself holds.
_WORKING_BYTES: Final = 48 * 1024 * 1024

_WARM_TEXTS: Final = ("warm", "A sentence that is long enough to touch every kernel of the model. " * 8)


class OnnxBackend(Backend):
    """`name`: what the model is called in its info."""

    def __init__(self, name: str, folder: Path, files: OnnxFiles, precision: Precision, threads: int) -> None:
        """Load the model in `folder`, exported if it was not yet.

        Raises what `OnnxFiles.get` raises; FailedPrecondition for files that cannot be used.
        """
        traits = ModelTraits(folder)
        self._tokenizer = TextTokenizer(read_tokenizer(traits), traits)
        made = files.get(folder, precision)
        if made.report.agreement is not None:
            log.info("lower precision", model=name, precision=precision, **asdict(made.report.agreement))
        self._session = OnnxSession(made.path, SessionOptions(threads, traits.padding_id))
        self._threads: Final = threads
        self._alone: Final = precision == "int8"
        self._lanes = ThreadPoolExecutor(threads, thread_name_prefix="onnx")
        self._memory_bytes: Final = made.path.stat().st_size + _WORKING_BYTES
        self._dimension: Final = min(made.report.dimension, traits.truncate_dim or made.report.dimension)
        self._info: Final = ModelInfo(
            name,
            self._dimension,
            traits.max_tokens,
            "onnx",
            semantic=True,
            version=f"{made.content[:16]}.onnx.{precision}",
            dimensions=traits.cuts(self._dimension),
            precision=precision,
            agreement=made.report.agreement,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def memory_bytes(self) -> int:
        return self._memory_bytes

    @property
    def batch_tokens(self) -> int:
        return _BATCH_TOKENS * self._threads

    @property
    def pads(self) -> bool:
        # The parts do, by little, and whatever the batch.
        return False

    def padded_tokens(self, counts: Sequence[int]) -> int:
        return sum(len(part) * counts[part[0]] for part in self._parts(counts))

    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.tokenize(texts, purpose)

    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.split(text, purpose)

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        parts = [
            (rows, self._session.lay_out([batch[row] for row in rows]))
            for rows in self._parts([tokens.count for tokens in batch])
        ]
        return lambda: self._run(parts, len(batch))

    def warm(self) -> None:
        self.embed(self.tokenize(_WARM_TEXTS))

    def close(self) -> None:
        self._lanes.shutdown()
        del self._session
        give_back_freed_memory()

    def _parts(self, counts: Sequence[int]) -> list[list[int]]:
        return parts_of(counts, 1 if self._alone else _PART_TOKENS)

    def _run(self, parts: list[tuple[list[int], Laid]], texts: int) -> Vectors:
        vectors = np.empty((texts, self._dimension), np.float32)
        if len(parts) == 1:
            ((rows, laid),) = parts
            vectors[rows] = self._session.run(laid)[:, : self._dimension]
            return vectors
        runs = self._lanes.map(self._session.run, (laid for _, laid in parts))
        for (rows, _), found in zip(parts, runs, strict=True):
            vectors[rows] = found[:, : self._dimension]
        return vectors


def parts_of(counts: Sequence[int], budget_tokens: int) -> list[list[int]]:
    """Rows of texts with so many tokens, the longest first, in parts of at most `budget_tokens`

    with padding; a text that alone has more is a part of its own. A part ends, too, before a row
    from which on padding to its longest would cost more than another run.
    """
    order = sorted(range(len(counts)), key=lambda at: -counts[at])
    parts: list[list[int]] = []
    longest = room = 0
    for at, row in enumerate(order):
        to_come = min(room, len(order) - at)
        if room == 0 or (longest - counts[row]) * to_come > _RUN_TOKENS:
            parts.append([])
            longest = counts[row]
            room = max(1, budget_tokens // longest)
        parts[-1].append(row)
        room -= 1
    return parts
