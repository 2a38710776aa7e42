"""Sessions in OpenVINO, whose products are of bfloat16, or of 8-bit numbers.

ONNX Runtime multiplies floats with AVX-512 alone. On a processor with tiles (AMX), products of
bfloat16 take a third of the CPU; sums, norms and the softmax stay float32.

Runs side by side have a thread each: two threads that share a run wait for each other after every
operator, and take a third more CPU. A run that is alone has several threads all the same, for it is
answered in 0.6 of the time. So the graph is compiled twice, for either; the weights of products are
there twice, the other ones once.

The runtime compiles kernels for each shape that it meets, which takes milliseconds, and keeps them,
some megabytes a shape. So shapes are few: `onnx_parts.even_parts_of` and `equal_parts_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import numpy as np

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Tokens, Vectors
from hanax.embedder.backends.onnx_orders import RANGES
from hanax.embedder.backends.onnx_parts import equal_step, width_step
from hanax.embedder.backends.onnx_rounding import read_ranges, round_products, separate
from hanax.embedder.backends.openvino_runtime import openvino
from hanax.embedder.backends.padding import padded
from hanax.embedder.backends.session import Laid, Session, SessionOptions, check_inputs

# More threads on one small matrix wait for each other longer than they compute.
_RUN_THREADS: Final = 4
# Each stream keeps the activations of its largest run, some dozens of megabytes.
_STREAMS: Final = 4


def streams_of(threads: int) -> int:
    """Runs side by side that make use of so many threads: up to 4 of one, then of more each."""
    return max(min(threads, _STREAMS), -(-threads // _RUN_THREADS))


class OpenVinoSession(Session):
    """`streams_of(threads)` of them runs compute at once, others wait."""

    def __init__(self, file: Path, options: SessionOptions) -> None:
        """Raises FailedPrecondition for a file that is damaged, or asks for other inputs than tokens."""
        try:
            core = openvino.Core()
            graph = core.read_model(file)
            self._change(graph, file)
            self._beside = _Streams(core, graph, options.threads, streams_of(options.threads))
            self._alone = self._beside
            if options.threads > 1:
                self._alone = _Streams(core, graph, min(options.threads, _RUN_THREADS), 1)
        except RuntimeError as error:
            raise FailedPrecondition(f"{file} cannot be loaded: {str(error)[:300]}") from None
        self._names: Final = check_inputs(file, (entry.any_name for entry in graph.inputs))
        self._padding_id: Final = options.padding_id

    def lay_out(self, batch: Sequence[Tokens]) -> Laid:
        longest = max(tokens.count for tokens in batch)
        ids, mask = padded(batch, self._padding_id, self._step(longest))
        laid = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._names:
            laid["token_type_ids"] = np.zeros_like(ids)
        return laid

    def run(self, laid: Laid) -> Vectors:
        return self._beside.run(laid)

    def run_alone(self, laid: Laid) -> Vectors:
        return self._alone.run(laid)

    def _change(self, graph: Any, file: Path) -> None:
        """Before it is compiled."""

    def _step(self, longest: int) -> int:
        return width_step(longest)


class OpenVinoInt8Session(OpenVinoSession):
    """Rounds by the ranges beside `file`. What is no product stays as in bfloat16."""

    def _change(self, graph: Any, file: Path) -> None:
        separate(graph)
        round_products(graph, read_ranges(file.with_name(RANGES)))

    def _step(self, longest: int) -> int:
        return equal_step(longest)


class _Streams:
    """A graph, compiled for so many runs at once."""

    def __init__(self, core: Any, graph: Any, threads: int, streams: int) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            # Threads of several models, and of several processes, would be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core.compile_model(graph, "CPU", settings)
        # A request holds the activations of its run.
        self._requests: Final[SimpleQueue[Any]] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(self._compiled.create_infer_request())

    def run(self, laid: Laid) -> Vectors:
        request = self._requests.get()
        try:
            # Copied: what the request gives is overwritten by its next run.
            return np.array(request.infer(laid, share_inputs=True, share_outputs=True)[0], np.float32)
        finally:
            self._requests.put(request)
