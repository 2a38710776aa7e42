"""What the onnx backend asks of a runtime: padded token ids in, vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Tokens, Vectors
from hanax.embedder.backends.padding import Ids

_KNOWN_INPUTS: Final = frozenset(("input_ids", "attention_mask", "token_type_ids"))

# OpenVINO's activations, and its kernels for each shape.
_BFLOAT16_WORKING_BYTES: Final = 160 * 1024 * 1024

# What a batch is for a runtime: arrays by the names of the graph's inputs.
Laid = dict[str, Ids]


@dataclass(frozen=True)
class SessionOptions:
    """`threads`: that compute one run, the caller's among them."""

    threads: int
    padding_id: int


class Session(Protocol):
    """One file, loaded. `run` is safe on several threads at once."""

    def lay_out(self, batch: Sequence[Tokens]) -> Laid: ...

    def run(self, laid: Laid) -> Vectors:
        """float32 (texts, dimension)."""

    def run_alone(self, laid: Laid) -> Vectors:
        """The same, when no other run goes beside it."""
        return self.run(laid)


def check_inputs(file: Path, names: Iterable[str]) -> frozenset[str]:
    """Raises FailedPrecondition for a file that asks for other inputs than tokens."""
    found = frozenset(names)
    if strange := found - _KNOWN_INPUTS:
        raise FailedPrecondition(f"{file} asks for {', '.join(sorted(strange))} beside tokens")
    return found


def bfloat16_bytes(weights_bytes: int) -> int:
    """What a model of so many bytes of float32 weights takes in OpenVINO: the weights are there twice."""
    return weights_bytes + weights_bytes // 2 + _BFLOAT16_WORKING_BYTES
