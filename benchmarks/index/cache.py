"""What is slow to make and always the same, kept in .cache/bench (not in git)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FOLDER: Final = Path(__file__).parents[2] / ".cache" / "bench"

Arrays = dict[str, NDArray[Any]]


def kept(name: str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """Arrays under a name; made anew when `key`, all that they depend on, is another."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = FOLDER / f"{name}-{digest}.npz"
    if not path.exists():
        arrays = make()
        FOLDER.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        with draft.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        draft.replace(path)
    with np.load(path) as found:
        return {array: found[array] for array in found.files}


def source_of(module: str) -> str:
    """The text of a module by its file, so that a key changes with the code."""
    return Path(module).read_text()
