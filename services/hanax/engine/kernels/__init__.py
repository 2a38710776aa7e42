"""Compiled inner loops: numpy arrays in, numpy arrays out, the GIL released.

Kernels check nothing: shapes, dtypes and finiteness are the caller's promise. Signatures are
explicit, so that a read-only memory map does not compile a kernel anew.

Machine code is cached in a folder named by a hash of these sources: numba's own check looks at
the file of the cached function alone and would run stale code after a change in a callee. The
hash covers the form of the kernels (`cpu`) as well.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba

from hanax.engine.kernels.cpu import FORM


def _cache_folder() -> Path:
    digest = hashlib.sha256(f"{numba.__version__} {FORM}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    # NUMBA_CACHE_DIR, where someone set it, is the place: an image with a read-only root needs it.
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hana-x-vector"
    # An image with a read-only root needs another place.
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        root = Path(chosen)
    return root / "kernels" / digest.hexdigest()[:16]


numba.config.CACHE_DIR = str(_cache_folder())
