"""What the processor can multiply, as the system tells it."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")


def has_wide_sums(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether products of 8-bit numbers are summed without saturation, as with VNNI, and on ARM."""
    if not _is_x86():
        return True
    return _has_flag("avx_vnni|avx512_vnni|amx_int8", cpuinfo)


def has_bfloat16_tiles(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether matrices of bfloat16 are multiplied by tiles (AMX), some four times as fast as float32."""
    return _is_x86() and _has_flag("amx_bf16", cpuinfo)


def _is_x86() -> bool:
    return platform.machine() in ("x86_64", "AMD64")


def _has_flag(names: str, cpuinfo: Path) -> bool:
    try:
        told = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(rf"^flags\b.*\b({names})\b", told, re.MULTILINE) is not None
