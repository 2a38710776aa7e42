"""Libraries that report their use to their makers don't do so here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["onnx_session", "onnx_export"])
def test_onnx_runtime_keeps_no_reports(module: str, tmp_path: Path) -> None:
    """It would keep them, and an id of this machine, in the user's cache folder until they are sent."""
    variables = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    # Where it runs in CI, it keeps none by itself.
    variables.pop("CI", None)
    program = f"import hanax.embedder.backends.{module}, onnxruntime"
    subprocess.run(
        [sys.executable, "-c", program],
        env={**variables, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.rglob("*onnxruntime*")) == []
