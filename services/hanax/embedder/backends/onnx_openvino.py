"""A session in OpenVINO, whose products are of bfloat16.

ONNX Runtime multiplies floats with AVX-512 alone. On a processor with tiles (AMX), products of
bfloat16 take a third of the CPU; sums, norms and the softmax stay float32.

The runtime compiles kernels for each shape that it meets, which takes milliseconds, and keeps them,
about a megabyte a shape. So shapes are few: `onnx_parts.even_parts_of`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import numpy as np

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Tokens, Vectors
from hanax.embedder.backends.onnx_parts import width_step
from hanax.embedder.backends.padding import padded
from hanax.embedder.backends.session import Laid, Session, SessionOptions, check_inputs

# Importing openvino would import what reports its use to its makers. A name that is None here
# cannot be imported, and openvino then takes a stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # type: ignore[import-untyped]  # noqa: E402

# More threads on one small matrix wait for each other longer than they compute.
_STREAM_THREADS: Final = 4


def streams_of(threads: int) -> int:
    """Runs side by side that make use of so many threads.

    Measured on 2 cores: two threads on one run take a tenth more CPU than two runs side by side,
    and answer a single text in 0.6 of the time.
    """
    return -(-threads // _STREAM_THREADS)


class OpenVinoSession(Session):
    """`streams_of(threads)` of them runs compute at once, others wait."""

    def __init__(self, file: Path, options: SessionOptions) -> None:
        """Raises FailedPrecondition for a file that is damaged, or asks for other inputs than tokens."""
        streams = streams_of(options.threads)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": options.threads,
            # Threads of several models, and of several processes, would be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(core.read_model(file), "CPU", settings)
        except RuntimeError as error:
            raise FailedPrecondition(f"{file} cannot be loaded: {str(error)[:300]}") from None
        self._names: Final = check_inputs(file, (entry.any_name for entry in self._compiled.inputs))
        self._padding_id: Final = options.padding_id
        # A request holds the activations of its run.
        self._requests: Final[SimpleQueue[openvino.InferRequest]] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(self._compiled.create_infer_request())

    def lay_out(self, batch: Sequence[Tokens]) -> Laid:
        longest = max(tokens.count for tokens in batch)
        ids, mask = padded(batch, self._padding_id, width_step(longest))
        laid = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._names:
            laid["token_type_ids"] = np.zeros_like(ids)
        return laid

    def run(self, laid: Laid) -> Vectors:
        request = self._requests.get()
        try:
            # Copied: what the request gives is overwritten by its next run.
            return np.array(request.infer(laid, share_inputs=True, share_outputs=True)[0], np.float32)
        finally:
            self._requests.put(request)
