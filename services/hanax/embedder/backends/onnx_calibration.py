"""Finds the ranges by which `onnx_rounding` rounds: what sample texts reach, channel by channel.

The extremes, and not a part of what is between them: some channels of the first token are larger
than all others, and a model that loses them has lost its way (cosine 0.92 where one activation of
ten thousand was cut off, and 0.99 where none is).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hanax.embedder.backends import Tokens
from hanax.embedder.backends.onnx_rounding import (
    Matrix,
    Range,
    Source,
    rounded_rows,
    rounded_weights,
    separate,
    sources,
)
from hanax.embedder.backends.openvino_runtime import openvino

# Of the samples' tokens, one of so many is kept to tell which way to round is nearer.
_EVERY: Final = 16
# Half of the way, so that neither activations nor weights have all of the outliers.
_POWER: Final = 0.5
_LEAST: Final = 1e-3


class _Seen:
    """Extremes of each channel, and some rows."""

    def __init__(self) -> None:
        self._low: Matrix | None = None
        self._high: Matrix | None = None
        self._kept: list[Matrix] = []

    def add(self, rows: Matrix) -> None:
        low, high = rows.min(axis=0), rows.max(axis=0)
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)
        # Copied: the runtime writes its next answer over this one.
        self._kept.append(rows[::_EVERY].copy())

    def range_for(self, source: Source) -> Range:
        """With factors where the products' own error is smaller with them."""
        assert self._low is not None
        assert self._high is not None
        weights = np.concatenate(source.weights, axis=1)
        largest = np.maximum(np.maximum(-self._low, self._high), _LEAST)
        factors = largest**_POWER / np.maximum(np.abs(weights).max(axis=1), _LEAST) ** (1 - _POWER)
        rows = np.concatenate(self._kept)
        candidates = [
            Range.over(self._low, self._high),
            Range.over(self._low, self._high, factors / factors.mean()),
        ]
        return min(candidates, key=lambda one: _error(one, rows, weights))


def find_ranges(file: Path, samples: Sequence[Tokens]) -> list[Range]:
    """Of the model in a float32 file, in the order of its sources. The samples go one by one."""
    core = openvino.Core()
    graph = core.read_model(file)
    separate(graph)
    found = sources(graph)
    graph.add_outputs([source.output for source in found])
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [entry.any_name for entry in compiled.inputs]
    seen = [_Seen() for _ in found]
    for tokens in samples:
        ids = tokens.ids[None]
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        inputs["token_type_ids"] = np.zeros_like(ids)
        answers = compiled({name: inputs[name] for name in names})
        for number, one in enumerate(seen, 1):
            rows = answers[number]
            one.add(rows.reshape(-1, rows.shape[-1]))
    return [one.range_for(source) for one, source in zip(seen, found, strict=True)]


def _error(told: Range, rows: Matrix, weights: Matrix) -> float:
    numbers, scales = rounded_weights(told.multiplied(weights))
    found = rounded_rows(rows, told) @ (numbers * scales)
    return float(np.square(found - rows @ weights).mean())
