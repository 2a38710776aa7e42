"""Products of 8-bit numbers in a model's graph, with scales that were found before.

Of each product of activations and weights, the weights are rounded per column to 8 bits, and the
activations to 256 steps of a range that is the same for every text: so a text has the same vector
in whatever batch it comes. What lies between the products, and what attention multiplies, stays as
it is. Channels that are larger than the others are divided by factors before they are rounded, and
their weights multiplied by them (SmoothQuant: Xiao et al., arXiv:2211.10438), where that pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends.openvino_runtime import operators as ops

Matrix = npt.NDArray[np.float32]

_STEPS: Final = 256
_LARGEST: Final = 127
# Sums of float32 in another order differ in the seventh digit: what is kept is the same everywhere.
_DIGITS: Final = 4


@dataclass(frozen=True)
class Range:
    """Of what products read: between `low` <= 0 and `high` >= 0, after division by `factors`,

    one of each channel; none: no division.
    """

    low: float
    high: float
    factors: tuple[float, ...] = ()

    @classmethod
    def over(cls, low: Matrix, high: Matrix, factors: Matrix | None = None) -> Self:
        """`low`, `high`: of each channel, float32 (channels)."""
        divisors = np.ones_like(low) if factors is None else _rounded(factors)
        least, most = min(float((low / divisors).min()), 0.0), max(float((high / divisors).max()), 0.0)
        if least == most:
            most = 1.0
        kept = () if factors is None else tuple(divisors.tolist())
        least, most = _rounded(np.array([least, most], np.float32)).tolist()
        return cls(least, most, kept)

    def divided(self, rows: Matrix) -> Matrix:
        """float32 (rows, channels)."""
        return np.divide(rows, np.array(self.factors, np.float32), dtype=np.float32) if self.factors else rows

    def multiplied(self, weights: Matrix) -> Matrix:
        """float32 (channels, columns)."""
        return weights * np.array(self.factors, np.float32)[:, None] if self.factors else weights


@dataclass(frozen=True)
class Source:
    """What one or several products read, as the graph has it, and their weights (channels, columns)."""

    output: Any
    products: tuple[Any, ...]
    weights: tuple[Matrix, ...]


def write_ranges(ranges: Sequence[Range], file: Path) -> None:
    file.write_bytes(orjson.dumps(list(ranges)))


def read_ranges(file: Path) -> list[Range]:
    """Raises FailedPrecondition for what `write_ranges` did not write."""
    try:
        told = orjson.loads(file.read_bytes())
        return [Range(float(one["low"]), float(one["high"]), tuple(one["factors"])) for one in told]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FailedPrecondition(f"{file} cannot be read: {error}") from None


def sources(graph: Any) -> list[Source]:
    """What products with weights read, token by token, in the order of the graph."""
    found: dict[tuple[str, int], list[Any]] = {}
    for node in graph.get_ordered_ops():
        if _has_weights(node) and node.input_value(0).get_partial_shape().rank == 3:
            read = node.input_value(0)
            found.setdefault((read.get_node().get_name(), read.get_index()), []).append(node)
    return [
        Source(nodes[0].input_value(0), tuple(nodes), tuple(_weights(node) for node in nodes))
        for nodes in found.values()
    ]


def round_products(graph: Any, ranges: Sequence[Range]) -> None:
    """Change a graph that `separate` has changed. `ranges`: of its `sources`, in their order.

    Raises FailedPrecondition for ranges of another graph.
    """
    found = sources(graph)
    if len(found) != len(ranges):
        raise FailedPrecondition(f"{len(ranges)} ranges for a model with {len(found)}")
    for source, told in zip(found, ranges, strict=True):
        data = source.output
        if told.factors:
            if len(told.factors) != source.weights[0].shape[0]:
                raise FailedPrecondition(
                    f"{len(told.factors)} factors for {source.weights[0].shape[0]} channels"
                )
            data = ops.multiply(data, _constant(1 / np.array(told.factors, np.float32)[None, None]))
        low, high = _constant(np.float32(told.low)), _constant(np.float32(told.high))
        steps = ops.fake_quantize(data, low, high, low, high, _STEPS)
        for product, weights in zip(source.products, source.weights, strict=True):
            numbers, scales = rounded_weights(told.multiplied(weights))
            wide = ops.multiply(ops.convert(_constant(numbers), "f32"), _constant(scales))
            product.output(0).replace(ops.matmul(steps, wide, False, False).output(0))
    graph.validate_nodes_and_infer_types()


def rounded_weights(weights: Matrix) -> tuple[npt.NDArray[np.int8], Matrix]:
    """int8 (channels, columns), and the float32 (1, columns) by which they are multiplied."""
    scales = np.maximum(np.abs(weights).max(axis=0, keepdims=True), 1e-8) / np.float32(_LARGEST)
    return np.clip(np.rint(weights / scales), -_LARGEST, _LARGEST).astype(np.int8), scales


def rounded_rows(rows: Matrix, told: Range) -> Matrix:
    """What is multiplied in place of activations (rows, channels)."""
    step = np.float32((told.high - told.low) / (_STEPS - 1))
    zero = np.rint(-told.low / step)
    return np.asarray((np.clip(np.rint(told.divided(rows) / step) + zero, 0, _STEPS - 1) - zero) * step)


def separate(graph: Any) -> None:
    """Make of a product that is split at once as many products: to split what a product gives

    costs more than to read the same activations again. Fused attention is such a product.
    """
    for product in [node for node in graph.get_ordered_ops() if _has_weights(node)]:
        added = [entry.get_node() for entry in product.output(0).get_target_inputs()]
        if len(added) != 1 or added[0].get_type_name() != "Add" or not _is_constant(added[0].input_value(1)):
            continue
        users = [entry.get_node() for entry in added[0].output(0).get_target_inputs()]
        splits = [node for node in users if node.get_type_name() == "Split"]
        shapes = [node for node in users if node.get_type_name() == "ShapeOf"]
        if len(splits) != 1 or len(splits) + len(shapes) != len(users) or not _splits_columns(splits[0]):
            continue
        read, weights = product.input_value(0), _weights(product)
        bias = added[0].input_value(1).get_node().data.astype(np.float32).reshape(-1)
        parts = splits[0].get_output_size()
        for at, (columns, shift) in enumerate(
            zip(np.split(weights, parts, axis=1), np.split(bias, parts), strict=True)
        ):
            alone = ops.add(ops.matmul(read, _constant(columns), False, False), _constant(shift))
            splits[0].output(at).replace(alone.output(0))
        for node in shapes:
            # What only a shape is asked of would be computed all the same.
            whole = ops.shape_of(read, node.get_element_type())
            kind = np.int64 if node.get_element_type().get_type_name() == "i64" else np.int32
            first = ops.gather(whole, _constant(np.array([0, 1], np.int64)), _constant(np.int64(0)))
            told = ops.concat([first, _constant(np.array([weights.shape[1]], kind))], 0)
            node.output(0).replace(told.output(0))
    graph.validate_nodes_and_infer_types()


def _splits_columns(split: Any) -> bool:
    axis = split.input_value(1).get_node()
    return axis.get_type_name() == "Constant" and int(axis.data) in (-1, 2)


def _has_weights(node: Any) -> bool:
    return (
        node.get_type_name() == "MatMul"
        and _is_constant(node.input_value(1))
        and node.input_value(1).get_partial_shape().rank == 2
        and not node.get_attributes()["transpose_a"]
    )


def _is_constant(output: Any) -> bool:
    return bool(output.get_node().get_type_name() == "Constant")


def _weights(product: Any) -> Matrix:
    weights: Matrix = product.input_value(1).get_node().data.astype(np.float32)
    return weights.T if product.get_attributes()["transpose_b"] else weights


def _constant(value: Any) -> Any:
    return ops.constant(np.ascontiguousarray(value))


def _rounded(values: Matrix) -> Matrix:
    return np.array([float(f"{value:.{_DIGITS - 1}e}") for value in values.tolist()], np.float32)
