"""OpenVINO without what reports its use to its makers, which importing it would import too.

A name that is None here cannot be imported, and openvino then takes a stub.
"""

from __future__ import annotations

import sys

# The import system reads None as "not to be had"; its types know modules alone.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# After the line above, without which they would import it. OpenVINO has no types.
import openvino  # type: ignore[import-untyped]  # noqa: E402
from openvino import opset13 as operators  # noqa: E402

__all__ = ["openvino", "operators"]
