"""A session in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from hanax.core.errors import FailedPrecondition
from hanax.embedder.backends import Tokens, Vectors
from hanax.embedder.backends.padding import padded
from hanax.embedder.backends.session import Laid, Session, SessionOptions, check_inputs

# Attention over more padded tokens than this takes hundreds of megabytes; they are given back at once.
_LARGE_TOKENS: Final = 4_096

# See `onnx_export`: the fused operator is the slower one, and the runtime would fuse by itself.
_NOT_FUSED: Final = ["SkipLayerNormFusion"]


class OnnxSession(Session):
    def __init__(self, file: Path, options: SessionOptions) -> None:
        """Raises FailedPrecondition for a file that is damaged, or asks for other inputs than tokens."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        # Threads that spin between operators take the cores of other models and of the server.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), settings, ["CPUExecutionProvider"], disabled_optimizers=_NOT_FUSED
            )
        except Exception as error:  # the runtime's own, of many classes without a common one
            raise FailedPrecondition(f"{file} cannot be loaded: {str(error)[:300]}") from None
        self._names: Final = check_inputs(file, (entry.name for entry in self._session.get_inputs()))
        self._output: Final = [self._session.get_outputs()[0].name]
        self._padding_id: Final = options.padding_id
        self._giving_back = onnxruntime.RunOptions()
        self._giving_back.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def lay_out(self, batch: Sequence[Tokens]) -> Laid:
        ids, mask = padded(batch, self._padding_id)
        laid = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._names:
            laid["token_type_ids"] = np.zeros_like(ids)
        return laid

    def run(self, laid: Laid) -> Vectors:
        large = laid["input_ids"].size > _LARGE_TOKENS
        (vectors,) = self._session.run(self._output, laid, self._giving_back if large else None)
        found: Vectors = np.asarray(vectors, np.float32)
        return found
