"""A model exported to ONNX: the default on a CPU. Neither this module nor what it needs imports torch.

float32, by ONNX Runtime: rows of a batch are sorted by length and cut into parts of few tokens,
which run side by side. Measured on 2 cores: the CPU time of a text grows by a fifth from parts of
256 tokens to parts of 2,048, since activations leave the cache and more is padded; and parts side
by side beat one part on all threads, which wait for each other after every operator. A part that is
alone has all threads.

bfloat16, by OpenVINO: the same file in larger parts, for the tiles of the processor are fast, and a
run costs as much as some dozens of tokens.

int8-static, by OpenVINO: in such parts as well, for its scales are found when the model is exported. Texts of
a part are of one width each.

int8, by ONNX Runtime, where there are no tiles: a text at a time, for its scales are found at each
run, over all that is in it: beside other texts its vector would be another one. A text has one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import xxhash

from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors
from hanax.embedder.backends.freed_memory import give_back_freed_memory
from hanax.embedder.backends.model_traits import ModelTraits
from hanax.embedder.backends.onnx_files import OnnxFile
from hanax.embedder.backends.onnx_lanes import Lanes, Started
from hanax.embedder.backends.onnx_orders import OF_OPENVINO, Precision
from hanax.embedder.backends.onnx_parts import (
    equal_parts_of,
    equal_width,
    even_parts_of,
    even_width,
    parts_of,
)
from hanax.embedder.backends.session import Laid, Session, SessionOptions, bfloat16_bytes
from hanax.embedder.backends.text_tokens import TextTokenizer, read_tokenizer

# Of a part, padding counted.
_PART_TOKENS: Final = 256
_EVEN_PART_TOKENS: Final = 2_048
# Of a batch, for each lane: some parts each, so that all end at about the same time.
_BATCH_TOKENS: Final = 1_024
_EVEN_BATCH_TOKENS: Final = 4_096

# Activations of the parts that run, and what the runtime itself holds.
_WORKING_BYTES: Final = 48 * 1024 * 1024

_WARM_TEXTS: Final = ("warm", "A sentence that is long enough to touch every kernel of the model. " * 8)

# Rows of a batch, and those laid out.
_Part = tuple[list[int], Laid]


@dataclass(frozen=True)
class ServedFile:
    """A file, and how it is to be computed."""

    file: OnnxFile
    precision: Precision


class OnnxBackend(Backend):
    """`name`: what the model is called in its info."""

    def __init__(self, name: str, folder: Path, served: ServedFile, threads: int) -> None:
        """Load `served`, which was made of the model in `folder`.

        Raises FailedPrecondition for files that cannot be used.
        """
        traits = ModelTraits(folder)
        file, precision = served.file, served.precision
        self._tokenizer = TextTokenizer(read_tokenizer(traits), traits)
        self._precision: Final = precision
        self._session, self._lane_count = _open(served, SessionOptions(threads, traits.padding_id))
        self._lanes = Lanes(self._lane_count, self._session.run)
        self._memory_bytes: Final = _memory_bytes(served)
        self._dimension: Final = min(file.report.dimension, traits.truncate_dim or file.report.dimension)
        self._info: Final = ModelInfo(
            name,
            self._dimension,
            traits.max_tokens,
            "onnx",
            semantic=True,
            version=_version(served),
            dimensions=traits.cuts(self._dimension),
            precision="int8" if precision == "int8-static" else precision,
            agreement=file.report.agreement,
        )

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def memory_bytes(self) -> int:
        return self._memory_bytes

    @property
    def batch_tokens(self) -> int:
        return (_EVEN_BATCH_TOKENS if self._is_even else _BATCH_TOKENS) * self._lane_count

    @property
    def pads(self) -> bool:
        # The parts do, by little, and whatever the batch.
        return False

    def padded_tokens(self, counts: Sequence[int]) -> int:
        return sum(len(part) * self._width(counts[part[0]]) for part in self._parts(counts))

    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.tokenize(texts, purpose)

    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self._tokenizer.split(text, purpose)

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        parts = [
            (rows, self._session.lay_out([batch[row] for row in rows]))
            for rows in self._parts([tokens.count for tokens in batch])
        ]
        # Behind a batch of this model it may begin: a lane that has done its share of that is idle.
        early = self._start(parts) if len(parts) > 1 and self._lanes.is_busy else None
        return lambda: self._run(parts, early, len(batch))

    def warm(self) -> None:
        texts = self.tokenize(_WARM_TEXTS)
        self.embed(texts)
        if self._is_even:
            # A single text, however long, finds the kernels of its width.
            longest = texts[-1]
            for count in range(1, self._info.max_tokens + 1):
                if self._width(count) == count:
                    self.embed([Tokens(longest.ids[:1].repeat(count), count, False)])

    def close(self) -> None:
        self._lanes.close()
        # The lanes know the session, too.
        del self._lanes, self._session
        give_back_freed_memory()

    def _parts(self, counts: Sequence[int]) -> list[list[int]]:
        if self._precision == "int8-static":
            return equal_parts_of(counts, _EVEN_PART_TOKENS)
        if self._precision == "bfloat16":
            return even_parts_of(counts, _EVEN_PART_TOKENS)
        return parts_of(counts, 1 if self._precision == "int8" else _PART_TOKENS)

    def _width(self, longest: int) -> int:
        """Of a part whose longest text has so many tokens."""
        if self._precision == "int8-static":
            return equal_width(longest)
        return even_width(longest) if self._precision == "bfloat16" else longest

    @property
    def _is_even(self) -> bool:
        return self._precision in OF_OPENVINO

    def _start(self, parts: list[_Part]) -> Started:
        return self._lanes.start([laid for _, laid in parts])

    def _run(self, parts: list[_Part], early: Started | None, texts: int) -> Vectors:
        vectors = np.empty((texts, self._dimension), np.float32)
        if len(parts) == 1:
            ((rows, laid),) = parts
            vectors[rows] = self._session.run_alone(laid)[:, : self._dimension]
            return vectors
        started = early or self._start(parts)
        for (rows, _), found in zip(parts, started.vectors(), strict=True):
            vectors[rows] = found[:, : self._dimension]
        return vectors


def _open(served: ServedFile, options: SessionOptions) -> tuple[Session, int]:
    """And how many parts it computes side by side."""
    if served.precision in OF_OPENVINO:
        from hanax.embedder.backends.onnx_openvino import OpenVinoInt8Session, OpenVinoSession, streams_of

        kind = OpenVinoSession if served.precision == "bfloat16" else OpenVinoInt8Session
        return kind(served.file.path, options), streams_of(options.threads)
    from hanax.embedder.backends.onnx_session import OnnxSession

    # Threads that share one text take a quarter more CPU for it than threads with a text each.
    shared = options if served.precision == "float32" else replace(options, threads=1)
    return OnnxSession(served.file.path, shared), options.threads


def _memory_bytes(served: ServedFile) -> int:
    weights = served.file.path.stat().st_size
    return bfloat16_bytes(weights) if served.precision in OF_OPENVINO else weights + _WORKING_BYTES


def _version(served: ServedFile) -> str:
    """Vectors of int8-static change with the ranges, too."""
    version = f"{served.file.content[:16]}.onnx.{served.precision}"
    if served.precision != "int8-static":
        return version
    return f"{version}.{xxhash.xxh3_64_hexdigest(served.file.ranges.read_bytes())}"
