"""OpenVINO without what reports its use to its makers, which importing it would import too.

A name that is None here cannot be imported, and openvino then takes a stub.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # type: ignore[import-untyped]  # noqa: E402
from openvino import opset13 as operators  # noqa: E402

__all__ = ["openvino", "operators"]
