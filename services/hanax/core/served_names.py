"""What a model is called where it is served, if nobody gives it a name."""

from __future__ import annotations

from pathlib import Path


def served_name(model: str) -> str:
    """`model`: a name, which is its own, or a folder, whose last part it is."""
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else model
